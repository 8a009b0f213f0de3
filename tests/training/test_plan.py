"""What is kept of a run, when it stops, how rates go, how gradients are clipped and added up."""

import json
import math

import numpy as np
import pytest
import torch
from rounding import assert_close, shape_of

from lmkit import checkpoint
from lmkit.architectures.feedforward import FFNConfig
from lmkit.architectures.recurrent import RNNConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.nn import factory
from lmkit.training.batches import next_tokens
from lmkit.training.objectives.language_modelling import LanguageModelling
from lmkit.training.optimizers import clip
from lmkit.training.plan import Plan
from lmkit.training.trainer import Evaluation, Trainer, TrainStep

TRAIN = ("train", "ffn", "--threads", 1, "--quiet")


class Random:
    """The same random rows at every step of a number."""

    def __init__(self, rows=4, time=6, vocabulary=11):
        self.rows, self._shape, self._vocabulary = rows, (rows, time), vocabulary

    def batch(self, number):
        generator = np.random.default_rng(number)
        inputs, targets = (generator.integers(0, self._vocabulary, self._shape, dtype=np.int32) for _ in range(2))
        return next_tokens(inputs, targets)


def trainer(batches=None, settings=None, validation=None, **plan):
    settings = settings or FFNConfig(vocabulary=11, context=2, width=8, hidden=8)
    network, objective = factory.initialised(settings, seed=1), LanguageModelling(0)
    return Trainer(network, objective, batches or Random(), Plan(**plan), validation=validation)


def scripted(*results):
    """A validation with these results: nats a token, share foreseen."""
    left = iter(results)

    def validation(_network):
        nats, accuracy = next(left)
        return {"nats": nats, "accuracy": accuracy}

    return validation


# What is kept.


RESULTS = ((2.0, 0.3), (1.5, 0.2), (1.8, 0.5), (1.9, 0.4))  # the least loss is the second, the best accuracy the third


@pytest.mark.parametrize(("select_by", "step"), [("loss", 4), ("accuracy", 6), (None, 8)])
def test_the_weights_of_the_best_evaluation_are_kept(select_by, step):
    run = trainer(validation=scripted(*RESULTS), steps=8, evaluate_every=2, select_by=select_by)
    at = {}
    for event in run.run():
        if isinstance(event, TrainStep):
            at[event.step] = run.network.to_arrays()
    kept = run.weights()
    equal = [number for number, arrays in at.items() if all((arrays[name] == kept[name]).all() for name in kept)]
    assert equal == [step]


@pytest.mark.slow
def test_a_run_whose_best_loss_and_best_accuracy_differ_keeps_what_is_asked_for(lmkit, write, work):
    """Learned by heart, a text is foreseen better and better while what is not foreseen costs more and more."""
    generator = np.random.default_rng(1)
    words = [b"yes", b"no", b"maybe", b"never", b"always"]
    lines = [b" ".join(words[place] for place in generator.integers(0, 5, 4)) for _ in range(40)]
    train, valid = write("train.txt", b"\n".join(lines[:20])), write("valid.txt", b"\n".join(lines[20:]))
    found = {}
    for metric in ("loss", "accuracy"):
        done = lmkit(
            *TRAIN, "--context", 6, "--steps", 200, "--evaluate-every", 10, "--schedule", "constant", "--select-by",
            metric, "--valid", valid, train, "-o", f"{metric}.lm", "--log", "log",
        )  # fmt: skip
        assert done.status == 0, done.stderr
        events = [json.loads(line) for line in (work / "log").read_text().splitlines()]
        evaluations = [event for event in events if event["event"] == "evaluation"]
        content = checkpoint.parse(memoryview((work / f"{metric}.lm").read_bytes()))
        found[metric] = content.origin["trained"]["validation"]
    least, most = (
        min(evaluations, key=lambda event: event["nats"]),
        max(evaluations, key=lambda event: event["accuracy"]),
    )
    assert least["step"] != most["step"]
    for metric, event in (("loss", least), ("accuracy", most)):
        assert found[metric] == {key: pytest.approx(event[key]) for key in ("nats", "accuracy")}
    assert (work / "loss.lm").read_bytes() != (work / "accuracy.lm").read_bytes()


@pytest.mark.parametrize(("select_by", "last"), [("loss", 8), ("accuracy", 10)])
def test_patience_ends_a_run_that_makes_no_progress(select_by, last):
    results = ((2.0, 0.3), (1.5, 0.2), (1.8, 0.5), (1.9, 0.4), (1.9, 0.4), (1.0, 0.9))
    run = trainer(validation=scripted(*results), steps=100, evaluate_every=2, select_by=select_by, patience=2)
    *_, event = run.run()
    assert isinstance(event, Evaluation)
    assert run.step == last


@pytest.mark.parametrize("option", [("--select-by", "accuracy"), ("--patience", 2)])
def test_what_is_chosen_by_a_validation_text_needs_one(option, fails, write):
    assert "--valid" in fails(2, *TRAIN, *option, write("text.txt", b"some text\n" * 20), "-o", "x.lm").stderr


# Rates.


def rates(lmkit, *options):
    done = lmkit("train", "transformer", "--print-schedule", "--warmup", 100, "--lr", 1e-3, "--steps", 400, *options)
    assert done.status == 0, done.stderr
    return {int(row["step"]): float(row["lr"]) for row in done.rows}


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        ("constant", {101: 1e-3, 400: 1e-3}),
        ("linear", {101: 1e-3 * 300 / 301, 250: 1e-3 * 151 / 301, 400: 1e-3 / 301}),
        ("wsd", {120: 1e-3, 121: 1e-3 * 280 / 281, 400: 1e-3 / 281}),
        ("cosine", {250: 5e-4 * (1 + math.cos(math.pi * 150 / 301)), 400: 5e-4 * (1 + math.cos(math.pi * 300 / 301))}),
        ("noam", {144: 1e-3 / 1.2, 400: 5e-4}),
    ],
)
def test_rates_rise_evenly_to_their_peak_and_then_go_as_asked(schedule, after, lmkit):
    found = rates(lmkit, "--schedule", schedule)
    assert list(found) == list(range(1, 401))
    wanted = {1: 1e-5, 50: 5e-4, 100: 1e-3, **after}
    assert {step: found[step] for step in wanted} == pytest.approx(wanted, rel=1e-5)


# Gradients.


def test_no_gradient_is_longer_than_it_may_be(lmkit, write, work):
    text = write("text.txt", b"the cat sat on the mat\nthe dog sat on the log\n" * 20)
    done = lmkit(*TRAIN, "--steps", 20, "--clip", 0.25, text, "-o", "x.lm", "--log", "log")
    assert done.status == 0, done.stderr
    events = [json.loads(line) for line in (work / "log").read_text().splitlines()]
    norms = [(event["gradient_norm"], event["gradient_norm_before"]) for event in events if event["event"] == "step"]
    assert len(norms) == 20
    assert all(after == pytest.approx(min(before, 0.25)) for after, before in norms)
    assert any(before > 0.25 for _, before in norms)


def test_clipping_shortens_all_gradients_together():
    first, second = torch.zeros(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    first.grad, second.grad = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0, 0.0])
    assert clip([first, second], 1.0) == pytest.approx(5.0)
    assert first.grad.tolist() == pytest.approx([0.6, 0.0])
    assert second.grad.tolist() == pytest.approx([0.0, 0.8, 0.0])


@pytest.mark.parametrize(
    "settings",
    [
        FFNConfig(vocabulary=11, context=2, width=8, hidden=8),
        RNNConfig(vocabulary=11, width=8),
        TransformerConfig(vocabulary=11, context=6, layers=2, width=8, heads=2, kv_heads=2, head_width=4, hidden=16),
    ],
    ids=lambda settings: settings.kind,
)
def test_four_parts_of_eight_rows_are_one_batch_of_32(settings):
    found = []
    for parts in (1, 4):
        run = trainer(Random(rows=32), settings, steps=3, accumulate=parts)
        with torch.no_grad():
            for tensor in run.network.parameters():
                tensor.add_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(tensor.numel())) / 4)
        batch = run._batches.batch(0)
        sums, _ = run._gradients(batch)
        gradients = {name: tensor.grad for name, tensor in run.network.named_parameters()}
        found.append((sums["nats"] / batch.weight, gradients))
    (one, whole), (other, summed) = found
    assert_close(other, one, **shape_of(settings))
    steepest = max(float(gradient.abs().max()) for gradient in whole.values())
    for name, gradient in whole.items():
        assert_close(gradient, summed[name], size=steepest, **shape_of(settings))
        assert float(gradient.abs().max()) > 1e-6, name
