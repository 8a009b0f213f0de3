"""Experiments of examples/, run as a user would; those that train are small here."""

import re
import runpy
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import browser_pages
import pytest
from browser_pages import browser  # noqa: F401

from lmkit import registry
from lmkit.io.figures import style

ROOT = Path(__file__).resolve().parents[2]


def made(name, work, *variables):
    """Runs an example of this lmkit into the folder `out`."""
    make = shutil.which("make")
    assert make is not None, "examples are driven by make"
    own = [f"LMKIT={sys.executable} -m lmkit", f"PYTHON={sys.executable}", f"OUT={work}/out", *variables]
    done = subprocess.run(
        [make, "-f", ROOT / "examples" / f"{name}.mk", *own], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def read(page):
    """Clicks through a unit's page, and reads it: both languages, both looks, each table sorted by each column."""
    assert page.locator("h1:visible").count() == 1
    title = page.inner_text("h1:visible")
    page.click("[for=language-en]")
    assert page.locator("h1:visible").count() == 1
    assert page.inner_text("h1:visible") != title
    page.focus("#language-en")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("h1:visible") == title
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper
    for table in page.locator("table").all():
        heads = table.locator("th button")
        for column, head in enumerate(heads.all(), 1):
            for order in ("ascending", "descending"):
                head.focus()
                page.keyboard.press("Enter")
                assert table.locator(f"th:nth-child({column})").get_attribute("aria-sort") == order
                numbers = [value(text) for text in table.locator(f"td:nth-child({column}).n").all_inner_texts()]
                numbers = [number for number in numbers if number is not None]
                assert numbers == sorted(numbers, reverse=order == "descending")
    assert page.locator("svg").count() > 0
    for figure in page.locator("svg").all():
        assert len(figure.get_attribute("aria-label")) > 20
        assert figure.bounding_box()["width"] <= page.viewport_size["width"]
    for shown in page.locator("svg text").all():
        figure, place = shown.locator("xpath=ancestor::*[name()='svg']").bounding_box(), shown.bounding_box()
        assert place["x"] >= figure["x"] - 1
        assert place["x"] + place["width"] <= figure["x"] + figure["width"] + 1
        assert place["y"] + place["height"] <= figure["y"] + figure["height"] + 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def value(text):
    return float(text.replace(",", "").rstrip("%")) if text else None


def click_through(path):
    """Reads a page where a browser is there."""
    with browser_pages.chromium() as found:
        if found is not None:
            with browser_pages.quiet(found) as show:
                read(show(path))


def test_a_unit_is_clicked_through(work, browser):  # noqa: F811
    made("attention", work)
    with browser_pages.quiet(browser) as show:
        page = show(work / "out" / "page.html")
        read(page)
        assert page.locator("table").first.locator("td").filter(has_text="duerme").count() == 3


HELD_OUT = [
    ("bottleneck", "train.tsv", "test.tsv"),
    ("steps", "strings.tsv", "test.tsv"),
    ("pretraining-helps", "train.tsv", "dev.tsv"),
    ("pretraining-helps", "corpus.txt", "task.tsv"),
    ("layers", "train.tsv", "dev.tsv"),
    ("layers", "corpus.txt", "task.tsv"),
    ("t0", "starts.jsonl", "starts.test.jsonl"),
    ("in-context", "shots.tsv", "dev.tsv"),
    ("in-context", "train.txt", "dev.tsv"),
    ("ablations", "train.txt", "test.txt"),
    ("entropy", "train.txt", "test.txt"),
    ("tokens", "train.txt", "test.txt"),
]


@pytest.mark.few(3)
@pytest.mark.parametrize(("unit", "training", "test"), HELD_OUT)
def test_no_string_of_a_test_is_in_training(unit, training, test, work):
    folder = work / "out"
    made(unit, work, f"{folder}/{training}", f"{folder}/{test}")
    strings = [
        [re.split(r"\t| => ", line)[0] for line in (folder / name).read_text().splitlines()]
        for name in (training, test)
    ]
    if unit == "steps":  # what is trained on begins after the test, whose strings are the first
        assert (folder / training).read_text().startswith((folder / test).read_text())
        assert len(set(strings[0])) == len(strings[0])
        return
    assert len(strings[1]) > 90
    assert set(strings[0]).isdisjoint(strings[1])


def rows(path):
    header, *lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_one_checkpoint_is_judged_by_perplexity_and_at_a_task(work):
    """Row A20."""
    done = made("evaluation", work)
    assert done.stderr == ""
    before, _, after = done.stdout.partition("== extrinsic: ")
    (row,) = [line.split("\t") for line in before.splitlines() if "kind:ngram" in line]
    measured = dict(line.split("\t")[:2] for line in after.splitlines() if "eval:classify" in line)
    assert 50 < float(row[2]) < 500
    assert 0.8 < float(measured["accuracy"]) < 1


@pytest.mark.slow
def test_three_stages_are_measured(work, lmkit):
    """Row G10: each stage names its parent; as small as this it learns nothing, but DPO raises the margin."""
    done = made("three-stages", work, "ANIMALS=6", "STEPS=20", "EPOCHS=1")
    folder = work / "out" / "0"
    found = {(row["stage"], row["measure"]): row for row in rows(folder / "table.tsv")}
    stages, measures = ("base", "sft", "dpo"), ("seen", "unseen", "sentences", "preferred")
    assert set(found) == {(stage, measure) for stage in stages for measure in measures} | {
        ("base", "facts completed"), ("dpo", "margin"),
    }  # fmt: skip
    assert float(found["dpo", "margin"]["low"]) > 0
    for parent, child in (("base", "sft"), ("sft", "dpo")):
        origin = lmkit("info", "--json", folder / f"{child}.lm").records[0]["origin"]
        assert origin["parent"] == registry.load((folder / f"{parent}.lm").read_bytes(), parent).digest
    assert ET.parse(folder / "figure.svg").getroot().tag.endswith("svg")
    assert "sft is of" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_tuning_helps_on_unseen_instructions_and_alignment_raises_the_margin(work, seed):
    """Row H13, at the example's own size, some minutes on two cores for each seed: beyond the intervals."""
    made("three-stages", work, f"SEEDS={seed}")
    found = {(row["stage"], row["measure"]): row for row in rows(work / "out" / seed / "table.tsv")}
    before = found["base", "unseen"]
    assert float(found["sft", "unseen"]["low"]) > float(before["high"] or before["value"])
    assert float(found["dpo", "margin"]["low"]) > 0
    assert float(found["dpo", "preferred"]["value"]) >= float(found["sft", "preferred"]["value"])


@pytest.mark.slow
def test_verdicts_of_emergence_are_those_of_the_intervals(work):
    """Row H15."""
    made("emergence", work, "WIDTHS=16 24", "STEPS=5", "ITEMS=6")
    found = rows(work / "out" / "table.tsv")
    assert [(row["model"], row["method"]) for row in found] == [
        (f"width {width}", method) for width in (16, 24) for method in ("icl", "cot")
    ]
    for row in found:
        assert (row["verdict"] == "above chance") == (row["low"] != "" and float(row["low"]) > 0.5)


@pytest.mark.slow
def test_a_pretrained_encoder_is_beside_a_random_one(work):
    """Row G11."""
    made("pretraining-helps", work, "SEEDS=0", "STEPS=5", "EPOCHS=1", "ITEMS=30")
    found = {row["measure"]: row for row in rows(work / "out" / "table.tsv")}
    assert list(found) == [
        "pretrained loss", "pretrained accuracy", "random loss", "random accuracy", "difference", "lower loss",
    ]  # fmt: skip
    low = found["difference"]["low"]
    assert (found["difference"]["verdict"] == "pre-training helps") == (low != "" and float(low) > 0)


@pytest.mark.slow
def test_a_language_model_describes_digits(work):
    """Row N1, as short as it shows anything: pictures in the wrong order are described wrongly."""
    pytest.importorskip("sklearn")
    done = made("captions", work, "STEPS=small")
    assert "visual tokens of shape (4, 64)" in done.stderr
    trained, untrained, shifted = rows(work / "out" / "table.tsv")
    assert float(trained["captions right"]) > float(shifted["captions right"]) + 0.2
    assert untrained["vision transformer"] == "untrained"
    assert b"trained-em" in (work / "out" / "captions.html").read_bytes()
    made("captions", work, "STEPS=small", "page")
    click_through(work / "out" / "page.html")


@pytest.mark.slow
def test_a_metric_for_each_set_of_layers(work):
    """Row H4."""
    made("layers", work, "SETS=head layers=1-2", "STEPS=5", "EPOCHS=1", "ITEMS=30")
    found = {row["trained"]: row for row in rows(work / "out" / "table.tsv")}
    assert list(found) == ["bag", "head", "layers-1-2"]
    assert found["head"]["parameters"] == str(2 * 96 + 2)
    assert all(float(row["low"]) <= float(row["accuracy"]) <= float(row["high"]) for row in found.values())
    assert (work / "out" / "figure.svg").read_text().startswith("<svg")


UNITS = (
    "window-effect", "bottleneck", "ablations", "layers", "pretraining-helps", "t0", "three-stages", "in-context",
    "steps", "scaling", "emergence",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_units_without_an_exercise_have_a_page(unit, work):
    made(unit, work, "STEPS=small")
    page = (work / "out" / "page.html").read_text()
    for inside in ('lang="es"', 'lang="en"', "<table>", "<svg", f"make -f examples/{unit}.mk"):
        assert inside in page
    assert "@RESULTS@" not in page
    assert "nan" not in (work / "out" / "table.tsv").read_text()
    click_through(work / "out" / "page.html")


def test_every_unit_has_texts_and_is_in_the_index():
    units = {path.name.split(".")[0] for path in (ROOT / "examples" / "texts").iterdir()}
    listed = (ROOT / "examples" / "all.mk").read_text().replace("\\\n", " ")
    (line,) = [line for line in listed.splitlines() if line.startswith("UNITS")]
    assert set(line.split()[2:]) == units
    for unit in units:
        for language in ("es", "en"):
            assert f"examples/{unit}.mk" in (ROOT / "examples" / "texts" / f"{unit}.{language}.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "variable", "right"),
    [
        ("entropy", "ORDER", None),
        ("tokens", "SIZE", None),
        ("decoding", "METHOD", None),
        ("neural", "DISTANCE", "gradients"),
        ("attention", "LAB", "lab.py"),
    ],
)
def test_units_of_the_course_have_a_page_and_a_graded_exercise(unit, variable, right, work):
    made(unit, work, "STEPS=small")
    page = (work / "out" / "page.html").read_text()
    for inside in ('lang="es"', 'lang="en"', "<table>", "<svg", f"make -f examples/{unit}.mk check"):
        assert inside in page
    assert "http" not in page.replace("http://www.w3.org/", "")
    assert "@RESULTS@" not in page
    click_through(work / "out" / "page.html")
    if right == "gradients":
        answers = {row["tokens back"] for row in rows(work / "out" / "gradients.tsv")}
        assert sum(checks(unit, work, f"{variable}={answer}") for answer in answers) <= 1
        return
    if right is not None:
        (work / right).write_text(
            "import math\n\ndef attention(q, k, v):\n    made = []\n    for one in q:\n"
            "        scores = [sum(a * b for a, b in zip(one, key)) / math.sqrt(len(key)) for key in k]\n"
            "        parts = [math.exp(score - max(scores)) for score in scores]\n"
            "        made.append([sum(p * row for p, row in zip(parts, column)) / sum(parts) for column in zip(*v)])\n"
            "    return made\n"
        )
        made(unit, work, "check", f"{variable}={work / right}")
        return
    answers = [row[next(iter(row))] for row in rows(work / "out" / "table.tsv")]
    assert sum(checks(unit, work, f"{variable}={answer}") for answer in answers) <= 1
    assert not checks(unit, work, f"{variable}=none")


def checks(unit, work, variable):
    """Whether an answer to a unit's exercise is right."""
    own = [f"LMKIT={sys.executable} -m lmkit", f"PYTHON={sys.executable}", f"OUT={work}/out", variable]
    found = subprocess.run(
        ["make", "-f", ROOT / "examples" / f"{unit}.mk", "check", *own], capture_output=True, check=False
    )
    return found.returncode == 0


def test_pages_of_units_escape_what_they_show(work):
    (work / "table.tsv").write_text("<b>\tn\n<script>alert(1)</script>\t2\n")
    command = [sys.executable, ROOT / "examples" / "unit-page.py", "attention", "-o", "page.html"]
    subprocess.run([*command, "--table", "table.tsv", "--command", "a < b"], cwd=work, check=True)
    page = (work / "page.html").read_text()
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert" in page


def test_units_have_the_colours_of_figures(work):
    script = runpy.run_path(str(ROOT / "examples" / "unit-page.py"))
    assert script["LIGHT"] == style.LIGHT
    assert script["DARK"] == style.DARK
    bars = (ROOT / "examples" / "bars.awk").read_text()
    for colours in (style.LIGHT, style.DARK):
        assert " ".join(colours[f"c{number}"] for number in range(6)) in bars
