"""An objective is all that the trainer knows of a task: here one that is no language model."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.nn import functional

from lmkit.architectures.sliding_window import UNSCORED
from lmkit.nn import factory
from lmkit.training.batches import Batch, next_tokens
from lmkit.training.objectives.language_modelling import LanguageModelling
from lmkit.training.objectives.objective import Loss, Merit, Objective
from lmkit.training.optimizers import LearningRates
from lmkit.training.plan import Plan
from lmkit.training.trainer import Trainer, TrainStep

VOCABULARY = 11


@dataclass(frozen=True)
class FirstToken(Objective):
    """Which token a row begins with, from the mean of the hidden vectors that `mask` has."""

    merits: ClassVar = {"accuracy": Merit("accuracy", higher=True)}

    def loss(self, network, batch, state):
        hidden, _ = network(batch["ids"], state)
        mask = batch["mask"][..., None]
        logits = network.logits((hidden * mask).sum(dim=1) / mask.sum(dim=1))
        loss = functional.cross_entropy(logits, batch["labels"], ignore_index=-1, reduction="sum")
        right = (logits.argmax(dim=-1) == batch["labels"]).sum()
        return Loss(loss, {"loss": loss.detach(), "accuracy": right}, None)

    def without_predictions(self, arrays):
        return {**arrays, "labels": np.full_like(arrays["labels"], -1)}


class Rows:
    """Rows of random tokens, with a mask of those that are not padding."""

    def __init__(self, rows=8, time=6):
        self.rows, self._time = rows, time

    def batch(self, number):
        generator = np.random.default_rng(number)
        ids = generator.integers(0, VOCABULARY, (self.rows, self._time)).astype(np.int32)
        mask = np.arange(self._time) < generator.integers(1, self._time + 1, (self.rows, 1))
        return Batch({"ids": ids, "mask": mask.astype(np.float32), "labels": ids[:, 0]}, weight=self.rows)


def trainer(tiny, validation=None, **plan):
    network = factory.initialised(tiny("transformer", width=16, head_width=8), seed=0)
    plan = Plan(**{"steps": 60, "rates": LearningRates(0.02, 0.04), **plan})
    return Trainer(network, FirstToken(), Rows(), plan, validation=validation)


def test_a_task_with_arrays_of_its_own_is_learned(tiny):
    run = trainer(tiny)
    events = [event for event in run.run() if isinstance(event, TrainStep)]
    assert list(events[0].numbers) == ["loss", "accuracy"]
    assert events[0].loss == events[0].numbers["loss"] == pytest.approx(np.log(VOCABULARY), abs=0.3)
    assert np.mean([event.numbers["accuracy"] for event in events[-10:]]) > 0.9
    assert run.tokens == 60 * 8


def test_parts_of_a_batch_are_rows_of_all_its_arrays(tiny):
    whole, parts = ([event.loss for event in trainer(tiny, steps=4, accumulate=each).run()] for each in (1, 3))
    assert parts == pytest.approx(whole, rel=1e-5)


def test_merits_have_a_way_that_is_better():
    merits = LanguageModelling(0).merits
    assert LanguageModelling(0).merit(None) is merits["loss"]
    good, bad = {"nats": 1.0, "accuracy": 0.7}, {"nats": 2.0, "accuracy": 0.5}
    for merit in merits.values():
        assert merit.of(good) > merit.of(bad)


@pytest.mark.parametrize("loss_at", ["all", "last"])
def test_nothing_is_learned_from_rows_without_predictions(loss_at, tiny):
    objective = LanguageModelling(2, loss_at=loss_at)
    ids = np.arange(8, dtype=np.int32).reshape(2, 4)
    arrays = objective.without_predictions(objective.prepare(next_tokens(ids, ids + 1)).arrays)
    assert (arrays["targets"] == UNSCORED).all()
    network = factory.initialised(tiny("ffn"), seed=0)
    tensors = {name: torch.from_numpy(array.astype(np.int64)) for name, array in arrays.items()}
    loss = objective.loss(network, tensors, objective.initial(network, 2))
    loss.total.backward()
    assert loss.total.item() == loss.sums["nats"].item() == 0
    assert all(not tensor.grad.any() for tensor in network.parameters() if tensor.grad is not None)
