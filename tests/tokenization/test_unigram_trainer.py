"""Unigram vocabularies: sums over segmentations as by enumeration, and texts as probable as by sentencepiece."""

import json
import math
from itertools import combinations

import numpy as np
import pytest

from lmkit.data.builtin_text import sentences
from lmkit.errors import DataError
from lmkit.tokenization import unigram_trainer
from lmkit.tokenization.unigram_trainer import WordCounter, fit
from lmkit.tokenization.word_lattice import Lattice, Text

pytest.importorskip("tokenizers")
PIECES = ["a", "b", "ab", "ba", "aba", "bb"]
SCORES = np.log([0.3, 0.2, 0.2, 0.1, 0.15, 0.05])
WORDS, COUNTS = ["abab", "b", "ababba"], [2, 5, 3]


def lattice():
    found = []
    for start, word in zip(np.cumsum([0, *map(len, WORDS)]), WORDS, strict=False):
        for begin, end in combinations(range(len(word) + 1), 2):
            if word[begin:end] in PIECES:
                found.append((start + begin, end - begin, PIECES.index(word[begin:end])))
    lengths = np.array([len(word) for word in WORDS])
    text = Text(np.zeros(lengths.sum(), np.int64), lengths, np.array(COUNTS))
    return Lattice.of(text, *np.array(found).T), text


def segmentations(word):
    """All ways to spell a word, as numbers of pieces."""
    if not word:
        return [[]]
    return [
        [number, *rest]
        for number, piece in enumerate(PIECES)
        if word.startswith(piece)
        for rest in segmentations(word[len(piece) :])
    ]


def test_sums_over_all_segmentations_are_those_of_enumeration():
    own, text = lattice()
    expected, nats = own.expected(SCORES, text.counts)
    wanted, likelihood = np.zeros(len(PIECES)), 0.0
    for word, count in zip(WORDS, COUNTS, strict=True):
        ways = segmentations(word)
        weights = np.exp([SCORES[way].sum() for way in ways])
        likelihood += count * math.log(weights.sum())
        for way, weight in zip(ways, weights, strict=True):
            np.add.at(wanted, way, count * weight / weights.sum())
    np.testing.assert_allclose(expected, wanted)
    assert nats == pytest.approx(likelihood)


def test_the_best_segmentation_is_that_of_enumeration():
    own, _ = lattice()
    back, nats = own.best(SCORES)
    found = [[] for _ in WORDS]
    for words, edges in own.paths(back):
        for word, edge in zip(words.tolist(), edges.tolist(), strict=True):
            found[word].insert(0, int(own.pieces[edge]))
    for word, path, end in zip(WORDS, found, own.last.tolist(), strict=True):
        best = max(segmentations(word), key=lambda way: SCORES[way].sum())
        assert path == best
        assert nats[end] == pytest.approx(SCORES[best].sum())


def test_digamma():
    special = pytest.importorskip("scipy.special")
    x = np.array([1e-3, 0.5, 1.0, 6.9, 7.0, 1e4])
    np.testing.assert_allclose(unigram_trainer._digamma(x), special.digamma(x), rtol=1e-8)


@pytest.fixture(scope="module")
def counts():
    counter = WordCounter()
    counter.add("".join(f"{line}\n" for line in PROSE).encode())
    return counter.total()


PROSE = list(sentences())[:700]


def nats(document, tokenizer):
    """Of the text's best segmentation under normalised scores."""
    scores = {piece: score for piece, score in document["model"]["vocab"] if piece.encode() not in tokenizer.names}
    total = math.log(sum(map(math.exp, scores.values())))
    ids = [int(token) for line in PROSE for token in tokenizer.encode(line.encode())]
    return sum(scores.get(tokenizer.written(token).decode(), -20.0) - total for token in ids)


def test_a_text_is_as_probable_as_under_sentencepieces_vocabulary(counts, tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    from lmkit.tokenization.formats import sentencepiece as reader

    size = 500
    own = fit(counts, size, special=["[MASK]"])
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(PROSE), model_prefix=str(tmp_path / "m"), minloglevel=2, num_threads=1,
        model_type="unigram", vocab_size=size - 1, normalization_rule_name="identity",
    )  # fmt: skip
    theirs = reader.read((tmp_path / "m.model").read_bytes())
    assert own.size == size
    assert own.names == {b"<unk>": 0, b"<s>": 1, b"</s>": 2, b"[MASK]": 3}
    assert nats(own.document, own) > 1.01 * nats(theirs.document, theirs)  # both are below 0
    pieces = [{piece for piece, _ in one.document["model"]["vocab"]} for one in (own, theirs)]
    assert len(pieces[0] & pieces[1]) > 0.6 * size
    assert fit(counts, size, special=["[MASK]"]).json == own.json
    assert own.decode(own.encode(PROSE[0].encode())).decode() == PROSE[0]
    scores = [score for _, score in json.loads(own.json)["model"]["vocab"]][4:]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(("size", "error"), [(20, "can't hold 3 special tokens"), (10**6, "can't be reached")])
def test_sizes_that_are_impossible(size, error, counts):
    with pytest.raises(DataError, match=error) as found:
        fit(counts, size)
    if size == 20:
        possible = int(found.value.hint.split()[1])
        assert fit(counts, possible).size == possible
