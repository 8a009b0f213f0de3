"""Pages in a browser: they draw quickly, obey the keyboard, fetch nothing, and run nothing that a token says.

They need Playwright for Python and a Chromium: `pip install playwright`, and `apt install chromium` or the like.
"""

import json

import browser_pages
import numpy as np
import pytest
from browser_pages import browser  # noqa: F401

from lmkit.io.figures import attention_page, charts, files

HOSTILE = "</script><img src=x onerror=alert(1)>"


def view(layers, heads, tokens, width, name="self-attention"):
    draw = np.random.default_rng(0)
    queries, keys = draw.normal(size=(2, layers, heads, tokens, width)).astype(np.float32)
    scores = np.where(np.tri(tokens, dtype=bool), queries @ np.swapaxes(keys, -1, -2), -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    words = [HOSTILE, " ", "\n", *(f"word{n}" for n in range(3, tokens))]
    return attention_page.AttentionView(name, words, words, weights.astype(np.float32), queries, keys)


@pytest.fixture
def opened(browser, tmp_path):  # noqa: F811
    """Opens the bytes of a page."""

    def show(data):
        path = tmp_path / "page.html"
        path.write_bytes(data)
        return shown(path)

    with browser_pages.quiet(browser) as shown:
        yield show


def test_three_views_by_keyboard_and_pointer(opened):
    shown = view(2, 4, 8, 4)
    page = opened(attention_page.attention_page(f"<b>{HOSTILE}", [shown, view(1, 2, 5, 4, "cross")]))
    page.hover("#left .token:nth-child(5)")
    assert page.inner_text("#heads-read").startswith("word4 attends to")
    page.keyboard.press("Tab")
    page.focus("#left .token:nth-child(5)")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#heads-read").startswith("word5 attends to")
    page.click("[aria-label='head 1']")
    assert "head 1" not in page.inner_text("#heads-read")
    page.focus("#tab-heads")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-model", "aria-selected") == "true"
    page.focus(".thumb")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.focus("#matrix")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    weight = shown.weights[1, 0, 4, 1]
    digits = 3 if weight < 0.1 else 2
    assert page.inner_text("#model-read") == f"layer 1, head 0: word4 → ␣: {weight:.{digits}f}"
    page.click("#tab-vectors")
    page.select_option("#query", "4")
    assert page.locator("#keys tr").count() == 8
    assert page.locator("#keys tr.masked").count() == 3
    score = float(page.inner_text("#keys tr:nth-child(2) td.n"))
    assert score == pytest.approx(float(shown.queries[1, 0, 4] @ shown.keys[1, 0, 1]), abs=0.01)
    page.select_option("#view", "1")
    assert page.locator("#keys tr").count() == 5
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.locator("img").count() == 0


@pytest.mark.slow
def test_a_large_page_is_drawn_within_a_second(opened):
    data = attention_page.attention_page("large", [view(12, 12, 64, 64)])
    assert len(data) < 5_000_000
    page = opened(data)
    assert float(page.evaluate("document.documentElement.dataset.drawn")) < 1000
    page.click("#tab-model")
    assert page.locator(".thumb").count() == 144
    assert float(page.evaluate("document.documentElement.dataset.drawn")) < 1000


@pytest.mark.slow
def test_tables_sort_and_figures_speak(opened):
    bars = charts.bars("accuracy", ["b", HOSTILE, "a"], [charts.Bars("", [9.0, 10.0, -1.0])], y="accuracy")
    page = opened(files.rendered(bars, "html"))
    assert HOSTILE in page.get_attribute("svg", "aria-label")
    page.click("summary")
    page.click("th:nth-child(2) button")
    assert page.locator("tbody td.n").all_inner_texts() == ["-1", "9", "10"]
    page.click("th:nth-child(2) button")
    assert page.locator("tbody td.n").all_inner_texts() == ["10", "9", "-1"]


@pytest.mark.slow
def test_hostile_names_words_and_older_records_are_only_shown(opened, lmkit, work):
    names = ["<img src=x onerror=alert(2)>.jsonl", "older.jsonl", "'\"><b onclick=alert(3)>.jsonl"]
    records = [{"file": HOSTILE, "perplexity": 2.0, "signature": HOSTILE, HOSTILE: HOSTILE}, {"perplexity": 1.5}]
    records.append({"gold": HOSTILE, "accuracy": "none", "confusion": [[1, 2], [3]], "labels": None})
    for name, record in zip(names, records, strict=True):
        (work / name).write_text(json.dumps(record) + "\n")
    lmkit("report", *(work / name for name in names), "-o", work / "report.html")
    (work / "words.txt").write_text(f"the {HOSTILE.replace(' ', '_')} of\n" * 30)
    lmkit("w2v", "train", "-q", "--dim", 4, "--epochs", 1, work / "words.txt", "-o", work / "words.lm")
    lmkit("w2v", "plot", "-m", work / "words.lm", "--plot", work / "words.html")
    for name in ("report.html", "words.html"):
        page = opened((work / name).read_bytes())
        assert "onerror" in page.inner_text("body") + page.content()
        for button in page.locator("summary:visible, th button:visible").all():
            button.click()
        assert page.locator("img, [onclick], [onerror]").count() == 0


def test_a_page_of_four_layers_is_small():
    assert len(attention_page.attention_page("small", [view(4, 4, 32, 64)])) < 1_000_000
