"""`lmkit w2v import`, `export`, `similar`, `analogy`, `compare`, and what other commands do with vectors."""

import gzip
import json
import struct

import pytest

VECTORS = b"""6 2
</s> 0.5 -0.25
king 0.9 0.6
queen 0.8 0.7
man 0.9 0.1
woman 0.75 0.2
nothing 0 0
"""
CONTEXTS = b"tahualaco 1 1 1\nmesa 0 0 0\npapagallo 1 1 0\nlamborgini 0 0 1\n"


@pytest.fixture
def vectors(lmkit, write):
    """A small checkpoint."""
    write("vectors.txt", VECTORS)
    assert lmkit("w2v", "import", "vectors.txt", "-o", "vectors.lm").status == 0
    return "vectors.lm"


def test_what_is_imported_is_exported_again(lmkit, vectors, work, write):
    done = lmkit("w2v", "export", vectors)
    assert done.text.split("\n")[1:4] == ["</s> 0.5 -0.25", "king 0.9 0.6", "queen 0.8 0.7"]
    whole = lmkit("w2v", "export", "-m", vectors, "-o", "again.txt.gz")
    assert whole.status == 0
    assert gzip.decompress((work / "again.txt.gz").read_bytes()) == done.stdout
    for format in "text", "bin", "glove":
        assert lmkit("w2v", "export", "--format", format, vectors, "-o", "again").status == 0
        assert lmkit("w2v", "import", "again", "-o", "again.lm").status == 0
        assert lmkit("w2v", "export", "again.lm").stdout == done.stdout
        forced = lmkit("w2v", "import", "--format", format, stdin=(work / "again").read_bytes())
        assert forced.stdout == (work / "again.lm").read_bytes()


def test_formats_can_be_forced(lmkit, fails):
    done = lmkit("w2v", "import", "--format", "glove", stdin=b"3 4\n1 5\n")
    assert lmkit("w2v", "export", stdin=done.stdout).text == "2 1\n3 4.0\n1 5.0\n"
    assert "line 1: expected `V D`" in fails(3, "w2v", "import", "--format", "text", stdin=b"a 1 2\n").stderr


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b" \r\n")])
def test_texts_of_other_systems(pack, lmkit, vectors, work):
    done = lmkit("w2v", "import", stdin=pack(VECTORS))
    assert lmkit("w2v", "export", stdin=done.stdout).stdout == lmkit("w2v", "export", vectors).stdout


def test_duplicates_and_bad_bytes_are_told(lmkit, fails):
    done = lmkit("w2v", "import", stdin=b"a 1 2\na 3 4\nb 1 2\nb 2 2\n")
    assert done.status == 0
    assert "2 repeated words skipped, the first is 'a'" in done.stderr
    assert fails(3, "w2v", "import", stdin=b"a 1 2\n\xff 3 4\n").stderr.startswith(
        "lmkit w2v import: <stdin>:2: not UTF-8 (byte 0xff"
    )
    done = lmkit("w2v", "import", "--encoding-errors", "replace", stdin=b"a 1 2\n\xff 3 4\n")
    assert "1 invalid byte sequence replaced" in done.stderr
    assert lmkit("w2v", "export", "--format", "glove", stdin=done.stdout).text == "a 1.0 2.0\n\ufffd 3.0 4.0\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x: empty"),
        (b"word\n", "x: line 1"),
        (b"2 2\na 1 2\nb 1\n", "x: line 3, word 'b'"),
        (b"2 2\na 1 2\nb 1 inf\n", "x: line 3, word 'b'"),
        (b"2 2\na " + struct.pack("<2f", 1.1, 2.2), "x: the end after 1 words"),
        (bytes(range(256)) * 9, "x: line 1"),
    ],
)
def test_files_that_are_wrong(data, message, fails, write, work):
    write("x", data)
    assert message in fails(3, "w2v", "import", "x", "-o", "y").stderr
    assert not (work / "y").exists()


def test_a_checkpoint_is_no_file_of_another_tool(fails, vectors):
    assert fails(3, "w2v", "import", vectors).stdout == b""


def test_the_projector(lmkit, fails, vectors, work):
    assert lmkit("w2v", "export", "--format", "projector", vectors, "-o", "folder").status == 0
    rows, names = ((work / "folder" / f"{name}.tsv").read_text().split("\n") for name in ("vectors", "metadata"))
    assert rows[:2] == ["0.5\t-0.25", "0.9\t0.6"]
    assert names == ["</s>", "king", "queen", "man", "woman", "nothing", ""]
    assert len(rows) == len(names)
    fails(2, "w2v", "export", "--format", "projector", vectors)
    fails(2, "w2v", "export", "--format", "projector", vectors, "-o", "folder")
    fails(4, "w2v", "export", "--which", "context", vectors)


def test_a_words_two_vectors_by_their_letters(lmkit, write):
    """Row C5: v, the centre, is the default; u is the context; `both` has both."""
    write("text", b"the cat sat on the mat\nthe dog sat on the log\n" * 9)
    assert lmkit("w2v", "train", "text", "--dim", "4", "-o", "trained.lm", "-q").status == 0

    def exported(*options):
        done = lmkit("w2v", "export", "trained.lm", "--format", "glove", *options)
        assert done.status == 0, done.stderr
        return dict(line.split(" ", 1) for line in done.lines)

    v, u = exported("--which", "v"), exported("--which", "u")
    assert v == exported() == exported("--which", "centre")
    assert u == exported("--which", "context") != v
    assert exported("--which", "both") == {word: f"{v[word]} {u[word]}" for word in v}


def test_convert_knows_vectors(lmkit, fails, vectors, work):
    assert lmkit("convert", "vectors.txt", "-o", "1.lm").status == 0
    assert (work / "1.lm").read_bytes() == (work / vectors).read_bytes()
    for to, format in (("word2vec", "text"), ("word2vec-bin", "bin"), ("glove", "glove")):
        wanted = lmkit("w2v", "export", "--format", format, vectors).stdout
        assert lmkit("convert", vectors, "--to", to).stdout == wanted
    assert lmkit("convert", vectors).stdout == lmkit("w2v", "export", vectors).stdout
    assert lmkit("convert", vectors, "--to", "projector", "-o", "folder").status == 0
    assert (work / "folder" / "vectors.tsv").exists()
    fails(4, "convert", vectors, "--to", "arpa")
    fails(4, "convert", vectors, "--to", "huggingface", "-o", "other")


# Questions.


def test_similar_words(lmkit, vectors, work):
    done = lmkit("w2v", "similar", "-m", vectors, "--top", "2", "king", "man")
    assert [(row["query"], row["word"]) for row in done.rows] == [
        ("king", "queen"), ("king", "woman"), ("man", "woman"), ("man", "king"),
    ]  # fmt: skip
    lined = lmkit("w2v", "similar", "-m", vectors, "--top", "2", stdin=b"king\nman\n")
    assert lined.stdout == done.stdout
    records = lmkit("w2v", "similar", "-m", vectors, "--json", "--limit", "3", "king").records
    assert [list(record) for record in records] == [["query", "word", "score"]] * 3
    assert {record["word"] for record in records} == {"queen", "man", "</s>"}
    assert (
        lmkit("w2v", "similar", "-b", "king", stdin=(work / vectors).read_bytes()).text == "queen\twoman\tman\t</s>\n"
    )


def test_unknown_words(lmkit, fails, vectors, work):
    for word in "nobody", "nothing", "<unk>", "":
        assert f"no vector for {word!r}" in fails(3, "w2v", "similar", "-m", vectors, "king", word).stderr
    lines = b"king\nnobody\n\nman\n"
    done = lmkit("w2v", "similar", "-m", vectors, "-b", "--top", "1", stdin=lines)
    assert (done.status, done.text) == (3, "queen\n\n\nwoman\n")
    assert done.stderr == (
        "lmkit: <stdin>:2: no vector for 'nobody'\nlmkit w2v similar: 1 of 3 queries have words without a vector\n"
    )
    assert lmkit("w2v", "similar", "-m", vectors, "-b", "--top", "1", "-o", "out", stdin=lines).status == 3
    assert (work / "out").read_bytes() == done.stdout


def test_analogies(lmkit, vectors):
    wanted = lmkit("w2v", "analogy", "-m", vectors, "man", "king", "woman")
    assert [row["word"] for row in wanted.rows] == ["queen", "</s>"]
    ways = [
        lmkit("w2v", "analogy", "-m", vectors, *words, "--json")
        for words in (
            ["man", "king", "woman"],
            ["--positive", "king", "woman", "--negative", "man"],
            ["--negative", "man", "--positive", "king", "--positive", "woman"],
            ["--positive=king", "--positive", "woman", "--negative=man"],
        )
    ]
    answers = [[(record["word"], record["score"]) for record in done.records] for done in ways]
    assert answers[0] == answers[1] == answers[2] == answers[3]
    assert list(ways[0].records[0]) == ["query", "word", "score"]
    assert [done.records[0]["query"] for done in ways[:2]] == ["man king woman", "+king +woman -man"]


@pytest.mark.parametrize("method", ["cosadd", "cosmul"])
def test_analogies_by_the_line(method, lmkit, vectors, write):
    write("queries.txt", b"man king woman\n+king +woman -man\n\nman\tking\twoman\nman king nobody\n")
    options = ["-m", vectors, "-b", "--top", "1", "--method", method]
    done = lmkit("w2v", "analogy", *options, "--queries", "queries.txt")
    assert (done.status, done.text) == (3, "queen\nqueen\n\nqueen\n\n")
    assert "queries.txt:5: no vector for 'nobody'" in done.stderr
    assert lmkit("w2v", "analogy", *options, stdin=b"+king -man +woman\n").text == "queen\n"


def test_questions_that_are_none(fails, vectors):
    model = ["-m", vectors]
    fails(2, "w2v", "analogy", *model, "king", "queen")
    fails(2, "w2v", "analogy", *model, "a", "b", "c", "--positive", "king")
    fails(2, "w2v", "analogy", *model, "a", "b", "c", "--queries", "-")
    assert "<stdin>:2: 2 words" in fails(3, "w2v", "analogy", *model, stdin=b"man king woman\na b\n").stderr
    fails(2, "w2v", "compare", *model, "king")
    fails(2, "w2v", "compare", *model, "king", "queen", "--assert")
    fails(2, "w2v", "compare", *model, "--matrix", "x")
    fails(3, "w2v", "compare", *model, "king", "nobody")
    fails(2, "w2v", "similar", stdin=b"")
    for command in ["similar", "king"], ["analogy", "a", "b", "c"], ["compare", "a", "b"], ["export"]:
        done = fails(4, "w2v", *command, "-m", "vectors.txt")
        assert "vectors.txt: neither a checkpoint" in done.stderr
        assert "hint: `lmkit w2v import`" in done.stderr


# Row C11 and C1.


def test_nearer_than(lmkit, vectors):
    done = lmkit("w2v", "compare", "-m", vectors, "king", "queen", "man", "--json")
    assert [(r["word"], r["other"]) for r in done.records[:-1]] == [
        ("king", "queen"),
        ("king", "man"),
        ("queen", "man"),
    ]
    assert done.records[1]["distance"] == pytest.approx(0.5, abs=1e-7)
    assert done.records[-1] == {"query": ["king", "queen", "man"], "nearer": True}
    yes = lmkit("w2v", "compare", "-m", vectors, "--assert", "king", "queen", "man", "woman")
    assert (yes.status, yes.lines[0], yes.lines[-1]) == (0, "word\tother\tcosine\tdistance", "nearer\ttrue")
    no = lmkit("w2v", "compare", "-m", vectors, "--assert", "king", "man", "queen")
    assert (no.status, no.lines[-1], no.stderr) == (1, "nearer\tfalse", "")
    assert lmkit("w2v", "compare", "-m", vectors, "-b", "king", "man", "queen").text == "false\n"
    assert float(lmkit("w2v", "compare", "-m", vectors, "-b", "king", "king").text) == 1


def test_a_table_of_contexts(lmkit, write, fails):
    write("t.tsv", CONTEXTS)
    done = lmkit("w2v", "compare", "--matrix", "t.tsv", "--json")
    cosines = {(r["word"], r["other"]): r["cosine"] for r in done.records}
    assert cosines["tahualaco", "papagallo"] == pytest.approx(0.816497, abs=5e-7)
    assert cosines["tahualaco", "lamborgini"] == pytest.approx(0.577350, abs=5e-7)
    assert cosines["papagallo", "lamborgini"] == 0
    assert cosines["tahualaco", "mesa"] is None
    assert "NaN" not in done.text
    assert lmkit("w2v", "compare", "--matrix", "t.tsv").rows[0]["cosine"] == "null"
    headed = b"word\ta\tb\tc\n" + CONTEXTS.replace(b" ", b"\t")
    assert lmkit("w2v", "compare", "--matrix", "-", "--json", stdin=headed).stdout == done.stdout
    assert lmkit("w2v", "compare", "--matrix", "t.tsv", "-b", "tahualaco", "mesa").text == "null\n"
    assert "t.tsv: no row for 'x'" in fails(3, "w2v", "compare", "--matrix", "t.tsv", "x", "mesa").stderr
    for data, line in ((b"a 1 2\nb 1\n", 2), (b"a 1 x\n", 1), (b"a 1\nb nan\n", 2), (b"a 1\n\na 2\n", 3)):
        assert f"<stdin>:{line}: " in fails(3, "w2v", "compare", "--matrix", "-", stdin=data).stderr
    fails(3, "w2v", "compare", "--matrix", "-", stdin=b"")


# Other commands.


def test_vectors_are_an_ordinary_checkpoint(lmkit, fails, vectors):
    record = json.loads(lmkit("info", "--json", vectors).text)
    assert (record["kind"], record["config"]["dim"], record["config"]["words"]) == ("w2v", 2, 5)
    assert record["parameters"] == 8 * 2
    for command in ["ppl"], ["score"], ["next"], ["sample"], ["compress"]:
        assert "of kind w2v, not a language model" in fails(4, *command, "-m", vectors, stdin=b"").stderr


@pytest.mark.parametrize("way", ["--static", "--contextual"])
def test_embed(way, lmkit, vectors):
    done = lmkit("embed", "-m", vectors, way, "--json", stdin=b"king\nking nobody man\nnobody\n\n")
    one, mean, unknown, empty = [record["vector"] for record in done.records]
    assert one == pytest.approx([0.9, 0.6])
    assert mean == pytest.approx([0.9, 0.35])
    assert unknown is empty is None
    tokens = lmkit("embed", "-m", vectors, way, "--each", "token", "--json", stdin=b"king nobody\n").records
    assert [record["vector"] is None for record in tokens] == [False, True]
