"""`w2v train`: what it learns, that the same command gives the same bytes, and what it says of bad input."""

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lmkit import checkpoint
from lmkit.commands.w2v.session import MANY_WORDS
from lmkit.word_vectors import sharding, trainer

TINY = ["--dim", "8", "--min-count", "1", "--epochs", "2", "--negatives", "3", "--sample", "0"]


def topics(lines=600, words=8):
    """Lines that each keep to one of two topics."""
    generator = random.Random(0)
    return "".join(
        " ".join(f"{topic}{generator.randrange(words)}" for _ in range(10)) + "\n"
        for topic in (generator.choice("xy") for _ in range(lines))
    ).encode()


def arrays(path):
    return checkpoint.parse(memoryview(Path(path).read_bytes())).tensors


def header(path):
    return checkpoint.parse(memoryview(Path(path).read_bytes()))


@pytest.fixture(params=["compiled", "numpy"])
def code(request, monkeypatch):
    """With numba and without."""
    if request.param == "numpy":
        monkeypatch.setattr(trainer, "find_spec", lambda _name: None)
    return request.param


@pytest.fixture
def text(write):
    return write("text.txt", topics())


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "way",
    [["--arch", "skipgram"], ["--arch", "cbow"],
     pytest.param(["--arch", "cbow", "--cbow-combine", "sum"], marks=pytest.mark.slow), ["--loss", "softmax"]],
)  # fmt: skip
def test_words_of_a_topic_are_near_each_other(way, code, text, lmkit):
    options = ["--dim", "16", "--sample", "0", "--epochs", "10", "--lr", "0.01"]
    done = lmkit("w2v", "train", text, *way, *options, "-o", "v.lm")
    assert done.status == 0, done.stderr
    words = [f"{topic}{number}" for topic in "xy" for number in range(8)]
    found = lmkit("w2v", "similar", "-m", "v.lm", "--top", "7", *words)
    assert len(found.rows) == 7 * 16
    assert all(row["query"][0] == row["word"][0] for row in found.rows)


@pytest.mark.few(1)
def test_any_number_of_threads_gives_the_same_bytes(code, text, monkeypatch, lmkit):
    """With several replicas, as longer texts have them."""
    monkeypatch.setattr(sharding, "SHORT", 1000)
    for threads in (1, 2, 3):
        done = lmkit("w2v", "train", text, *TINY, "--threads", threads, "-o", f"{threads}.lm")
        assert done.status == 0, done.stderr
    assert 1 < header("1.lm").origin["trained"]["rounds"] < 2 * 6600 / sharding.LEAST
    assert Path("1.lm").read_bytes() == Path("2.lm").read_bytes() == Path("3.lm").read_bytes()


def test_stdin_files_and_compressed_text_give_the_same_vectors(text, write, lmkit, shell):
    data = Path(text).read_bytes()
    half = data.index(b"\n", len(data) // 2) + 1
    write("a.txt", data[:half])
    write("b.txt", data[half:])
    ways = [[text], ["a.txt", "b.txt"], [], ["-"]]
    for number, files in enumerate(ways):
        done = lmkit("w2v", "train", *files, *TINY, "-o", f"{number}.lm", stdin=data)
        assert done.status == 0, done.stderr
    assert shell(f"gzip -k {text}").status == 0
    piped = lmkit("w2v", "train", f"{text}.gz", *TINY)
    made = [Path(f"{number}.lm").read_bytes() for number in range(len(ways))]
    assert made[0] == made[2] == made[3]
    contents = [checkpoint.parse(memoryview(one)) for one in (*made, piped.stdout)]
    assert len({one.origin["inputs"][0]["sha256"] for one in contents}) == 1
    for name in contents[0].tensors:
        assert len({bytes(one.tensors[name]) for one in contents}) == 1


def test_a_text_on_disk_gives_the_same_bytes_and_is_told(text, lmkit):
    assert lmkit("w2v", "train", text, *TINY, "-o", "memory.lm").status == 0
    done = lmkit("w2v", "train", text, *TINY, "--memory", "1k", "-o", "disk.lm")
    assert "larger than --memory: 6,600 ids" in done.stderr
    assert Path("memory.lm").read_bytes() == Path("disk.lm").read_bytes()


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "other",
    [
        ["--seed", "1"], ["--arch", "cbow"], ["--window", "2"], ["--static-window"], ["--lr", "0.1"],
        ["--min-lr", "0.02"], ["--negatives", "4"], ["--sample", "0.01"], ["--epochs", "3"], ["--loss", "softmax"],
    ],
)  # fmt: skip
def test_every_setting_changes_what_is_learned(other, text, lmkit):
    for name, more in (("one.lm", []), ("other.lm", other)):
        assert lmkit("w2v", "train", text, *TINY, *more, "-o", name).status == 0
    assert not np.array_equal(arrays("one.lm")["centre"], arrays("other.lm")["centre"])


def test_sums_and_means_of_neighbours_differ(text, lmkit):
    """Row for row from one seed; the mean is the default."""
    for name, more in (("default", []), ("mean", ["--cbow-combine", "mean"]), ("sum", ["--cbow-combine", "sum"])):
        assert lmkit("w2v", "train", text, *TINY, "--arch", "cbow", *more, "-o", name).status == 0
    assert Path("default").read_bytes() == Path("mean").read_bytes()
    assert not np.array_equal(arrays("mean")["centre"], arrays("sum")["centre"])


def test_the_checkpoint_has_both_vectors_counts_and_origin(write, lmkit):
    write("text.txt", b"b a b\nc b a d\n" * 5)
    assert lmkit("w2v", "train", "text.txt", *TINY, "--max-vocab", "3", "-o", "v.lm").status == 0
    made = header("v.lm")
    assert made.tensors["counts"].tolist() == [0, 0, 0, 15, 10, 5]
    assert made.tensors["centre"].shape == made.tensors["context"].shape == (6, 8)
    assert not made.tensors["centre"][:3].any()
    assert made.tensors["context"][3:].any(axis=1).all()
    assert made.config["architecture"] == "skipgram"
    assert made.config["negatives"] == 3
    assert made.origin["command"] == "w2v train"
    assert made.origin["settings"]["max_vocab"] == 3
    assert made.origin["inputs"][0]["bytes"] == 70
    assert made.origin["trained"]["words"] == 60


def test_words_by_count_and_ties_by_first_appearance(write, lmkit):
    write("text.txt", b"z y x y z w\n")
    lmkit("w2v", "train", "text.txt", *TINY, "-o", "v.lm")
    pieces = bytes(arrays("v.lm")["tokenizer.pieces"])
    assert pieces == b"<unk><s></s>zyxw"


def test_phrases_become_words(write, lmkit):
    write("text.txt", b"new york is not new\nold york is not old\n" + b"we saw new york today\n" * 20 + topics(100))
    assert (
        lmkit("w2v", "train", "text.txt", *TINY, "--phrases", "1", "--phrase-threshold", "20", "-o", "v.lm").status == 0
    )
    found = lmkit("w2v", "similar", "-m", "v.lm", "new_york")
    assert found.status == 0, found.stderr


@pytest.mark.parametrize(("words", "expected"), [(MANY_WORDS - 1, 15), (MANY_WORDS, 5)])
def test_auto_negatives_depend_on_the_size(words, expected):
    import io

    from lmkit.commands.options.standard import Run
    from lmkit.commands.options.word2vec import Word2VecOptions
    from lmkit.commands.w2v.session import plan_of
    from lmkit.io.messages import Terminal

    told = io.StringIO()
    assert plan_of(Run("w2v train", {}, Terminal(stream=told)), Word2VecOptions(), words).negatives == expected
    assert told.getvalue().startswith(f"lmkit: {expected} negative samples per pair: ")


# Steps, beginnings, logs.


@pytest.mark.parametrize(
    ("way", "context"), [(["--negatives", "1"], 2), (["--negatives", "5"], 6), (["--loss", "softmax"], 16)]
)
def test_one_step_changes_k_plus_two_vectors_or_all_and_one(way, context, text, lmkit):
    done = lmkit("w2v", "train", text, "--min-count", "1", *way, "--count-updates", "-q")
    assert done.text == f"vectors\tchanged\ncentre\t1\ncontext\t{context}\nboth\t{context + 1}\n"


def test_vectors_to_begin_with(text, write, lmkit):
    """With next to no learning they are still there; words that are new begin at random."""
    write("other.txt", b"x0 x1 y0\nz0 x1 z0\n")
    assert lmkit("w2v", "train", text, *TINY, "-o", "first.lm").status == 0
    still = ["--lr", "1e-12", "--min-lr", "0", "--embeddings", "first.lm"]
    done = lmkit("w2v", "train", "other.txt", *TINY, *still, "-o", "v.lm")
    assert "3 of 4 words start from the vectors of first.lm" in done.stderr
    for name in ("first.lm", "v.lm"):
        assert lmkit("embed", "-m", name, "--json", "-o", f"{name}.json", stdin=b"x1\n").status == 0
    assert Path("first.lm.json").read_text() == Path("v.lm.json").read_text()
    assert header("v.lm").origin["embeddings"] == header("first.lm").digest
    wrong = lmkit("w2v", "train", "other.txt", *TINY, "--embeddings", "first.lm", "--dim", "9", "-o", "v.lm")
    assert (wrong.status, "vectors of dimension 8, expected --dim 9" in wrong.stderr) == (2, True)


def test_the_log_has_every_round(code, text, lmkit):
    assert lmkit("w2v", "train", text, *TINY, "--log", "log", "-o", "v.lm").status == 0
    events = [json.loads(line) for line in Path("log").read_text().splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    trained = header("v.lm").origin["trained"]
    assert [event["step"] for event in steps] == list(range(1, trained["rounds"] + 1))
    assert steps[-1]["tokens"] == trained["words"] == 12_000
    assert steps[-1]["nats"] == trained["nats"]
    assert all(a["lr"] > b["lr"] for a, b in pairwise(steps))


def test_without_numba_it_says_how_to_be_faster(monkeypatch, text, lmkit):
    monkeypatch.setattr(trainer, "find_spec", lambda _name: None)
    done = lmkit("w2v", "train", text, *TINY, "-o", "v.lm")
    assert "training is slower: " in done.stderr
    assert "numba" not in header("v.lm").origin["versions"]


def test_hogwild_trains(text, lmkit):
    assert lmkit("w2v", "train", text, *TINY, "--hogwild", "--threads", "2", "-o", "v.lm").status == 0
    assert np.isfinite(arrays("v.lm")["centre"]).all()


# Bad input.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the text is empty"),
        (b"\n\n \t\n", "the text is empty"),
        (b"a\n" * 9, "one word, 'a'"),
        (b"a b c a\n", "only 0 of 3 words seen 5 times or more; the most frequent, 'a', has a count of 2"),
        (b"ok\nn\xf6t\n", "<stdin>:2: not UTF-8 (byte 0xf6, column 2)"),
    ],
)
def test_texts_that_cannot_be_learned_from(text, message, fails, work):
    assert message in fails(3, "w2v", "train", "-o", "v.lm", stdin=text).stderr
    assert list(work.iterdir()) == []


def test_strange_bytes_are_words_or_replaced(lmkit):
    text = b"a\0b n\xf6t \x01\x02 a b\n" * 3 + b"c " * 2_500_000 + b"\n"
    done = lmkit("w2v", "train", *TINY, "--sample", "1e-6", "--encoding-errors", "replace", "-o", "v.lm", stdin=text)
    assert done.status == 0, done.stderr
    assert "3 invalid byte sequences replaced" in done.stderr
    assert bytes(arrays("v.lm")["tokenizer.pieces"]) == "<unk><s></s>cabn\ufffdt\x01\x02".encode()


def test_lines_of_one_word_teach_nothing_and_break_nothing(code, lmkit):
    done = lmkit("w2v", "train", *TINY, "-o", "v.lm", stdin=b"a\nb\nc\n" * 5)
    assert done.status == 0, done.stderr
    assert not arrays("v.lm")["context"].any()


@pytest.mark.parametrize(
    ("status", "options", "message"),
    [
        (2, ["--negatives", "many"], "neither auto nor a number"),
        (2, ["--negatives", "0"], "neither auto nor a number"),
        (2, ["--lr", "0"], "--lr must be above 0"),
        (2, ["--lr", "nan"], "not a finite number"),
        (2, ["--arch", "glove"], "not one of skipgram, cbow"),
        (2, ["-o", "text.txt"], "is an input and would be overwritten"),
        (2, ["--log", "text.txt"], "is an input and would be overwritten"),
        (2, ["-o", "v.lm", "--log", "v.lm"], "name the same file"),
        (2, ["-o", "."], "is a folder"),
        (74, ["-o", "no/v.lm"], "No such file or directory"),
        (2, ["--resume"], "needs -o OUTPUT"),
        (2, ["--memory", "much"], "is not a size"),
        (4, ["--embeddings", "text.txt"], "neither a checkpoint nor an ARPA file"),
        (2, ["--count-updates", "--resume"], "--count-updates cannot be combined"),
    ],
)
def test_wrong_options(status, options, message, text, lmkit):
    done = lmkit("w2v", "train", text, *TINY, *options)
    assert (done.status, message in done.stderr) == (status, True), done.stderr
    assert Path(text).read_bytes() == topics()


def test_a_rate_beyond_all_bounds_is_told(text, fails):
    assert "1e+30 is too high" in fails(1, "w2v", "train", text, *TINY, "--lr", "1e30", "-q", "-o", "v.lm").stderr


# Character n-grams.

STEMS = {"x": "lodur", "y": "miski"}
ENDS = ["a", "on", "ive", "em", "ust", "il", "ork", "ep"]


@pytest.fixture
def inflected(write):
    """Lines of words of one of two stems."""
    lines = topics(300).decode()
    for letter, stem in STEMS.items():
        for number, end in enumerate(ENDS):
            lines = lines.replace(f"{letter}{number}", stem + end)
    return write("inflected.txt", lines.encode())


SUBWORDS = [*TINY, "--subwords", "3-5", "--lr", "0.05", "--epochs", "10"]


def test_unknown_words_are_made_of_their_characters(inflected, lmkit, fails):
    done = lmkit("w2v", "train", inflected, *SUBWORDS, "-o", "v.lm")
    assert "n-grams of 3 to 5 characters: " in done.stderr
    assert "of 2,000,000 buckets with a vector of their own" in done.stderr
    found = lmkit("w2v", "similar", "-m", "v.lm", "--top", "8", "loduresque", "miskia")
    assert found.stderr == "lmkit: vectors composed of character n-grams: 'loduresque'\n"
    assert {row["word"][:5] for row in found.rows[:8]} == {"lodur"}
    assert {row["word"][:5] for row in found.rows[8:15]} == {"miski"}
    lines = lmkit("w2v", "similar", "-m", "v.lm", "--top", "1", "-b", stdin=b"loduresque\nq\n\nlodura\n")
    assert lines.status == 3
    assert [bool(line) for line in lines.text.split("\n")] == [True, False, False, True, False]
    assert "<stdin>:1: vectors composed of character n-grams: 'loduresque'" in lines.stderr
    assert "<stdin>:2: no vector for 'q'" in lines.stderr
    assert "no vector for 'q'" in fails(3, "w2v", "similar", "-m", "v.lm", "lodura", "q").stderr


def test_every_command_takes_unknown_words(inflected, write, lmkit, fails):
    assert lmkit("w2v", "train", inflected, *SUBWORDS, "-o", "v.lm").status == 0
    nearer = lmkit("w2v", "compare", "-m", "v.lm", "--assert", "-b", "loduresque", "lodura", "miskia")
    assert (nearer.text, "'loduresque'" in nearer.stderr) == ("true\n", True)
    like = lmkit("w2v", "analogy", "-m", "v.lm", "-b", "--top", "1", "miskia", "miskiwards", "lodura")
    assert (like.text[:5], "'miskiwards'" in like.stderr) == ("lodur", True)
    write("pairs.tsv", b"loduresque\tlodura\t9\nmiskiwards\tlodura\t1\nmiskiwards\tmiskia\t8\nqq\tlodura\t1\n")
    judged = lmkit("w2v", "eval", "-m", "v.lm", "--json", "pairs.tsv")
    assert "vectors composed of character n-grams: 'loduresque', 'miskiwards'" in judged.stderr
    (record,) = judged.records
    assert (record["pairs"], record["unknown"], record["spearman"] > 0) == (3, 1, True)
    assert "made" not in record
    embedded = lmkit("embed", "-m", "v.lm", "--each", "token", "--json", stdin=b"q loduresque lodura\n")
    assert [(row["token"], row["vector"] is None) for row in embedded.records] == [
        ("<unk>", True), ("loduresque", False), ("lodura", False),
    ]  # fmt: skip
    assert embedded.stderr == "lmkit: vectors composed of character n-grams: 'loduresque'\n"
    assert lmkit("embed", "-m", "v.lm", "--json", stdin=b"loduresque\n").records[0]["vector"] is not None


def test_vectors_with_ngrams_are_a_checkpoint_like_others(inflected, lmkit):
    assert lmkit("w2v", "train", inflected, *SUBWORDS, "--buckets", "50", "-o", "v.lm").status == 0
    assert {"subwords\t[3, 5]", "buckets\t50"} < set(lmkit("info", "v.lm").text.splitlines())
    assert arrays("v.lm")["ngrams"].shape[0] <= 50
    text = lmkit("w2v", "export", "v.lm")
    assert text.text.split("\n", 1)[0] == "16 8"
    begun = lmkit("w2v", "train", inflected, *TINY, "--subwords", "3-5", "--embeddings", "v.lm", "-o", "w.lm")
    assert "16 of 16 words start from the vectors of v.lm" in begun.stderr
    assert lmkit("w2v", "similar", "-m", "w.lm", "loduresque").status == 0


def test_without_ngrams_nothing_is_said_of_them(text, lmkit, fails):
    assert lmkit("w2v", "train", text, *TINY, "-o", "v.lm").status == 0
    held = header("v.lm")
    assert not {"subwords", "buckets"} & {*held.config, *held.origin["settings"]}
    assert "no vector for 'x0x0'" in fails(3, "w2v", "similar", "-m", "v.lm", "x0x0").stderr


def test_strange_words_have_ngrams(code, lmkit):
    words = [
        b"\xf0\x9f\x98\x80\xf0\x9f\x91\x8d",
        b"e\xcc\x81tude",
        b"a",
        b"x" * 5000,
        "日本語".encode(),
        b"\x01\x02\x03",
    ]
    done = lmkit("w2v", "train", *TINY, "--subwords", "2", "-o", "v.lm", stdin=(b" ".join(words) + b"\0\n") * 9)
    assert done.status == 0, done.stderr
    assert "n-grams of 2 characters" in done.stderr
    assert np.isfinite(arrays("v.lm")["centre"]).all()
    assert lmkit("w2v", "similar", "-m", "v.lm", "😀", "日本", "xxxx").status == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--subwords", "6-3"], "begins after its end"),
        (["--subwords", "0-3"], "begins with 0"),
        (["--subwords", "3-"], "neither a number nor two"),
        (["--subwords", "-3"], "neither a number nor two"),
        (["--subwords", "a-b"], "neither a number nor two"),
        (["--subwords", "3-6", "--buckets", "0"], "not in the range"),
        (["--subwords", "3-6", "--buckets", "99999999999"], "not in the range"),
        (["--buckets", "10"], "--buckets needs --subwords"),
    ],
)
def test_wrong_ngrams(options, message, text, lmkit):
    done = lmkit("w2v", "train", text, *TINY, *options, "-o", "v.lm")
    assert (done.status, message in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("way", [[], ["--loss", "softmax"], ["--arch", "cbow"]])
def test_one_step_changes_all_rows_of_a_word(way, lmkit):
    """Of `abcd` its own row and those of <abc, abcd, bcd>, and no other word's."""
    options = [*TINY, "--subwords", "4", *way, "--count-updates", "-q"]
    done = lmkit("w2v", "train", *options, stdin=b"abcd efgh ijkl\n")
    assert done.text.split("\n")[1] == "centre\t4"
