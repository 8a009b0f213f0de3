"""ARPA files: what KenLM makes of ours, what we make of others', and what is no ARPA file at all."""

import gzip
import math
import re

import kenlm
import numpy as np
import oracle
import pytest
import small_models as small
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkit.errors import CheckpointError
from lmkit.ngram import arpa
from lmkit.ngram.backoff_model import NGram

quick = settings(deadline=None, max_examples=40)
LN10 = math.log(10)
METHODS = ("modified-kneser-ney", "kneser-ney", "absolute", "witten-bell", "katz", "add-k", "mle", "stupid-backoff")


def exported(model):
    return b"".join(arpa.write(model.tables, model.tokenizer.vocabulary.pieces()))


def imported(data):
    tables, tokenizer = arpa.read(data)
    return NGram(tables, tokenizer, {"order": len(tables), "smoothing": "imported"})


def same_tables(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        for left, right in zip(a, b, strict=True):
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)


# KenLM.


def kenlm_model(path):
    config = kenlm.Config()
    config.show_progress = False
    return kenlm.Model(str(path), config)


def compare_with_kenlm(model, path, sentences):
    theirs = kenlm_model(path)
    assert theirs.order == model.order
    ids, ends = small.encoded(model, sentences)
    nats, orders = model.score_many(ids, ends), model.orders_many(ids, ends)
    expected = [score for sentence in sentences for score in theirs.full_scores(" ".join(sentence))]
    assert len(expected) == len(nats)
    log10 = np.array([score[0] for score in expected])
    possible = log10 > -90
    np.testing.assert_allclose(nats[possible] / LN10, log10[possible], rtol=0, atol=1e-5)
    assert (nats[~possible] == -np.inf).all()
    assert orders.tolist() == [score[1] for score in expected]
    assert (ids == 0).tolist() == [score[2] for score in expected]


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("method", METHODS[:-1])  # an ARPA file has no weight for contexts never seen
def test_kenlm_scores_alike(method, order, tmp_path):
    sentences = small.zipf(order, sentences=150, types=150)
    model = small.model(sentences, order, method)
    (tmp_path / "model.arpa").write_bytes(exported(model))
    held_out = small.zipf(order + 10, sentences=60, types=200)
    others = [[], ["OOV"], ["OOV", "w1", "ñandú"]]
    compare_with_kenlm(model, tmp_path / "model.arpa", [*others, *sentences[:40], *held_out])


@quick
@given(small.corpora("abc", most=6), st.integers(2, 5), small.corpora("abcz", most=6, length=9))
def test_kenlm_scores_tiny_models_alike(tmp_path_factory, sentences, order, others):
    model = small.model(sentences, order)
    path = tmp_path_factory.getbasetemp() / "tiny.arpa"
    path.write_bytes(exported(model))
    compare_with_kenlm(model, path, others)


@pytest.mark.parametrize("prune", [[0, 1], [0, 0, 1]])
def test_kenlm_scores_pruned_and_compressed_models_alike(prune, tmp_path):
    sentences = small.zipf(3, sentences=150, types=100)
    model = small.model(sentences, 3, prune=prune)
    (tmp_path / "model.arpa.gz").write_bytes(gzip.compress(exported(model)))
    compare_with_kenlm(model, tmp_path / "model.arpa.gz", [["OOV"], *small.zipf(4, sentences=50, types=120)])


# There and back.


@pytest.mark.few(1)
@pytest.mark.parametrize("method", METHODS)
@quick
@given(sentences=small.corpora("abcé", more=("<unk>", "\\end\\", "-1", "\x0b\xa0")), order=st.integers(1, 5))
def test_export_and_import_give_the_same_tables(method, sentences, order):
    model = small.model(sentences, order, method, open_vocabulary=method != "mle")
    again = imported(exported(model))
    assert again.tokenizer.vocabulary.pieces() == model.tokenizer.vocabulary.pieces()
    same_tables(again.tables, model.tables)


def test_single_precision_survives_too(monkeypatch):
    from lmkit.ngram import backoff_estimation

    monkeypatch.setattr(backoff_estimation, "EXACT", 10)
    model = small.model(small.zipf(2, sentences=60), 3)
    assert model.tables[1].log10.dtype == np.float32
    same_tables(imported(exported(model)).tables, model.tables)


def test_layout():
    model = small.model([["a"]], 2, "mle", open_vocabulary=False)
    assert exported(model).decode().split("\n") == [
        "\\data\\", "ngram 1=4", "ngram 2=2", "",
        "\\1-grams:", "-99\t<unk>\t0", "0\t<s>\t-99", "-0.3010299956639812\t</s>\t0", "-0.3010299956639812\ta\t-99", "",
        "\\2-grams:", "0\t<s> a", "0\ta </s>", "",
        "\\end\\", "",
    ]  # fmt: skip


def test_batches_do_not_show(monkeypatch):
    model = small.model(small.zipf(2, sentences=60), 3)
    whole = exported(model)
    monkeypatch.setattr(arpa, "BATCH", 7)
    assert exported(model) == whole


def test_orders_without_ngrams():
    model = small.model([["a"]], 5)
    assert [len(table.log10) for table in model.tables] == [4, 2, 1, 0, 0]
    same_tables(imported(exported(model)).tables, model.tables)


# Dialects.


def spelled(model, draw):
    """A model as someone else would write it, and the counts that go with it."""
    separator = draw(st.sampled_from(["\t", " ", "  \t"]))
    zero = draw(st.sampled_from(["-99", "-99.0", "-100", "-inf", "-9.9e1"]))
    short, backed_off, upper = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    trailing, crlf, unknown = draw(st.sampled_from(["", " ", "\t"])), draw(st.booleans()), draw(st.booleans())

    def figure(value):
        return zero if value == -math.inf else repr(value)

    sections = [[] for _ in model.tables]
    for gram, (log10, backoff) in small.listed(model).items():
        if gram == ("<unk>",) and not unknown:
            continue
        words = separator[:1].join("<UNK>" if word == "<unk>" and upper else word for word in gram)
        if len(gram) > 1:
            words = " ".join(gram).replace("<unk>", "<UNK>") if upper else " ".join(gram)
        fields = [figure(log10), words]
        if backoff is None:
            fields += ["0"] * backed_off
        elif backoff or not short:
            fields.append(figure(backoff))
        sections[len(gram) - 1].append(separator.join(fields) + trailing)
    gap = draw(st.sampled_from(["", "\n", " \n\n"]))
    sections = [draw(st.permutations(lines)) if len(lines) < 12 else lines[::-1] for lines in sections]
    text = draw(st.sampled_from(["", "\n\n", "made by hand\n\n", "\\data is\n ngram 9=9\n"]))
    text += draw(st.sampled_from(["\\data\\", " \\data\\ "])) + "\n"
    template = draw(st.sampled_from(["ngram {}={}\n", "ngram  {} = {} \n", "ngram {}= {}\n"]))
    text += "".join(template.format(order, len(lines)) for order, lines in enumerate(sections, 1))
    for order, lines in enumerate(sections, 1):
        text += f"{gap}\\{order}-grams:\n" + "".join(line + "\n" for line in lines)
    text += gap + "\\end\\" + draw(st.sampled_from(["", "\n", "\n\n", "\nmore text\n"]))
    return text.replace("\n", "\r\n") if crlf else text


def agrees(model, text, longest):
    """Whether the model gives what the file says, by dictionaries, after every history."""
    reference = oracle.Backoff(text)
    words = small.pieces(model)
    histories = list(small.histories([word for word in words if word in "<unk></s>abc"], longest))
    found = small.probabilities(model, histories, words)
    expected = [[10 ** reference.score(w, history) if w != "<s>" else 0.0 for w in words] for history in histories]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@quick
@given(small.corpora("abc", more=("<unk>",)), st.integers(1, 3), st.sampled_from(["witten-bell", "mle"]), st.data())
def test_dialects(sentences, order, method, data):
    model = small.model(sentences, order, method)
    text = spelled(model, data.draw)
    found = imported(text.encode())
    assert found.order == order
    assert set(small.pieces(found)) == set(small.pieces(model))
    agrees(found, text, order - 1)


@quick
@given(small.corpora("abc", more=("<unk>",)), st.integers(2, 4), st.data())
def test_prefixes_that_a_pruned_model_lacks_are_put_back(sentences, order, data):
    lines = exported(small.model(sentences, order)).decode().splitlines()
    inner = [n for n, line in enumerate(lines) if line.count(" ") in range(1, order) and not line.startswith("ngram")]
    gone = data.draw(st.sets(st.sampled_from(inner)))
    sizes = [0] * order
    for number, line in enumerate(lines):
        if "\t" in line and number not in gone:
            sizes[line.split("\t")[1].count(" ")] += 1
    kept = [line for number, line in enumerate(lines) if number not in gone and not line.startswith("ngram")]
    kept[1:1] = [f"ngram {k}={size}" for k, size in enumerate(sizes, 1)]
    text = "\n".join(kept) + "\n"
    found = imported(text.encode())
    agrees(found, text, min(order - 1, 2))
    everything = small.listed(found)
    assert all(gram[:-1] in everything for gram in everything if len(gram) > 1)
    same_tables(imported(exported(found)).tables, found.tables)


# What is not well formed.

VALID = """\
\\data\\
ngram 1=6
ngram 2=4
ngram 3=2

\\1-grams:
-1\t<unk>
0\t<s>\t-0.5
-0.5\t</s>
-0.6\ta\t-0.25
-0.7\tb\t-0.125
-0.8\tc\t0

\\2-grams:
-0.3\t<s> a\t-0.2
-0.4\ta b\t-0.1
-0.2\tb a
-0.9\tb </s>

\\3-grams:
-0.1\t<s> a b
-0.15\ta b </s>

\\end\\
"""

MALFORMED = {
    "no data": ("\\data\\", "\\date\\", None),
    "no counts": ("ngram 1=6\nngram 2=4\nngram 3=2\n", "", 2),
    "counts without the first": ("ngram 1=6\n", "", 2),
    "counts in disorder": ("ngram 2=4\nngram 3=2", "ngram 3=2\nngram 2=4", 3),
    "a negative count": ("ngram 2=4", "ngram 2=-4", None),
    "a count too large": ("ngram 2=4", "ngram 2=5", "section"),
    "a count too small": ("ngram 2=4", "ngram 2=3", "section"),
    "an order more announced": ("ngram 3=2", "ngram 3=2\nngram 4=0", "section"),
    "an order less announced": ("ngram 3=2\n", "", "section"),
    "a unigram count too large": ("ngram 1=6", "ngram 1=7", "section"),
    "no section mark": ("\\2-grams:\n", "", "section"),
    "another section mark": ("\\2-grams:", "\\4-grams:", "section"),
    "an unknown word": ("-0.4\ta b", "-0.4\ta z", 16),
    "an unknown context": ("-0.1\t<s> a b", "-0.1\tz a b", 21),
    "a probability that is no number": ("-0.4\ta b", "x\ta b", 16),
    "a unigram probability that is no number": ("-0.6\ta", "--6\ta", 10),
    "a backoff that is no number": ("-0.4\ta b\t-0.1", "-0.4\ta b\tx", 16),
    "a probability that is not a number": ("-0.4\ta b", "nan\ta b", 16),
    "a backoff that is not a number": ("-0.4\ta b\t-0.1", "-0.4\ta b\tNaN", 16),
    "an infinite backoff": ("-0.4\ta b\t-0.1", "-0.4\ta b\tinf", 16),
    "a backoff beyond all numbers": ("-0.4\ta b\t-0.1", "-0.4\ta b\t1e999", 16),
    "a probability above one": ("-0.4\ta b", "0.4\ta b", 16),
    "an infinite probability": ("-0.4\ta b", "inf\ta b", 16),
    "a unigram probability above one": ("-0.6\ta", "0.6\ta", 10),
    "underscores in a number": ("-0.4\ta b", "-1_0.4\ta b", 16),
    "too few words": ("-0.4\ta b\t-0.1", "-0.4\ta", 16),
    "too many words": ("-0.1\t<s> a b", "-0.1\t<s> a b a b", 21),
    "a unigram without a word": ("-0.6\ta\t-0.25", "-0.6", 10),
    "the last unigram without a word": ("-0.8\tc\t0", "-0.8", 12),
    "a bigram twice": ("-0.2\tb a\n", "-0.2\ta b\n", 17),
    "a trigram twice": ("-0.15\ta b </s>", "-0.15\t<s> a b", 22),
    "a unigram twice": ("-0.8\tc\t0", "-0.8\ta\t0", 12),
    "two unknown words": ("-0.8\tc\t0", "-0.8\t<UNK>\t0", 12),
    "no end": ("\\end\\\n", "", 23),
    "another end": ("\\end\\", "\\End\\", 24),
    "text before the end": ("\n\\end\\", "\nend \\end\\", None),
}


def refused(data):
    with pytest.raises(CheckpointError) as raised:
        arpa.read(data)
    return str(raised.value)


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_are_refused_with_the_line(case):
    old, new, line = MALFORMED[case]
    assert VALID.count(old) == 1
    message = refused(VALID.replace(old, new).encode())
    if case == "no data":
        assert "\\data\\" in message
        return
    named = re.match(r"line (\d+): \S", message)
    assert named, message
    if isinstance(line, int):
        assert int(named[1]) == line, message


def test_the_file_that_the_malformed_ones_come_from_is_good():
    model = imported(VALID.encode())
    agrees(model, VALID, 2)
    assert [len(table.log10) for table in model.tables] == [6, 4, 2]


@pytest.mark.parametrize("piece", [1, 8, 30, 100])
def test_the_pieces_that_are_read_at_a_time_do_not_show(piece, monkeypatch):
    texts = [VALID.replace(old, new).encode() for name, (old, new, _) in MALFORMED.items() if name != "no data"]
    messages, tables = [refused(text) for text in texts], arpa.read(VALID.encode())[0]
    monkeypatch.setattr(arpa, "PIECE", piece)
    same_tables(arpa.read(VALID.encode())[0], tables)
    for text, message in zip(texts, messages, strict=True):
        assert refused(text).split(":")[0] == message.split(":")[0]


def test_a_file_cut_anywhere_is_refused():
    data = VALID.encode()
    whole = data.index(b"\\end\\") + len(b"\\end\\")
    for cut in range(whole):
        refused(data[:cut])
    for cut in range(whole, len(data) + 1):
        same_tables(arpa.read(data[:cut])[0], arpa.read(data)[0])


edits = st.lists(
    st.tuples(st.integers(0, len(VALID)), st.integers(0, 2), st.binary(max_size=3) | st.sampled_from(
        [b"\n", b"\t", b" ", b"\r", b"\0", b"-", b"9", b"inf", b"\\", b"\n\\", b"a b", b"<s>", b"e999", b"\xff"]
    )), min_size=1, max_size=4,
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(edits)
@example([(VALID.index("-0.25"), 5, b"1e999")])
def test_damage_is_refused_or_harmless(changes):
    """Nothing but CheckpointError, no warning, and whatever is read can be scored."""
    data = VALID.encode()
    for place, length, insert in changes:
        data = data[:place] + insert + data[place + length :]
    try:
        model = imported(data)
    except CheckpointError:
        return
    histories = list(small.histories(["a", "b", "</s>"], 2))
    ids = small.number(model)
    if "a" in ids and "b" in ids:
        found = small.probabilities(model, histories, ["a", "b"])
        assert not np.isnan(found).any()


@pytest.mark.parametrize(
    ("start", "answer"),
    [
        (b"\\data\\\nngram 1=1\n", True), (b"\n\n\\data\\\r\nngram 1=1\n", True), (b"some words\n \\data\\ \n", True),
        (b"", False), (b"\\data\\", False), (b"a \\data\\\n", False), (b"\\data\\x\n", False), (b"a b c\n", False),
    ],
)  # fmt: skip
def test_is_arpa(start, answer):
    assert arpa.is_arpa(start) is answer
