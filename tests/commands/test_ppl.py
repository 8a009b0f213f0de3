"""`lmkit ppl`."""

import json
import math

import pytest

KEYS = [
    "file", "perplexity", "perplexity_known", "tokens", "unknown_tokens", "nats",
    "bits_per_token", "bits_per_word", "bits_per_character", "bits_per_byte", "signature",
]  # fmt: skip


@pytest.fixture
def ppl(lmkit):
    def ppl(*arguments, stdin=b""):
        done = lmkit("ppl", "--json", *arguments, stdin=stdin)
        assert done.status == 0, done.stderr
        return done.records

    return ppl


def test_worked_example(ppl, shelf):
    """Yo soy Juan: twelve tokens of joint probability 1/729, so a perplexity of 729^(1/12), the root of 3."""
    (record,) = ppl("-m", shelf["juan.lm"], shelf["juan.txt"])
    assert list(record)[: len(KEYS)] == KEYS
    assert record["perplexity"] == record["perplexity_known"] == pytest.approx(math.sqrt(3), rel=1e-12)
    assert (record["tokens"], record["unknown_tokens"]) == (12, 0)
    assert record["nats"] == pytest.approx(-math.log(729), rel=1e-12)
    bits = math.log2(729)
    text = shelf["juan.txt"].read_text()
    assert record["bits_per_token"] == pytest.approx(bits / 12, rel=1e-12)
    assert record["bits_per_word"] == pytest.approx(bits / 9, rel=1e-12)
    assert record["bits_per_character"] == record["bits_per_byte"] == pytest.approx(bits / len(text), rel=1e-12)


def test_worked_example_line_by_line(lmkit, shelf):
    done = lmkit("ppl", "--explain", "--json", "-m", shelf["juan.lm"], shelf["juan.txt"])
    *lines, summary = done.records
    assert [line["text"] for line in lines] == ["yo soy Juan", "Juan yo soy", "yo no salto"]
    assert [line["line"] for line in lines] == [1, 2, 3]
    assert [line["tokens"] for line in lines] == [4, 4, 4]
    assert [line["probability"] for line in lines] == pytest.approx([1 / 9, 1 / 18, 2 / 9])
    assert [line["perplexity"] for line in lines] == pytest.approx([1.7320508, 2.0597671, 1.4564753], abs=5e-8)
    assert math.prod(line["probability"] for line in lines) == pytest.approx(1 / 729)
    assert summary["probability"] == pytest.approx(1 / 729)
    for key in ("perplexity", "perplexity_from_entropy", "perplexity_from_cross_entropy"):
        assert summary[key] == pytest.approx(math.sqrt(3), rel=1e-12)
    assert summary["tokens"] == 12
    shown = lmkit("ppl", "--explain", "-m", shelf["juan.lm"], shelf["juan.txt"]).text
    assert "1.73205" in shown.splitlines()[1]
    assert "perplexity_from_entropy\t1.73205081\n" in shown


@pytest.mark.parametrize(
    "name", ["word-0.lm", "witten-bell-1.lm", "modified-kneser-ney-4.lm", "char-katz.lm", "byte-witten-bell.lm"]
)
@pytest.mark.parametrize("options", [[], ["--no-eos"]])
def test_three_formulas_agree(name, options, lmkit, shelf):
    done = lmkit("ppl", "--explain", "--json", *options, "-m", shelf[name], shelf["test.txt"])
    summary = done.records[-1]
    (record,) = lmkit("ppl", "--json", *options, "-m", shelf[name], shelf["test.txt"]).records
    for key in ("perplexity", "perplexity_from_entropy", "perplexity_from_cross_entropy"):
        assert summary[key] == pytest.approx(record["perplexity"], rel=1e-9)


def test_numbers_by_hand(ppl, shelf):
    """Four words of probability .5, .3, .15, .05; ends of lines can't be had, so they are left out."""
    (record,) = ppl("--no-eos", "-m", shelf["four.arpa"], stdin=b"a b\n\n c  d\ta\n")
    bits = -math.log2(0.5 * 0.3 * 0.15 * 0.05 * 0.5)
    assert record["tokens"] == 5
    assert record["nats"] == pytest.approx(-bits * math.log(2))
    assert record["perplexity"] == pytest.approx(2 ** (bits / 5))
    assert record["bits_per_token"] == pytest.approx(bits / 5)
    assert record["bits_per_word"] == pytest.approx(bits / 5)
    assert record["bits_per_character"] == pytest.approx(bits / 10)
    assert record["file"] == "<stdin>"


def test_characters_and_bytes_are_counted_with_the_ends_of_lines(ppl, shelf):
    text = "el árbol 😀\nniña\n"
    (record,) = ppl("-m", shelf["witten-bell-2.lm"], stdin=text.encode())
    bits = -record["nats"] / math.log(2)
    assert record["bits_per_character"] == pytest.approx(bits / len(text))
    assert record["bits_per_byte"] == pytest.approx(bits / len(text.encode()))
    (record,) = ppl("--no-eos", "-m", shelf["witten-bell-2.lm"], stdin=text.encode())
    bits = -record["nats"] / math.log(2)
    assert record["bits_per_character"] == pytest.approx(bits / (len(text) - 2))
    assert record["bits_per_byte"] == pytest.approx(bits / (len(text.encode()) - 2))


def test_unknown_words_are_counted_and_can_be_left_out(ppl, lmkit, shelf):
    (record,) = ppl("-m", shelf["witten-bell-2.lm"], stdin=b"the zebra sat\n")
    scores = lmkit("score", "--json", "--explain", "-m", shelf["witten-bell-2.lm"], stdin=b"the zebra sat\n").records[
        0
    ]["factors"]
    assert (record["tokens"], record["unknown_tokens"]) == (4, 1)
    known = [factor["nats"] for factor in scores if factor["token"] != "<unk>"]
    assert len(known) == 3
    assert record["perplexity"] == pytest.approx(math.exp(-sum(factor["nats"] for factor in scores) / 4))
    assert record["perplexity_known"] == pytest.approx(math.exp(-sum(known) / 3))


@pytest.mark.parametrize(("name", "unknown"), [("word-0.lm", 0), ("open-0.lm", 1)])
def test_order_0_has_the_size_of_the_vocabulary_as_perplexity(name, unknown, ppl, shelf):
    words = set(shelf["corpus.txt"].read_text().split())
    (record,) = ppl("-m", shelf[name], shelf["corpus.txt"])
    assert record["perplexity"] == pytest.approx(len(words) + 1 + unknown, rel=1e-12)


@pytest.mark.parametrize("tokens", ["char", "byte"])
def test_bits_per_byte_compare_tokens_of_any_kind(tokens, ppl, lmkit, work, write):
    write("text.txt", "añ\n".encode())
    lmkit("ngram", "fit", "--order", "0", "--tokens", tokens, "text.txt", "-q", "-o", "m.lm")
    (record,) = ppl("-m", "m.lm", "text.txt")
    size, tokens_seen = {"char": (3, 3), "byte": (257, 4)}[tokens]
    assert record["tokens"] == tokens_seen
    assert record["bits_per_byte"] == pytest.approx(tokens_seen * math.log2(size) / 4)


# What can't be, according to the model.


def test_an_infinite_perplexity_is_said_and_explained(lmkit, shelf):
    done = lmkit("ppl", "--json", "-m", shelf["juan.lm"], stdin=b"yo soy Juan\nsoy yo\n")
    assert done.status == 0
    assert '"perplexity": Infinity' in done.text
    assert "NaN" not in done.text
    (record,) = done.records
    assert record["perplexity"] == record["bits_per_word"] == math.inf
    assert record["nats"] == -math.inf
    assert record["impossible"] == ["<s> soy", "soy yo", "yo </s>"] or record["impossible"] == [
        "soy",
        "soy yo",
        "yo </s>",
    ]
    (message,) = done.stderr.splitlines()
    assert "infinite" in message
    assert "'soy yo'" in message
    assert lmkit("ppl", "-b", "-m", shelf["juan.lm"], stdin=b"soy yo\n").text == "inf\n"
    assert lmkit("ppl", "-m", shelf["juan.lm"], stdin=b"soy yo\n").rows[0]["perplexity"] == "inf"


def test_an_unknown_word_that_can_not_be(lmkit, shelf):
    (record,) = lmkit("ppl", "--json", "-m", shelf["juan.lm"], stdin=b"yo soy Pedro\n").records
    assert record["perplexity"] == math.inf
    assert record["unknown_tokens"] == 1
    assert any("<unk>" in gram for gram in record["impossible"])


def test_only_the_first_impossible_ones_are_named(lmkit, shelf):
    (record,) = lmkit("ppl", "--json", "-m", shelf["juan.lm"], stdin=b"soy yo\n" * 100).records
    assert len(record["impossible"]) == 10


def test_explanations_of_what_can_not_be(lmkit, shelf):
    for text in (b"soy yo\n", b"yo soy Juan\nsoy yo\n"):
        done = lmkit("ppl", "--explain", "--json", "-m", shelf["juan.lm"], stdin=text)
        assert done.status == 0, done.stderr
        assert "NaN" not in done.text
        *lines, summary = done.records
        assert lines[-1]["probability"] == 0
        assert summary["perplexity"] == math.inf


def test_very_long_texts_do_not_underflow(lmkit, shelf):
    done = lmkit("ppl", "--json", "-m", shelf["witten-bell-2.lm"], stdin=b"the cat sat on the mat\n" * 3000)
    (record,) = done.records
    assert 1 < record["perplexity"] < 20
    summary = lmkit(
        "ppl", "--explain", "--json", "-m", shelf["witten-bell-2.lm"], stdin=b"the cat sat on the mat\n" * 3000
    ).records[-1]
    assert summary["perplexity_from_entropy"] == pytest.approx(record["perplexity"])


def test_a_text_without_a_line_has_no_perplexity(lmkit, shelf):
    done = lmkit("ppl", "-m", shelf["juan.lm"], stdin=b"")
    assert done.status == 3
    assert done.stdout == b""


def test_empty_lines_are_lines(ppl, lmkit, shelf):
    (record,) = ppl("-m", shelf["witten-bell-2.lm"], stdin=b"\n\n")
    assert record["tokens"] == 2
    assert lmkit("ppl", "-m", shelf["witten-bell-2.lm"], "--no-eos", stdin=b"\n\n").status == 3


# Several files, several models.


def test_several_files_have_a_line_each_and_a_total(ppl, shelf):
    records = ppl("-m", shelf["witten-bell-3.lm"], shelf["test.txt"], shelf["juan.txt"])
    assert [record["file"] for record in records] == [str(shelf["test.txt"]), str(shelf["juan.txt"]), "total"]
    for key in ("tokens", "unknown_tokens", "nats"):
        assert records[2][key] == pytest.approx(records[0][key] + records[1][key])
    joined = shelf["test.txt"].read_bytes() + shelf["juan.txt"].read_bytes()
    (whole,) = ppl("-m", shelf["witten-bell-3.lm"], stdin=joined)
    assert records[2]["perplexity"] == pytest.approx(whole["perplexity"], rel=1e-12)


def test_several_models_are_set_side_by_side(ppl, lmkit, shelf):
    models = [shelf["witten-bell-3.lm"], shelf["mkn.arpa"], shelf["char-katz.lm"]]
    options = [word for model in models for word in ("-m", model)]
    records = ppl(*options, shelf["test.txt"])
    assert [record["model"] for record in records] == list(map(str, models))
    for model, record in zip(models, records, strict=True):
        (alone,) = ppl("-m", model, shelf["test.txt"])
        assert alone == record
    assert len(lmkit("ppl", "-b", *options, shelf["test.txt"]).lines) == 3
    rows = lmkit("ppl", *options, shelf["test.txt"]).rows
    assert [row["model"] for row in rows] == list(map(str, models))


def test_explanations_are_of_one_model(lmkit, shelf):
    """None of several models is passed over in silence."""
    done = lmkit("ppl", "--explain", "-m", shelf["juan.lm"], "-m", shelf["word-0.lm"], shelf["juan.txt"])
    assert done.status == 2


def test_bytes_that_are_no_text_go_with_models_of_bytes_only(lmkit, shelf):
    text = b"the \xff cat\n"
    assert lmkit("ppl", "-m", shelf["byte-witten-bell.lm"], stdin=text).status == 0
    assert lmkit("ppl", "-m", shelf["char-witten-bell.lm"], stdin=text).status == 3
    both = lmkit("ppl", "-m", shelf["byte-witten-bell.lm"], "-m", shelf["char-witten-bell.lm"], stdin=text)
    assert both.status == 3


# How it is shown.


def test_a_table_has_a_header_and_six_digits(lmkit, shelf):
    done = lmkit("ppl", "-m", shelf["juan.lm"], shelf["juan.txt"])
    assert done.lines[0].split("\t") == KEYS
    (row,) = done.rows
    assert row["perplexity"] == "1.73205"
    assert row["tokens"] == "12"
    assert done.stderr == ""


def test_bare_is_one_number_in_full(lmkit, shelf):
    done = lmkit("ppl", "-b", "-m", shelf["witten-bell-3.lm"], shelf["test.txt"], shelf["juan.txt"])
    records = lmkit("ppl", "--json", "-m", shelf["witten-bell-3.lm"], shelf["test.txt"], shelf["juan.txt"]).records
    assert [float(line) for line in done.lines] == [records[-1]["perplexity"]]


def test_signature_says_what_the_number_depends_on(ppl, shelf):
    def signature(*arguments):
        return dict(part.split(":", 1) for part in ppl(*arguments, shelf["test.txt"])[-1]["signature"].split("|"))

    plain = signature("-m", shelf["witten-bell-3.lm"])
    assert plain["kind"] == "ngram"
    assert (plain["order"], plain["smoothing"], plain["tokens"], plain["eos"]) == ("3", "witten-bell", "word", "yes")
    without = signature("--no-eos", "-m", shelf["witten-bell-3.lm"])
    assert {key for key in plain if plain[key] != without[key]} == {"eos"}
    other = signature("-m", shelf["witten-bell-2.lm"])
    assert {key for key in plain if plain[key] != other[key]} == {"order", "model"}
    assert signature("-m", shelf["witten-bell-3.lm"]) == plain


def test_scores_that_are_no_probabilities_are_announced(lmkit, shelf):
    done = lmkit("ppl", "-b", "-m", shelf["stupid-backoff-3.lm"], shelf["test.txt"])
    assert done.status == 0
    assert "not probabilities" in done.stderr
    assert lmkit("ppl", "-b", "-q", "-m", shelf["stupid-backoff-3.lm"], shelf["test.txt"]).stderr == ""


def test_the_last_line_needs_no_end(ppl, shelf):
    text = shelf["test.txt"].read_bytes()
    (whole,), (cut,) = (
        ppl("-m", shelf["juan.lm"], stdin=text),
        ppl("-m", shelf["juan.lm"], stdin=text.removesuffix(b"\n")),
    )
    assert json.dumps(whole) == json.dumps(cut)


def test_models_are_compared(lmkit, shelf):
    """The one with the fewest bits per byte comes first, wherever it is named, and texts may be FILEs or stdin."""
    good, bad, text = shelf["modified-kneser-ney-3.lm"], shelf["word-0.lm"], shelf["corpus.txt"]
    done = lmkit("ppl", "--json", "--compare", bad, good, stdin=text.read_bytes())
    assert [record["model"] for record in done.records] == [str(good), str(bad)]
    bits = [record["bits_per_byte"] for record in done.records]
    assert bits == sorted(bits)
    assert done.stderr == f"lmkit: fewest bits per byte: {good} ({bits[0]:.6g})\n"
    for words in ["--compare", bad, good], ["-m", bad, "--compare", good], ["-m", good, "--compare", bad]:
        assert lmkit("ppl", "-b", text, *words).text == f"{good}\n"
    assert lmkit("ppl", "-b", "--compare", bad, bad, "--", text).text == f"{bad}\n"
    two = lmkit("ppl", "--json", text, text, "--compare", bad, good).records
    assert [(record["file"], record["model"]) for record in two[-2:]] == [("total", str(good)), ("total", str(bad))]
