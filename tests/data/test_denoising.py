"""BART's noises: what each keeps, how much it changes, and texts as they look afterwards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.denoising import HOLE, KINDS, Denoising, ending, noised, rendered
from lmkit.data.token_places import words
from lmkit.errors import CheckpointError
from lmkit.tokenization.tokenizers import from_list

SIZES = given(st.integers(0, 60), st.floats(0, 1), st.integers(0, 1000))


def places(kinds, size, rate=0.3, seed=0, mean_length=3.0, ends=()):
    return noised(kinds, np.isin(np.arange(size), ends).astype(int), np.random.default_rng(seed), rate, mean_length)


@SIZES
def test_masks_and_deletions_change_as_many_tokens_as_asked(size, rate, seed):
    masked, left = places(["mask"], size, rate, seed), places(["delete"], size, rate, seed)
    assert (masked[masked != HOLE] == np.flatnonzero(masked != HOLE)).all()
    for changed in (int((masked == HOLE).sum()), size - len(left)):
        assert abs(changed - size * rate) <= 1
    assert (np.diff(left) > 0).all()


@SIZES
def test_infilling_removes_runs(size, rate, seed):
    infilled = places(["infill"], size, rate, seed)
    kept = infilled[infilled != HOLE]
    assert (np.diff(kept) > 0).all()
    assert abs(size - len(kept) - size * rate) <= 1
    gaps = np.flatnonzero(np.diff(kept) > 1)
    for gap in gaps:  # a mask is where something was removed
        before, behind = (int(np.flatnonzero(infilled == one)[0]) for one in (kept[gap], kept[gap + 1]))
        assert behind - before > 1


def test_lengths_of_runs_are_poisson():
    lengths = []
    for seed in range(300):
        infilled = places(["infill"], 400, 0.3, seed)
        kept = infilled[infilled != HOLE]
        lengths += (np.diff(kept)[np.diff(kept) > 1] - 1).tolist()
        holes = int((infilled == HOLE).sum())
        lengths += [0] * (holes - int((np.diff(np.concatenate(([-1], kept, [400]))) > 1).sum()))
    counts = np.bincount(np.minimum(lengths, 8), minlength=9)
    factorials = np.cumprod([1, *range(1, 8)])
    expected = np.exp(-3) * 3.0 ** np.arange(8) / factorials
    assert np.abs(counts[:8] / counts.sum() - expected).max() < 0.02  # the last run of a text is cut


def test_sentences_are_shuffled_and_texts_rotated():
    text = "Uno dos. ¿Tres? (Cuatro cinco.) seis"
    found = words(text)
    ends = np.array([ending(text[a:b].encode()) for a, b in zip(*found, strict=True)])
    assert ends.tolist() == [0, 1, 1, 0, 1, 0]
    assert noised(["permute"], np.array([0, 1, 2, 2]), np.random.default_rng(0)).tolist() == [0, 1, 2, 3]
    assert [ending(piece) for piece in (b".", b'?"', "…".encode(), b"a. ", b'"')] == [2, 2, 2, 1, 0]
    seen = {rendered(text, *found, noised(["permute"], ends, np.random.default_rng(seed)).tolist(), "<mask>")
            for seed in range(200)}  # fmt: skip
    assert len(seen) == 24
    assert "seis (Cuatro cinco.) ¿Tres? Uno dos." in seen
    rotated = {tuple(noised(["rotate"], ends, np.random.default_rng(seed)).tolist()) for seed in range(60)}
    assert rotated == {tuple((np.arange(6) + turn) % 6) for turn in range(6)}


def test_what_is_between_tokens_stays_where_they_are_together():
    text = " a  b\tc d "
    found = words(text)
    assert rendered(text, *found, [0, 1, HOLE, 3], "<mask>") == "a  b <mask> d"
    assert rendered(text, *found, [2, 3, 0], "<mask>") == "c d a"
    assert rendered("abc", [0, 1, 2], [1, 2, 3], [0, HOLE, 2], "_") == "a_c"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_and_one_token(kind):
    assert len(places([kind], 0)) == 0
    assert len(places([kind], 1, 1.0)) <= 1 + (kind == "infill") * 50


def test_ids_are_noised_in_order():
    tokenizer = from_list("word", [b"a", b"b.", b"c", b"d."])
    ids = tokenizer.encode(b"a b. c d.")
    made = Denoising.of(tokenizer, ("permute", "delete"), rate=0.25)
    inputs, targets = made.apply(ids, np.random.default_rng(3))
    assert targets.tolist() == ids.tolist()
    assert len(inputs) in (2, 3, 4)
    assert set(inputs.tolist()) <= set(ids.tolist())
    with pytest.raises(CheckpointError, match="no mask token"):
        Denoising.of(tokenizer, ("infill",))
