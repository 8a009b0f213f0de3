import numpy as np
import pytest

from lmkit.errors import CheckpointError
from lmkit.evaluation.pooling import TokenVectors, bag, bags_of_words, cosine, pooled, text_vector
from lmkit.tokenization.tokenizers import WordTokenizer
from lmkit.tokenization.vocabulary import Vocabulary

TABLE = np.array([[0, 0], [3, 4], [1, 0], [0, 2], [5, 5]], dtype=np.float32)


class Model:
    """Words whose vectors where they stand are those of the table, added up from the first on."""

    form = None

    def __init__(self, table=TABLE):
        self.tokenizer = WordTokenizer(Vocabulary.of([b"<unk>", b"<s>", b"</s>", b"a", b"b"]))
        self._table = table

    def table(self):
        return self._table

    def vectors(self, ids):
        return np.cumsum(self._table[ids], axis=0)


class Subwords(Model):
    """The same; unknown words have vectors of ones."""

    def made(self, line):
        return {place: (word, np.ones(2)) for place, word in enumerate(line.split()) if word not in (b"a", b"b")}


def test_vectors_of_tokens_alone_and_where_they_stand():
    static, contextual = (TokenVectors(Model(), static=static).of_line(b"a b a") for static in (True, False))
    assert static.ids.tolist() == contextual.ids.tolist() == [3, 4, 3]
    assert static.vectors.tolist() == [[0, 2], [5, 5], [0, 2]]
    assert contextual.vectors.tolist() == [[0, 2], [5, 7], [5, 9]]
    assert static.spelled == {}


def test_unknown_words_may_have_vectors():
    vectors = TokenVectors(Subwords(), static=True)
    found = vectors.of_line(b"a x y")
    assert found.vectors.tolist() == [[0, 2], [1, 1], [1, 1]]
    assert found.spelled == {1: b"x", 2: b"y"}
    vectors.of_line(b"z x")
    assert list(vectors.made) == [b"x", b"y", b"z"]


def test_weights_without_numbers_are_damage():
    table = TABLE.copy()
    table[3] = np.nan
    with pytest.raises(CheckpointError, match="damaged checkpoint"):
        TokenVectors(Model(table), static=True).of_line(b"a")


def test_one_vector_for_several():
    assert pooled(TABLE[[3, 0, 4]], "mean").tolist() == [2.5, 3.5]  # zeros are none
    assert pooled(TABLE[[3, 4, 0]], "last").tolist() == [5, 5]
    assert pooled(TABLE[[0]], "mean") is None
    assert text_vector(Model(), "a\nb").tolist() == [2.5, 4.5]
    assert text_vector(Model(), "") is None


def test_bags_and_angles():
    assert bag(np.array([1, 3, 1], dtype=np.int32), 4).tolist() == [0, 2, 0, 1]
    assert [one.tolist() for one in bags_of_words([b"b a b", b"", b"c"])] == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]
    assert cosine(TABLE[1], TABLE[2]) == pytest.approx(0.6)
    assert cosine(TABLE[0], TABLE[2]) == 0
