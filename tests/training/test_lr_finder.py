"""Finding rates and batches: curves, suggestions, and the memory of a step."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmkit.architectures.feedforward import FFNConfig
from lmkit.architectures.recurrent import RNNConfig
from lmkit.nn import factory
from lmkit.training import lr_finder
from lmkit.training.batches import next_tokens
from lmkit.training.objectives.language_modelling import LanguageModelling
from lmkit.training.optimizers import LearningRates
from lmkit.training.plan import Plan
from lmkit.training.trainer import Trainer

TEXT = b"the cat sat on the mat\nthe dog sat on the log\na bird sang in the tree\n" * 40
SMALL = ("--width", 16, "--threads", 1)


def trainer(batches, settings=None, **plan):
    settings = settings or FFNConfig(vocabulary=11, context=2, width=8, hidden=8)
    return Trainer(factory.initialised(settings, seed=1), LanguageModelling(0), batches, Plan(**plan))


# Learning rates.


def test_rates_rise_exponentially_from_a_thousandth_to_ten():
    rising = lr_finder.Rising()
    factors = [rising.factor(step, 5) for step in range(1, 6)]
    assert factors == pytest.approx([1e-3, 1e-2, 1e-1, 1, 10])


def test_the_curve_ends_where_the_loss_is_lost():
    batches = lr_finder.FullRows(2, 4)  # zeros are to be learned; a step much too far forgets it
    plan = {"steps": 40, "schedule": lr_finder.Rising(), "clip": None, "rates": LearningRates(50.0, 50.0)}

    class Both:
        rows = 2

        def batch(self, number):
            rows = batches.batch(number)
            return next_tokens(rows.arrays["inputs"], np.full_like(rows.arrays["targets"], number % 7))

    curve = list(lr_finder.learning_rates(trainer(Both(), **plan)))
    assert 1 < len(curve) < 40
    assert curve[-1].smoothed > lr_finder.LOST * curve[0].smoothed
    assert all(tried.smoothed <= lr_finder.LOST * curve[0].smoothed for tried in curve[:-1])


def test_the_suggestion_is_below_the_rate_of_the_least_loss():
    curve = [lr_finder.Tried(step, 10.0**step, 1.0, smoothed) for step, smoothed in enumerate([3.0, 2.0, 4.0])]
    assert lr_finder.suggestion(curve) == pytest.approx(10 / 3)


def test_find_lr_prints_a_curve_and_keeps_nothing(lmkit, write, work):
    text = write("text.txt", TEXT)
    done = lmkit("train", "ffn", "--find-lr", "--steps", 20, "--lr", 0.5, "--matrix-lr", 1.0, *SMALL, text)
    assert done.status == 0, done.stderr
    *curve, last = done.rows
    assert float(curve[0]["lr"]) == pytest.approx(0.0005)
    assert float(curve[0]["matrix_lr"]) == pytest.approx(0.001)
    steps = [int(row["step"]) for row in curve]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) <= 20
    assert last["step"] == "suggestion"
    assert float(last["matrix_lr"]) == pytest.approx(2 * float(last["lr"]), rel=1e-4)
    assert f"--lr {float(last['lr']):.2g} " in done.stderr
    assert sorted(path.name for path in work.iterdir()) == ["text.txt"]
    again = lmkit("train", "ffn", "--find-lr", "--steps", 20, "--lr", 0.5, "--matrix-lr", 1.0, *SMALL, "--json", text)
    assert [record["step"] for record in again.records] == [*steps, "suggestion"]
    assert [f"{record['nats']:.6g}" for record in again.records[:-1]] == [row["nats"] for row in curve]


# Batches.


@given(
    st.integers(1, 10**6), st.integers(1, 10**4), st.integers(0, 10**6), st.integers(1, 10**4), st.integers(1, 10**9)
)
def test_the_largest_batch_is_found_and_nothing_much_larger_is_tried(flat, slope, base, most, memory):
    """The memory of a step is the larger of what optimizers take and what rows take."""
    tried = []

    def size(rows):
        tried.append(rows)
        return max(flat, base + slope * rows)

    limit = int(memory * 0.9)
    fitting = [rows for rows in range(1, most + 1) if max(flat, base + slope * rows) <= limit]
    if not fitting:
        with pytest.raises(lr_finder.NothingFits):
            list(lr_finder.largest_batch(size, memory, most))
        return
    *_, found = lr_finder.largest_batch(size, memory, most)
    assert found.rows == fitting[-1]
    assert max(tried) <= 2 * found.rows


@pytest.mark.parametrize("cell", ["elman", "lstm", "mingru"])
def test_the_memory_of_a_step_is_the_same_each_time_and_grows_with_rows(cell):
    settings = RNNConfig(vocabulary=50, width=16, cell=cell)

    def make(batches):
        return trainer(batches, settings, steps=2)

    sizes = [lr_finder.step_bytes(make, rows, 20) for rows in (1, 8, 32, 64)]
    assert sizes == [lr_finder.step_bytes(make, rows, 20) for rows in (1, 8, 32, 64)]
    assert sizes == sorted(sizes)
    assert sizes[3] - sizes[2] == pytest.approx((sizes[2] - sizes[1]) * 32 / 24, rel=0.05)


def test_the_peak_is_that_of_the_tensors_held_at_once():
    with lr_finder.Peak() as peak:
        first = torch.zeros(1000)
        second = first + 1
        view = second.view(10, 100)
        del first
        third = view * 2
        del second, view, third
    assert peak.most == 2 * 4000


def test_find_batch_leaves_a_tenth_free_and_grows_with_memory(lmkit, write):
    text = write("text.txt", TEXT)
    found = []
    for limit in ("3M", "6M", "3M"):
        done = lmkit("train", "rnn", "--bptt", 20, "--find-batch", "--mem-limit", limit, *SMALL, "--json", text)
        assert done.status == 0, done.stderr
        (record,) = done.records
        assert record["memory"] == int(limit[0]) << 20
        assert record["bytes"] <= 0.9 * record["memory"]
        found.append(record["batch"])
    assert found[0] == found[2]
    assert 1 < found[0] < found[1]


def test_find_batch_takes_no_more_than_the_text(lmkit, write):
    done = lmkit("train", "ffn", "--find-batch", "--mem-limit", "1G", *SMALL, write("text.txt", b"abc\n" * 32))
    assert done.rows[0]["batch"] == "2"  # 128 tokens, rows of 64
    assert "holds the whole text" in done.stderr


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (1, ("--find-batch", "--mem-limit", "10k")),
        (2, ("--find-batch", "--mem-limit", "much")),
        (2, ("--find-batch", "--find-lr")),
        (2, ("--find-lr", "--budget", "5s")),
        (2, ("--find-lr", "--resume")),
        (2, ("--mem-limit", "1G")),
        (2, ("--json",)),
    ],
)
def test_what_cannot_be_searched_is_refused(fails, write, status, options):
    fails(status, "train", "ffn", *SMALL, *options, write("text.txt", TEXT))


def test_json_of_a_schedule(lmkit):
    done = lmkit("train", "ffn", "--print-schedule", "--steps", 2, "--warmup", 2, "--lr", 1, "--json")
    assert done.stdout == b"".join(json.dumps({"step": n, "lr": n / 2}).encode() + b"\n" for n in (1, 2))
