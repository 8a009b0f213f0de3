"""Neighbours, analogies and checkpoints of word vectors, against brute force in float64."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit import checkpoint
from lmkit.errors import CheckpointError, DataError
from lmkit.tokenization.normalization import Normalization
from lmkit.tokenization.vocabulary import NAMES, Vocabulary
from lmkit.word_vectors.vector_space import VectorSpace, cosine, distance


def space_of(rows):
    """A space of words w0, w1 and so on; `<unk>`, `<s>` and `</s>` have no vectors."""
    rows = np.array(rows, dtype=np.float32)
    table = np.concatenate((np.zeros((3, rows.shape[1]), dtype=np.float32), rows))
    return VectorSpace(Vocabulary.of([*NAMES, *(b"w%d" % number for number in range(len(rows)))]), table)


def with_all(space):
    """The same space with vectors of contexts and with counts."""
    counts = np.arange(len(space.centre), dtype=np.int64)
    return VectorSpace(space.tokenizer.vocabulary, space.centre, -space.centre, counts)


def unit(vector):
    return vector / np.linalg.norm(vector) if vector.any() else vector


def same(found, wanted):
    assert [each.token for each in found] == [token for token, _ in wanted]
    assert [each.score for each in found] == pytest.approx([score for _, score in wanted], abs=1e-12)


whole = st.integers(-3, 3)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(whole, min_size=width, max_size=width), min_size=2, max_size=12)
).filter(lambda rows: any(map(any, rows)))  # fmt: skip


def close_ones(seed):
    """Vectors that float32 hardly tells apart, zeros and copies among them."""
    rng = np.random.default_rng(seed)
    rows = 1e3 + rng.normal(size=(60, 5)).astype(np.float32) * np.float32(0.01)
    rows[10:14] = rows[3]
    rows[20] = 0
    return rows


@given(tables, st.data())
def test_the_nearest_are_those_of_brute_force(rows, data):
    check_nearest(space_of(rows), data.draw(st.integers(1, 13)), data.draw(st.none() | st.integers(1, 13)))


@pytest.mark.parametrize("seed", range(5))
def test_words_that_float32_hardly_tells_apart(seed):
    check_nearest(space_of(close_ones(seed)), 7, None)


def check_nearest(space, most, limit):
    units = np.array([unit(row) for row in space.centre.astype(np.float64)])
    ids = space.words().tolist()
    together = space.similar(ids, most, limit=limit)
    for token, found in zip(ids, together, strict=True):
        cosines = [float(units[token] @ row) if row.any() else None for row in units]
        exact = {
            i: c for i, c in enumerate(cosines) if c is not None and i != token and (limit is None or i < limit + 3)
        }
        assert found == space.similar([token], most, limit=limit)[0]  # to the last bit, whoever is asked for beside it
        assert len(found) == min(most, len(exact))
        assert [each.score for each in found] == pytest.approx(sorted(exact.values(), reverse=True)[:most], abs=1e-12)
        for one, other in pairwise(found):
            assert (-one.score, one.token) < (-other.score, other.token)
        for each in found:
            assert each.score == pytest.approx(exact[each.token], abs=1e-12)


@given(tables, st.data(), st.booleans())
def test_analogies_are_those_of_brute_force(rows, data, multiply):
    space = space_of(rows)
    ids = st.sampled_from(space.words().tolist())
    positive = data.draw(st.lists(ids, min_size=1, max_size=3))
    negative = data.draw(st.lists(ids, max_size=2))
    units = np.array([unit(row) for row in space.centre.astype(np.float64)])
    found = space.analogy(positive, negative, 20, multiply=multiply)
    if multiply:
        halves = (1 + units @ units.T) / 2
        scores = halves[positive].prod(axis=0) / (halves[negative].prod(axis=0) + 1e-6)
    else:
        scores = units @ unit(units[positive].sum(axis=0) - units[negative].sum(axis=0))
    asked = {*positive, *negative}
    assert {each.token for each in found} == set(space.words().tolist()) - asked
    for each in found:
        assert each.score == pytest.approx(scores[each.token], rel=1e-7, abs=1e-7)
    assert found == sorted(found, key=lambda each: (-each.score, each.token))
    assert space.analogy(positive, negative, 2, multiply=multiply) == found[:2]


def test_ties_go_to_the_first_word():
    space = space_of([[1, 0], [0, 1], [1, 1], [0, 2], [0, 1]])
    same(space.similar([3], 4)[0], [(5, 0.5**0.5), (4, 0.0), (6, 0.0), (7, 0.0)])
    same(space.similar([4], 2)[0], [(6, 1.0), (7, 1.0)])


def test_zero_rows_are_near_nothing_and_known_to_nobody():
    space = space_of([[1, 0], [0, 0], [-1, 0]])
    same(space.similar([3], 9)[0], [(5, -1.0)])
    same(space.analogy([3], [], 9, multiply=True), [(5, 0.0)])
    assert space.find([b"w0", b"w1", b"w2", b"w3", b"<unk>", b""]).tolist() == [3, -1, 5, -1, -1, -1]
    with pytest.raises(DataError, match="no vector for 'w1', 'w9'"):
        space.known([b"w1", b"w0", b"w9"])


def test_a_sum_of_nothing_is_near_nothing_in_particular():
    space = space_of([[1, 0], [0, 1]])
    same(space.analogy([3], [3], 5), [(4, 0.0)])


def test_cosines_and_distances():
    one, other, none = np.array([1.0, 1, 1]), np.array([1.0, 1, 0]), np.zeros(3)
    assert cosine(one, other) == pytest.approx(0.816496580927726)
    assert cosine(one, one) == 1
    assert cosine(one, none) is None
    assert distance(one, other) == 1
    assert distance(one, none) == pytest.approx(3**0.5)


@given(tables)
def test_a_space_survives_its_checkpoint(rows):
    space = with_all(space_of(rows))
    data = b"".join(checkpoint.serialize(space.to_checkpoint({})))
    again = VectorSpace.from_checkpoint(checkpoint.parse(memoryview(data)))
    assert b"".join(checkpoint.serialize(again.to_checkpoint({}))) == data
    for name in "centre", "context", "counts", "norms":
        assert getattr(again, name).tobytes() == getattr(space, name).tobytes()
    assert again.similar(again.words().tolist(), 3) == space.similar(space.words().tolist(), 3)


PIECES = [b"the", b"cat", b"new_york", b"fi", b"KB", b",", "é".encode()]
PUNCTUATED = st.sampled_from(
    ["The", "CAT", "cat,", ",", "New_York", "ﬁ", "㎅", "KB", "E\u0301", "zebra", "", "<unk>", "a b"]
)


@pytest.mark.parametrize("punctuation", ["keep", "split", "remove"])
@given(st.lists(PUNCTUATED, max_size=6))
def test_words_are_found_as_they_are_or_as_they_are_encoded(punctuation, words):
    normalization = Normalization(("nfkc", "lowercase"), punctuation)
    plain = VectorSpace(
        Vocabulary.of([*NAMES, *PIECES]), np.vstack([np.zeros((3, 1)), np.ones((7, 1))]).astype(np.float32)
    )
    space = VectorSpace(plain.tokenizer.vocabulary, plain.centre, normalization=normalization)
    asked = [word.encode() for word in words]
    for word, found, listed in zip(asked, space.find(asked).tolist(), plain.find(asked).tolist(), strict=True):
        ids = space.tokenizer.encode(word).tolist()
        alone = ids[0] if len(ids) == 1 and ids[0] else -1
        phrase = plain.find([b"new_york"])[0] if word.lower() == b"new_york" else -1
        assert found == (listed if listed >= 0 else max(alone, phrase))
        assert (space.vector_of(word) is None) == (found < 0)
    data = b"".join(checkpoint.serialize(space.to_checkpoint({})))
    assert VectorSpace.from_checkpoint(checkpoint.parse(memoryview(data))).tokenizer.normalization == normalization


@pytest.mark.parametrize("wrong", ["centre", "norms", "context", "counts"])
def test_damaged_checkpoints(wrong):
    space = with_all(space_of([[1, 0], [0, 1]]))
    content = space.to_checkpoint({})
    content.tensors[wrong] = content.tensors[wrong][:-1]
    with pytest.raises(CheckpointError):
        VectorSpace.from_checkpoint(checkpoint.parse(memoryview(b"".join(checkpoint.serialize(content)))))
