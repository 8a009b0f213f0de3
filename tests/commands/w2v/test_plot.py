"""`lmkit w2v plot`."""

import json
import re

import pytest

WORDS = ["king", "queen", "man", "</script><b>", "$x$", "ñandú"]
TEXT = "".join(f"{word} {n % 2} {n} {n * n % 5}\n" for n, word in enumerate(WORDS, 1)).encode()


@pytest.fixture
def vectors(lmkit, write):
    done = lmkit("w2v", "import", write("vectors.txt", TEXT), "-o", "vectors.lm")
    assert done.status == 0, done.stderr
    return "vectors.lm"


def test_a_table_of_places(vectors, lmkit):
    done = lmkit("w2v", "plot", "-m", vectors)
    assert [row["word"] for row in done.rows] == WORDS
    records = lmkit("w2v", "plot", "-m", vectors, "--json", "--top", "3").records
    assert [record["word"] for record in records] == WORDS[:3]
    assert sum(record["x"] for record in records) == pytest.approx(0, abs=1e-12)
    assert lmkit("w2v", "plot", "-m", vectors).stdout == done.stdout


def test_which_words(vectors, lmkit, write):
    around = lmkit("w2v", "plot", "-m", vectors, "--around", "king", "--top", "2")
    similar = lmkit("w2v", "similar", "-m", vectors, "--top", "2", "king")
    assert [row["word"] for row in around.rows] == ["king", *(row["word"] for row in similar.rows)]
    listed = write("words.txt", b"queen\n\nnone\nking\nqueen\n")
    done = lmkit("w2v", "plot", "-m", vectors, "--words", listed)
    assert [row["word"] for row in done.rows] == ["queen", "king"]
    assert done.stderr == "lmkit: words.txt: no vector for 'none'\n"


def test_tsne_has_a_seed(vectors, lmkit):
    ask = ("w2v", "plot", "-m", vectors, "--projection", "tsne", "--iterations", "40")
    first = lmkit(*ask)
    assert len(first.rows) == len(WORDS)
    assert lmkit(*ask, "--seed", "0").stdout == first.stdout
    assert lmkit(*ask, "--seed", "1").stdout != first.stdout


def test_a_page_has_its_words_and_asks_nobody(vectors, lmkit, work):
    assert lmkit("w2v", "plot", "-m", vectors, "--around", "king", "-o", "map.html").status == 0
    page = (work / "map.html").read_text()
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    shown = json.loads(data)
    assert sorted(shown["words"]) == sorted(WORDS)
    assert shown["marked"] == [0]
    assert len(shown["x"]) == len(shown["y"]) == len(WORDS)
    assert page.count("</script>") == 2
    assert "@" not in page
    assert not re.search(r"https?://|\bsrc=|@import|\bfetch\(", page)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_pictures(kind, vectors, lmkit, work):
    pytest.importorskip("matplotlib")
    for name in ("1", "2"):
        done = lmkit("w2v", "plot", "-m", vectors, "-o", f"{name}.{kind}")
        assert (done.status, done.stdout) == (0, b"")
    data = (work / f"1.{kind}").read_bytes()
    assert data == (work / f"2.{kind}").read_bytes()
    assert data.startswith(b"\x89PNG" if kind == "png" else b"<?xml")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--around", "none"], 3, "no vector for 'none'"),
        (["--words", "none.txt"], 3, "none.txt: No such file"),
        (["--words", "x", "--around", "y"], 2, "exclude each other"),
        (["--words", "empty.txt"], 3, "empty.txt: no word that has a vector"),
        (["--words", "vectors.lm"], 3, "vectors.lm:1: not UTF-8"),
        (["--json", "-o", "x.html"], 2, "--json prints a table"),
        (["-o", "none/x.html"], 74, "none/x.html: No such file"),
        (["-o", "vectors.lm"], 2, "is an input"),
        (["--projection", "umap"], 2, "is not one of pca, tsne"),
        (["--perplexity", "0"], 2, "perplexity"),
    ],
)
def test_what_is_refused(options, status, said, vectors, fails, write):
    write("empty.txt", b"\n")
    assert said in fails(status, "w2v", "plot", "-m", vectors, *options).stderr


def test_too_many_words_for_tsne(lmkit, fails, write):
    text = "".join(f"w{n} {n} 1\n" for n in range(2001)).encode()
    assert lmkit("w2v", "import", write("many.txt", text), "-o", "many.lm").status == 0
    done = fails(2, "w2v", "plot", "-m", "many.lm", "--top", "2001", "--projection", "tsne")
    assert "2001 words are too many for t-SNE" in done.stderr
