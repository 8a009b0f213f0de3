"""Batches give every token its turn, know what stood before it, and are a function of their number."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmkit.architectures.sliding_window import UNSCORED
from lmkit.data.corpus import Corpus
from lmkit.training.batches import (
    Batch,
    ContiguousStreams,
    DocumentBatches,
    RandomCrops,
    next_tokens,
    with_loss_at_end_only,
)

START = 99
SIZES = st.integers(1, 60)


def ids_of(length):
    """Ids that tell their places."""
    return np.arange(100, 100 + length, dtype=np.uint16)


def one_epoch(batches, of_epoch):
    return [batches.batch(number) for number in range(of_epoch)]


def assert_inputs_stand_before_targets(batch, opens):
    """The input of a place is the token before it; the start token where `opens` says so."""
    scored = batch.arrays["targets"] != UNSCORED
    wanted = np.where(np.isin(batch.arrays["targets"], opens), START, batch.arrays["targets"] - 1)
    assert (batch.arrays["inputs"][scored] == wanted[scored]).all()
    assert batch.arrays["inputs"].shape == batch.arrays["targets"].shape
    assert batch.arrays["inputs"].dtype == batch.arrays["targets"].dtype == np.int32
    assert batch.weight == scored.sum()


@given(SIZES, SIZES, SIZES, st.integers(0, 5))
def test_crops_take_a_token_once_an_epoch_at_most(length, rows, time, seed):
    crops = RandomCrops(ids_of(length), START, rows, time, seed)
    each = max(1, length // min(time, length) - 1)
    taken = np.concatenate([crops.batch(number).arrays["targets"] for number in range(-(-3 * each // rows))])[
        : 3 * each
    ]
    assert taken.shape == (3 * each, min(time, length))
    for epoch in np.split(taken, 3):
        assert len(np.unique(epoch)) == epoch.size
        assert (np.diff(epoch, axis=1) == 1).all()


@given(SIZES, SIZES, SIZES, st.integers(0, 5), st.integers(0, 40))
def test_a_crop_is_told_by_its_number(length, rows, time, seed, number):
    crops = RandomCrops(ids_of(length), START, rows, time, seed)
    for _ in range(2):  # whatever was asked before
        batch = crops.batch(number)
        again = RandomCrops(ids_of(length), START, rows, time, seed).batch(number)
        assert (batch.arrays["targets"] == again.arrays["targets"]).all()
        crops.batch(number + 3)
    assert batch.fresh
    assert_inputs_stand_before_targets(batch, [100])
    assert set(np.unique(batch.arrays["targets"])) <= set(range(100, 100 + length))


def test_crops_of_a_long_text_have_all_phases_and_orders():
    crops = RandomCrops(ids_of(1000), START, 9, 100, 0)
    epochs = [crops.batch(number).arrays["targets"] for number in range(20)]
    assert len({int(epoch.min()) % 100 for epoch in epochs}) > 10
    assert len({tuple(np.argsort(epoch[:, 0])) for epoch in epochs}) > 10
    other = RandomCrops(ids_of(1000), START, 9, 100, 1).batch(0).arrays["targets"]
    assert (other != epochs[0]).any()


@given(SIZES, SIZES, SIZES, st.integers(0, 5), st.integers(0, 2))
def test_lanes_lie_side_by_side_and_go_on(length, rows, time, seed, epoch):
    lanes = ContiguousStreams(ids_of(length), START, rows, time, seed)
    assert lanes.rows == max(1, min(rows, length // 2))
    each = -(-(length // lanes.rows) // min(time, length // lanes.rows))
    batches = [lanes.batch(epoch * each + number) for number in range(each)]
    assert [batch.fresh for batch in batches] == [True] + [False] * (each - 1)
    whole = np.concatenate([batch.arrays["targets"] for batch in batches], axis=1) - 100
    assert whole.shape == (lanes.rows, length // lanes.rows)
    assert (whole.flatten() == (whole[0, 0] + np.arange(whole.size)) % length).all()
    if epoch == 0:
        assert whole[0, 0] == 0
    for batch in batches:
        assert batch.arrays["targets"].shape[1] <= time
        assert_inputs_stand_before_targets(batch, [100])


def test_lanes_begin_elsewhere_in_each_epoch():
    lanes = ContiguousStreams(ids_of(1000), START, 10, 50, 0)
    assert len({int(lanes.batch(2 * epoch).arrays["targets"][0, 0]) for epoch in range(20)}) > 15


@st.composite
def corpora(draw):
    lengths = np.array(draw(st.lists(st.integers(0, 30), min_size=1, max_size=25)))
    if not lengths.sum():
        lengths[0] = 1
    return Corpus(ids_of(int(lengths.sum())), np.cumsum(lengths).astype(np.int64), int(lengths.sum()))


@given(corpora(), st.integers(1, 8), st.integers(1, 12), st.integers(0, 3), st.integers(0, 2))
def test_documents_give_every_token_exactly_once_an_epoch(corpus, rows, time, seed, epoch):
    documents = DocumentBatches(corpus, START, rows, time, seed)
    begins = np.concatenate(([0], corpus.ends[:-1]))
    lengths = corpus.ends - begins
    pieces = int(sum(-(-lengths // time)))
    each = -(-pieces // rows)
    batches = [documents.batch(epoch * each + number) for number in range(each)]
    targets = np.concatenate([batch.arrays["targets"][batch.arrays["targets"] != UNSCORED] for batch in batches])
    assert sorted(targets - 100) == list(range(corpus.tokens))
    assert sum(len(batch.arrays["targets"]) for batch in batches) == pieces
    opens = 100 + begins[lengths > 0]
    for batch in batches:
        assert batch.fresh
        assert len(batch.arrays["targets"]) <= rows
        assert batch.arrays["targets"].shape[1] <= time
        assert_inputs_stand_before_targets(batch, opens)
        for row in batch.arrays["targets"]:  # what is scored stands in front, and lies in one document
            own = row[row != UNSCORED]
            assert (row[: len(own)] == own).all()
            assert len(own)
            assert len(np.unique(np.searchsorted(corpus.ends, own - 100, side="right"))) == 1


@given(corpora(), st.integers(1, 8), st.integers(1, 12), st.integers(0, 30))
def test_a_batch_of_documents_is_told_by_its_number(corpus, rows, time, number):
    documents = DocumentBatches(corpus, START, rows, time, 0)
    documents.batch(0)
    batch, again = documents.batch(number), DocumentBatches(corpus, START, rows, time, 0).batch(number)
    assert (batch.arrays["targets"] == again.arrays["targets"]).all()
    assert (batch.arrays["inputs"] == again.arrays["inputs"]).all()


def test_documents_of_like_length_are_batched():
    lengths = np.random.default_rng(0).integers(1, 40, 400)
    corpus = Corpus(ids_of(int(lengths.sum())), np.cumsum(lengths), 1)
    documents = DocumentBatches(corpus, START, 8, 40, 0)
    batches = one_epoch(documents, 50)
    padding = sum((batch.arrays["targets"] == UNSCORED).mean() for batch in batches) / 50
    assert padding < 0.1
    sizes = [batch.arrays["targets"].shape[1] for batch in batches]
    assert sizes != sorted(sizes)


def test_only_the_last_token_of_a_row_is_learned():
    targets = np.array([[5, 6, 7], [8, UNSCORED, UNSCORED], [9, 4, UNSCORED]], dtype=np.int32)
    batch = with_loss_at_end_only(next_tokens(targets, targets))
    assert batch.arrays["targets"].tolist() == [
        [UNSCORED, UNSCORED, 7],
        [8, UNSCORED, UNSCORED],
        [UNSCORED, 4, UNSCORED],
    ]
    assert (batch.arrays["inputs"] == targets).all()
    assert batch.weight == 3


def test_rows_are_taken_of_every_array_that_a_batch_has():
    arrays = {"ids": np.arange(12).reshape(4, 3), "mask": np.eye(4, dtype=bool), "labels": np.array([3, 1, 4, 1])}
    batch = Batch(arrays, weight=4)
    assert batch.rows == 4
    taken = batch.take(np.array([2, 0]))
    assert list(taken) == ["ids", "mask", "labels"]
    assert taken["ids"].tolist() == [[6, 7, 8], [0, 1, 2]]
    assert taken["mask"].shape == (2, 4)
    assert taken["labels"].tolist() == [4, 3]
