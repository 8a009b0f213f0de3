"""`lmkit score`."""

import math

import pytest


@pytest.fixture
def score(lmkit):
    def score(*arguments, stdin=b""):
        done = lmkit("score", "--json", *arguments, stdin=stdin)
        assert done.status == 0, done.stderr
        assert done.stderr == ""
        return done.records

    return score


def test_lines_have_their_numbers(score, shelf):
    records = score("-m", shelf["juan.lm"], shelf["juan.txt"])
    assert [list(record) for record in records] == [["line", "text", "nats", "tokens", "signature"]] * 3
    assert [record["line"] for record in records] == [1, 2, 3]
    assert [record["text"] for record in records] == ["yo soy Juan", "Juan yo soy", "yo no salto"]
    assert [record["tokens"] for record in records] == [4, 4, 4]
    assert [record["nats"] for record in records] == pytest.approx([-math.log(9), -math.log(18), -math.log(4.5)])


def test_contexts_of_a_trigram_model(lmkit, score, write):
    """The sentence of the lecture: each word after the two before it, the first after the start alone."""
    sentence = "debido a las copiosas lluvias"
    write("text.txt", sentence.encode() + b"\n")
    lmkit("ngram", "fit", "--order", "3", "--smoothing", "mle", "text.txt", "-q", "-o", "m.lm")
    (record,) = score("--explain", "-m", "m.lm", "text.txt")
    assert list(record) == ["line", "text", "nats", "tokens", "signature", "factors"]
    factors = record["factors"]
    assert all(list(factor) == ["token", "context", "order", "nats"] for factor in factors)
    assert [factor["token"] for factor in factors] == [*sentence.split(), "</s>"]
    assert [" ".join(factor["context"]) for factor in factors] == [
        "<s>", "<s> debido", "debido a", "a las", "las copiosas", "copiosas lluvias",
    ]  # fmt: skip
    assert [factor["order"] for factor in factors] == [2, 3, 3, 3, 3, 3]
    assert [factor["nats"] for factor in factors] == [0] * 6


@pytest.mark.parametrize("name", ["modified-kneser-ney-4.lm", "char-katz.lm", "mkn.arpa", "word-0.lm", "mixed.lm"])
def test_factors_make_up_the_line(name, score, shelf):
    for record in score("--explain", "-m", shelf[name], shelf["test.txt"]):
        assert len(record["factors"]) == record["tokens"]
        assert sum(factor["nats"] for factor in record["factors"]) == pytest.approx(record["nats"], abs=1e-9)
        assert record["factors"][-1]["token"] == "</s>"


def test_orders_say_who_answered(lmkit, score, shelf):
    (record,) = score("--explain", "-m", shelf["witten-bell-3.lm"], stdin=b"the cat zebra sat\n")
    assert [factor["order"] for factor in record["factors"]] == [2, 3, 1, 1, 1]
    assert record["factors"][2]["token"] == "<unk>"
    rows = lmkit("score", "--explain", "-m", shelf["witten-bell-3.lm"], stdin=b"the cat zebra sat\n").rows
    assert [row["order"] for row in rows] == ["2", "3", "1", "1", "1"]
    assert [row["context"] for row in rows] == ["<s>", "<s> the", "the cat", "cat <unk>", "<unk> sat"]
    assert {row["line"] for row in rows} == {"1"}


def test_ends_of_lines_can_be_left_out(score, shelf):
    (with_end,), (without,) = (
        score(*more, "--explain", "-m", shelf["juan.lm"], stdin=b"yo soy\n") for more in ([], ["--no-eos"])
    )
    assert (with_end["tokens"], without["tokens"]) == (3, 2)
    assert with_end["factors"][:2] == without["factors"]
    assert with_end["signature"] != without["signature"]


def test_surprisals(lmkit, score, shelf):
    (record,) = score("--surprisal", "-m", shelf["juan.lm"], stdin=b"yo soy\n")
    assert list(record) == ["line", "text", "surprisal", "signature"]
    assert [one["token"] for one in record["surprisal"]] == ["yo", "soy", "</s>"]
    assert [one["bits"] for one in record["surprisal"]] == pytest.approx([math.log2(1.5), math.log2(1.5), 1])
    assert all(one["nats"] == pytest.approx(one["bits"] * math.log(2)) for one in record["surprisal"])
    rows = lmkit("score", "--surprisal", "-m", shelf["juan.lm"], stdin=b"yo soy\n").rows
    assert [float(row["bits"]) for row in rows] == pytest.approx([0.584963, 0.584963, 1])
    (sure,) = score("--surprisal", "-m", shelf["juan.lm"], stdin=b"yo no salto\n")
    assert "-0.0" not in [repr(one["bits"]) for one in sure["surprisal"]]


def test_what_can_not_be(lmkit, shelf):
    done = lmkit("score", "--json", "--surprisal", "-m", shelf["juan.lm"], stdin=b"soy yo\n")
    assert "NaN" not in done.text
    assert done.records[0]["surprisal"][0]["bits"] == math.inf
    done = lmkit("score", "--json", "--explain", "-m", shelf["juan.lm"], stdin=b"soy yo\nyo soy\n")
    assert "NaN" not in done.text
    assert done.records[0]["nats"] == -math.inf
    assert done.records[1]["nats"] > -math.inf
    assert lmkit("score", "-b", "-m", shelf["juan.lm"], stdin=b"soy yo\n").text == "-inf\n"


def test_bare_is_a_number_a_line(lmkit, score, shelf):
    done = lmkit("score", "-b", "-m", shelf["witten-bell-3.lm"], shelf["test.txt"])
    assert done.stderr == ""
    assert [float(line) for line in done.lines] == [
        record["nats"] for record in score("-m", shelf["witten-bell-3.lm"], shelf["test.txt"])
    ]


def test_a_table_has_its_signature_on_stderr(lmkit, shelf):
    done = lmkit("score", "-m", shelf["juan.lm"], shelf["juan.txt"])
    assert done.lines[0].split("\t") == ["line", "nats", "tokens", "text"]
    assert [row["text"] for row in done.rows] == ["yo soy Juan", "Juan yo soy", "yo no salto"]
    assert done.stderr.startswith("lmkit: signature kind:ngram|")
    assert lmkit("score", "-q", "-m", shelf["juan.lm"], shelf["juan.txt"]).stderr == ""


def test_text_in_a_table_stays_in_its_cell(lmkit, shelf):
    done = lmkit("score", "-q", "-m", shelf["juan.lm"], stdin="a\tb \\n \u2028c \x0bd \x85e\n".encode())
    (row,) = done.rows
    assert row["text"] == "a\\tb \\\\n \u2028c \x0bd \x85e"


def test_empty_lines_and_files(lmkit, score, shelf):
    records = score("-m", shelf["witten-bell-2.lm"], stdin=b"\n  \n")
    assert [record["tokens"] for record in records] == [1, 1]
    assert records[0]["nats"] == records[1]["nats"] < 0
    assert lmkit("score", "--json", "-m", shelf["juan.lm"], stdin=b"").stdout == b""
    assert lmkit("score", "-b", "--no-eos", "-m", shelf["juan.lm"], stdin=b"\n").text in ("0.0\n", "-0.0\n")


def test_lines_of_several_files_are_numbered_on(score, shelf):
    records = score("-m", shelf["juan.lm"], shelf["juan.txt"], shelf["juan.txt"])
    assert [record["line"] for record in records] == [1, 2, 3, 4, 5, 6]


def test_sum_is_what_perplexity_is_made_of(lmkit, score, shelf):
    records = score("-m", shelf["witten-bell-3.lm"], shelf["test.txt"])
    (whole,) = lmkit("ppl", "--json", "-m", shelf["witten-bell-3.lm"], shelf["test.txt"]).records
    assert sum(record["nats"] for record in records) == pytest.approx(whole["nats"])
    assert sum(record["tokens"] for record in records) == whole["tokens"]
    assert records[0]["signature"] == whole["signature"]


# Pairs.


def test_pairs(lmkit, score, shelf, write):
    write("pairs.tsv", b"yo soy Juan\tyo no salto\nyo no salto\tyo soy Juan\n\nyo soy\tyo soy\n")
    *pairs, summary = score("--pairs", "pairs.tsv", "-m", shelf["juan.lm"])
    assert [list(pair) for pair in pairs] == [["line", "winner", "margin", "nats_first", "nats_second", "text"]] * 3
    assert [pair["winner"] for pair in pairs] == ["second", "first", "tie"]
    assert [pair["line"] for pair in pairs] == [1, 2, 4]
    assert pairs[0]["nats_first"] == pytest.approx(-math.log(9))
    assert pairs[0]["nats_second"] == pytest.approx(-math.log(4.5))
    assert pairs[0]["text"] == pairs[1]["text"] == "yo no salto"
    assert pairs[0]["margin"] == pytest.approx(abs(pairs[0]["nats_first"] - pairs[0]["nats_second"]))
    assert pairs[2]["margin"] == 0
    assert summary["accuracy"] == pytest.approx(1 / 3)
    assert summary["pairs"] == 3
    last = lmkit("score", "-q", "--pairs", "pairs.tsv", "-m", shelf["juan.lm"]).lines[-1]
    assert last == "accuracy\t0.333333\t1 of 3"


def test_pairs_that_can_not_be(lmkit, shelf, write):
    write("pairs.tsv", b"soy yo\tyo soy\nsoy yo\tno yo\n")
    done = lmkit("score", "--json", "--pairs", "pairs.tsv", "-m", shelf["juan.lm"])
    assert done.status == 0, done.stderr
    assert "NaN" not in done.text
    assert [record.get("winner") for record in done.records] == ["second", "tie", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"a b\n", "pairs.tsv:1"), (b"a\tb\na\tb\tc\n", "pairs.tsv:2"), (b"", "no pairs"), (b"\n", "no pairs")],
)
def test_pairs_that_are_none(text, message, fails, shelf, write):
    write("pairs.tsv", text)
    assert message in fails(3, "score", "-q", "--pairs", "pairs.tsv", "-m", shelf["juan.lm"]).stderr


@pytest.mark.parametrize("way", [["--explain"], ["--surprisal"], ["--pairs", "pairs.tsv"]], ids=" ".join)
def test_bare_numbers_are_of_lines(way, fails, shelf, write):
    """`--bare` has no meaning with these, so it is refused."""
    write("pairs.tsv", b"yo soy\tsoy yo\n")
    fails(2, "score", "-b", *way, "-m", shelf["juan.lm"], *([] if "--pairs" in way else [shelf["juan.txt"]]))


@pytest.mark.parametrize(
    "options",
    [
        ["--explain", "--surprisal"],
        ["--explain", "--pairs", "p"],
        ["--surprisal", "--pairs", "p"],
        ["--pairs", "p", "text.txt"],
    ],
)
def test_options_that_exclude_each_other(options, fails, shelf):
    fails(2, "score", *options, "-m", shelf["juan.lm"])
