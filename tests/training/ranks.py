"""Trains some models as one of several processes, without torchrun; tells what came of it as JSON. No test."""

import json
import sys

import numpy as np
import tiny_models
import torch

from lmkit.architectures.neural_model import LoadedModel
from lmkit.data.corpus import Corpus
from lmkit.data.sequences import TextFormat
from lmkit.nn import factory
from lmkit.training.batches import ContiguousStreams, DocumentBatches, RandomCrops
from lmkit.training.distributed import join
from lmkit.training.objectives.language_modelling import LanguageModelling
from lmkit.training.plan import Plan
from lmkit.training.trainer import Trainer, TrainStep
from lmkit.training.validation import NextTokenValidation

IDS = np.random.default_rng(0).integers(3, 11, 200).astype(np.uint16)
ENDS = np.cumsum([5, 9, 20, 1, 7, 30, 28, 50, 50])
CASES = {
    "transformer": ("transformer", {"tied": True, "bias": "all"}, {"accumulate": 3, "evaluate_every": 2}),
    "lstm": ("rnn", {"cell": "lstm"}, {"evaluate_every": 2, "select_by": "loss"}),
    "mingru": ("rnn", {"cell": "mingru", "tied": True}, {"accumulate": 3, "optimizer": "adamw"}),
    "documents": ("ffn", {"direct": True}, {"accumulate": 2}),
}


def trainer_of(name, world, *, shard):
    kind, more, plan = CASES[name]
    settings = tiny_models.settings_of(kind, **more)
    if name == "documents":  # of 14 rows the last batch has 2, the one before it 4
        batches = DocumentBatches(Corpus(IDS, ENDS, 200), 2, 3, 16, 0)
    else:
        batches = (RandomCrops if kind == "transformer" else ContiguousStreams)(IDS, 2, 5, 8, 0)

    weights = LoadedModel(settings, TextFormat("stream", 2, 2), None, {})
    held_out = Corpus(IDS[:100], np.array([100]), 100)
    validation = NextTokenValidation(weights, held_out) if "evaluate_every" in plan else None
    return Trainer(
        factory.initialised(settings, seed=0), LanguageModelling(2), batches, Plan(steps=7, **plan),
        validation=validation, world=world, shard=shard,
    )  # fmt: skip


def curve(name, world, *, shard):
    """Losses of a run, of one that was stopped and gone on with, and the sum of the weights' sizes."""
    trainer = trainer_of(name, world, shard=shard)
    events = list(trainer.run())
    first, second = (trainer_of(name, world, shard=shard) for _ in range(2))
    for event in first.run():
        if event.step == 4:
            break
    second.resume(*first.state())
    rest = list(second.run())
    weights, again = trainer.weights(), second.weights()
    return {
        "nats": [event.numbers["nats"] for event in events],
        "norms": [event.norm for event in events if isinstance(event, TrainStep)],
        "resumed": [event.numbers["nats"] for event in rest]
        == [event.numbers["nats"] for event in events[-len(rest) :]],
        "same": all((weights[key] == again[key]).all() for key in weights),
        "weights": [float(np.abs(weights[key]).sum()) for key in sorted(weights)],
    }


def main(world, shard):
    torch.set_num_threads(1)
    return {name: curve(name, world, shard=shard) for name in CASES}


if __name__ == "__main__":
    world = join("cpu", shard=False)
    found = main(world, sys.argv[1] == "shard")
    if world.first:
        print(json.dumps(found), flush=True)
    world.leave()
