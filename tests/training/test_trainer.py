"""The training loop: gradients, what is learned, resuming, diverging, budgets."""

import math

import numpy as np
import pytest
import torch
from rounding import assert_close, shape_of
from torch.nn import functional

from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.sliding_window import UNSCORED
from lmkit.data.corpus import Corpus
from lmkit.data.sequences import TextFormat
from lmkit.errors import Diverged
from lmkit.nn import factory
from lmkit.nn.language_model import of_network
from lmkit.training.batches import (
    ContiguousStreams,
    DocumentBatches,
    RandomCrops,
    next_tokens,
    with_loss_at_end_only,
)
from lmkit.training.objectives.language_modelling import LanguageModelling
from lmkit.training.optimizers import AdamW, LearningRates
from lmkit.training.plan import Plan
from lmkit.training.schedules import Schedule
from lmkit.training.trainer import Evaluation, Trainer, TrainStep
from lmkit.training.validation import NextTokenValidation

START = 2
MODELS = [
    ("ffn", {}), ("ffn", {"direct": True, "context": 1}),
    *(("rnn", {"cell": cell}) for cell in ("elman", "lstm", "gru", "mingru")),
    ("rnn", {"tied": True, "bias": False}),
    ("transformer", {}),
    ("transformer", {"positions": "learned", "normalisation": "layernorm", "bias": "all", "tied": True,
                     "activation": "gelu", "query_key_norm": True, "kv_heads": 1, "norm": "course"}),
]  # fmt: skip
NAMES = ["-".join([kind, *map(str, more.values())]) for kind, more in MODELS]
every_model = pytest.mark.parametrize(("kind", "more"), MODELS, ids=NAMES)
one_of_each = pytest.mark.parametrize(
    ("kind", "more"), [MODELS[0], MODELS[3], MODELS[7]], ids=["ffn", "rnn", "transformer"]
)
IDS = np.tile([5, 3, 7, 10, 4, 6, 3], 40).astype(np.uint16)
"""A text in which three tokens tell the next."""


def crops_or_lanes(kind, rows=4, time=8, ids=IDS):
    return (RandomCrops if kind == "transformer" else ContiguousStreams)(ids, START, rows, time, 0)


def random_batch(rows=3, time=7, seed=0):
    generator = np.random.default_rng(seed)
    ids = generator.integers(0, 11, (rows, time + 1)).astype(np.int32)
    targets = ids[:, 1:].copy()
    targets[0, -2:] = UNSCORED
    return next_tokens(ids[:, :-1], targets)


def tensors_of(batch):
    return {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.arrays.items()}


def trainer_of(settings, batches, *, steps=8, validation=None, dropout=0.0, network=None, **plan):
    network = network or factory.initialised(settings, seed=0, dropout=dropout)
    own = {name: plan.pop(name) for name in ("label_smoothing", "teacher_forcing", "loss_at") if name in plan}
    objective = LanguageModelling(START, **own)
    return Trainer(network, objective, batches, Plan(steps=steps, **plan), validation=validation)


def losses(trainer):
    return [event.loss for event in trainer.run() if isinstance(event, TrainStep)]


# Gradients.


def exact_loss(network, batch):
    """The summed loss in float64."""
    inputs, targets = tensors_of(batch).values()
    hidden, _ = network(inputs, network.initial(len(inputs), START))
    logits = network.logits(hidden).flatten(0, 1)
    return functional.cross_entropy(logits, targets.flatten(), ignore_index=UNSCORED, reduction="sum")


@every_model
@pytest.mark.parametrize("last", [False, True], ids=["all", "last"])
def test_gradients_are_what_finite_differences_say(kind, more, last, tiny, shaken):
    network = shaken(tiny(kind, **more)).double()
    batch = with_loss_at_end_only(random_batch()) if last else random_batch()
    exact_loss(network, batch).backward()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            way = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            here, around = parameter.clone(), []
            for step in (1e-5, -1e-5):
                parameter.copy_(here + step * way)
                around.append(float(exact_loss(network, batch)))
            parameter.copy_(here)
            found = float((parameter.grad * way).sum())
            assert found == pytest.approx((around[0] - around[1]) / 2e-5, rel=1e-4, abs=1e-5), name


@every_model
@pytest.mark.parametrize("loss_at", ["all", "last"])
def test_the_objectives_gradients_are_these(kind, more, loss_at, tiny, shaken):
    exact = shaken(tiny(kind, **more)).double()
    network = shaken(tiny(kind, **more))
    batch = random_batch() if loss_at == "all" else with_loss_at_end_only(random_batch())
    wanted = exact_loss(exact, batch)
    wanted.backward()
    objective = LanguageModelling(START, loss_at=loss_at)
    loss = objective.loss(network, tensors_of(batch), network.initial(3, START))
    loss.total.backward()
    nats = loss.sums["nats"].item()
    assert loss.total.item() == nats
    assert_close(nats, wanted.item(), **shape_of(network.settings))
    steepest = max(float(other.grad.abs().max()) for other in exact.parameters())
    for one, other in zip(network.parameters(), exact.parameters(), strict=True):
        assert_close(one.grad, other.grad, size=steepest, **shape_of(network.settings))


def test_with_loss_at_the_last_token_no_other_target_matters(tiny):
    ids = np.random.default_rng(0).integers(3, 11, 60).astype(np.uint16)
    found = []
    for change in (0, 1):
        ends = np.array([20, 40, 60])
        other = ids.copy()
        other[ends - 2] += change * np.where(other[ends - 2] == 10, -1, 1).astype(np.uint16)
        batches = DocumentBatches(Corpus(other, ends, 60), START, 3, 20, 0)
        settings = tiny("ffn", context=1)  # the last target hangs on the token before it, so that is kept
        other[ends - 2] = ids[ends - 2]
        other[ends - 4] += change * np.where(other[ends - 4] == 10, -1, 1).astype(np.uint16)
        found.append(losses(trainer_of(settings, batches, loss_at="last", steps=3)))
    assert found[0] == found[1]
    assert all(0 < loss < 20 for loss in found[0])


@pytest.mark.parametrize("cell", ["elman", "lstm", "mingru"])
def test_lanes_carry_their_state_and_gradients_stop_between_batches(cell, tiny):
    settings, lanes = tiny("rnn", cell=cell), ContiguousStreams(IDS, START, 4, 5, 0)
    trainer = trainer_of(settings, lanes, steps=6, optimizer="adamw", clip=None, schedule=Schedule("constant", 0))
    found = losses(trainer)
    network = factory.initialised(settings, seed=0)
    by_hand, state = [], None
    adam = AdamW(dict(network.named_parameters()))
    for number in range(6):
        batch = lanes.batch(number)
        inputs, targets = tensors_of(batch).values()
        if batch.fresh:
            state = network.initial(4, START)
        hidden, state = network(inputs, state)
        state = tuple(part.detach() for part in state) if cell == "lstm" else state.detach()
        loss = functional.cross_entropy(network.logits(hidden).flatten(0, 1), targets.flatten(), reduction="sum")
        network.zero_grad()
        (loss * (1 / targets.numel())).backward()
        adam.step(number + 1, 0.02, 0.0)
        by_hand.append(loss.item() / targets.numel())
    assert [lanes.batch(number).fresh for number in range(6)] == [True] + [False] * 5
    assert found == by_hand
    for one, other in zip(trainer.network.parameters(), network.parameters(), strict=True):
        assert (one == other).all()


# Learning.


@pytest.mark.few(1)
@every_model
def test_a_text_that_repeats_itself_is_learned(kind, more, tiny):
    settings = tiny(kind, **{"width": 16, **more, **({"head_width": 8} if kind == "transformer" else {})})
    found = losses(trainer_of(settings, crops_or_lanes(kind, 8, 12), steps=130, rates=LearningRates(0.02, 0.04)))
    assert found[0] == pytest.approx(math.log(11), abs=0.5)
    needed = 1 if more.get("context") == 1 else 0.25  # one token before does not tell what follows a 3
    assert found[-1] < needed


def test_documents_are_learned(tiny):
    ids = np.tile([5, 6, 7, 3, 2, 9, 4, 2], 20).astype(np.uint16)
    ends = np.flatnonzero(ids == 2) + 1
    found = losses(trainer_of(tiny("transformer"), DocumentBatches(Corpus(ids, ends, 1), START, 8, 6, 0), steps=120))
    assert np.mean(found[-8:]) < 0.25  # which of two documents it is costs log(2) at the first of 8 or 3 tokens


def deep_losses(tiny, *, residual):
    """On a text in which all tokens are as frequent, so that nothing is learned without seeing what went before."""
    ids = np.tile(np.random.default_rng(0).permutation(11), 30).astype(np.uint16)
    settings = tiny("transformer", layers=12, width=16, head_width=8, hidden=32, residual=residual)
    batches = crops_or_lanes("transformer", 4, 11, ids)
    return losses(trainer_of(settings, batches, steps=20, optimizer="adamw", rates=LearningRates(0.01, 0.0)))


def test_deep_networks_need_residual_connections(tiny):
    without, having = (deep_losses(tiny, residual=residual) for residual in (False, True))
    assert having[-1] < 0.5 * having[0]
    assert without[-1] > 0.95 * without[0]


def recall(cell, tiny):
    """Accuracy at telling which token stood before 29 others, by a network trained on gaps of up to 29."""
    generator = np.random.default_rng(0)
    gaps = generator.integers(0, 30, 2000)
    rows = [[generator.integers(3, 7), *generator.integers(7, 10, gap)] for gap in gaps]
    ids = np.concatenate([[*row, row[0]] for row in rows]).astype(np.uint16)
    corpus = Corpus(ids, np.cumsum(gaps + 2), 1)
    settings = tiny("rnn", cell=cell, layers=1, width=16)
    trainer = trainer_of(settings, DocumentBatches(corpus, START, 32, 31, 0), steps=300, loss_at="last")
    losses(trainer)
    asked = np.concatenate((generator.integers(3, 7, (200, 1)), generator.integers(7, 10, (200, 29))), axis=1)
    with torch.no_grad():
        hidden, _ = trainer.network(torch.from_numpy(np.insert(asked, 0, START, axis=1)))
        said = trainer.network.logits(hidden[:, -1]).argmax(dim=-1).numpy()
    return (said == asked[:, 0]).mean()


@pytest.mark.slow
def test_an_lstm_remembers_longer_than_an_elman_network(tiny):
    lstm, elman = recall("lstm", tiny), recall("elman", tiny)
    assert lstm > 0.95
    assert elman < lstm - 0.1


def test_label_smoothing_is_trained_on_but_not_told(tiny):
    settings, batches = tiny("ffn"), crops_or_lanes("ffn")
    plain, smooth = (losses(trainer_of(settings, batches, steps=60, label_smoothing=e)) for e in (0.0, 0.3))
    assert plain[0] == smooth[0]
    assert plain[-1] < 0.1 < 0.3 < smooth[-1] < 1.0  # 0.7 nats where nothing is left to learn


def test_teacher_forcing_gives_the_models_own_words(tiny):
    """A network that always says 4 meets nothing but the first token and fours."""
    settings = tiny("transformer", positions="none")
    arrays = factory.initialised(settings, seed=0).to_arrays()
    met = []

    class Watched(LanguageModelling):
        def _with_predictions(self, network, inputs, state):
            met.append(super()._with_predictions(network, inputs, state))
            return met[-1]

    network = factory.network(settings)
    network.load_arrays(arrays | {"lm_head.weight": np.zeros((11, 8), np.float32)})
    batch = random_batch()
    for share in (0.0, 0.5):
        Watched(START, teacher_forcing=share).loss(network, tensors_of(batch), None)
    assert (met[0][:, 0] == torch.from_numpy(batch.arrays["inputs"][:, 0])).all()
    assert (met[0][:, 1:] == 0).all()  # the first of equals
    true = met[1] == torch.from_numpy(batch.arrays["inputs"])
    assert 0 < true[:, 1:].sum() < true[:, 1:].numel()


# What a run is made of.


def scored_by(settings, ids):
    """The validation of the command."""
    weights = LoadedModel(settings, TextFormat("stream", START, START), None, {})
    return NextTokenValidation(weights, Corpus(ids, np.array([len(ids)]), len(ids)))


@one_of_each
def test_a_frozen_models_loss_is_what_scoring_says(kind, more, tiny, shaken):
    """Row D5: the same tokens, once as a batch, once as documents to score."""
    ids = np.random.default_rng(0).integers(3, 11, 70).astype(np.uint16)
    ends = np.array([5, 6, 16, 28, 35, 47, 58, 70])
    settings = tiny(kind, **more)
    batches = DocumentBatches(Corpus(ids, ends, 70), START, 8, 12, 0)
    trainer = trainer_of(settings, batches, steps=1, network=shaken(settings), rates=LearningRates(0.0, 0.0))
    (loss,) = losses(trainer)
    weights = LoadedModel(settings, TextFormat("line", START, START), None, {})
    model = of_network(trainer.network.eval(), weights, stride=None, batch_tokens=16)
    nats = model.score_many(ids.astype(np.int32), ends)
    assert_close(loss, -nats.sum() / 70, **shape_of(settings))


@one_of_each
def test_validation_does_not_change_training(kind, more, tiny):
    settings = tiny(kind, **more)
    score = scored_by(settings, IDS[:100])
    plain = trainer_of(settings, crops_or_lanes(kind), dropout=0.3)
    watched = trainer_of(settings, crops_or_lanes(kind), dropout=0.3, validation=score, evaluate_every=2)
    assert losses(plain) == losses(watched)
    assert same(plain.weights(), watched.weights())
    assert not same(plain.weights(), trainer_of(settings, crops_or_lanes(kind)).weights())


def same(one, other):
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


def test_validation_is_told_in_nats_a_token(tiny):
    settings = tiny("ffn")
    trainer = trainer_of(settings, crops_or_lanes("ffn"), validation=scored_by(settings, IDS[:100]), evaluate_every=4)
    found = [event for event in trainer.run() if isinstance(event, Evaluation)]
    assert [event.step for event in found] == [4, 8]
    last = found[-1]
    assert last.numbers == scored_by(settings, IDS[:100])(trainer.network.eval())
    assert list(last.numbers) == ["nats", "accuracy"]
    assert 0 < last.numbers["accuracy"] <= 1


@one_of_each
def test_a_validation_counts_tokens_that_were_the_most_probable(kind, more, tiny, shaken):
    settings = tiny(kind, **more)
    ids, ends = IDS[:70], np.array([10, 11, 30, 70])
    weights = LoadedModel(settings, TextFormat("line", START, START), None, {})
    network = shaken(settings).eval()
    numbers = NextTokenValidation(weights, Corpus(ids, ends, 70))(network)
    model = of_network(network, weights, stride=settings.context, batch_tokens=100)
    assert numbers["nats"] == pytest.approx(-model.score_many(ids.astype(np.int32), ends).mean(), rel=1e-6)
    begins = np.concatenate(([0], ends[:-1]))
    inputs = [np.concatenate(([START], ids[begin : end - 1])) for begin, end in zip(begins, ends, strict=True)]
    if kind == "transformer":  # whose windows are cut anew at each context
        return
    with torch.no_grad():
        predicted = np.concatenate([
            network.logits(network(torch.from_numpy(row.astype(np.int64))[None], network.initial(1, START))[0][0])
            .argmax(dim=-1).numpy() for row in inputs
        ])  # fmt: skip
    assert numbers["accuracy"] == (predicted == ids).mean()


OPTIONS = [
    {}, {"dropout": 0.3}, {"accumulate": 3}, {"label_smoothing": 0.1, "teacher_forcing": 0.7},
    {"optimizer": "adamw", "precision": "bf16"}, {"select_by": "accuracy", "evaluate_every": 2, "patience": 3},
]  # fmt: skip


@pytest.mark.few(6)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options) or "plain")
@every_model
def test_a_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(kind, more, options, tiny):
    settings = tiny(kind, **more)

    def fresh():
        score = scored_by(settings, IDS[:60]) if "select_by" in options else None
        return trainer_of(settings, crops_or_lanes(kind), steps=7, validation=score, **options)

    whole = fresh()
    events = list(whole.run())
    for stop in (1, 4) if not options else (3,):
        first = fresh()
        for event in first.run():
            if event.step == stop:
                break
        numbers, arrays = first.state()
        second = fresh()
        second.resume(numbers, arrays)
        rest = [event for event in second.run() if isinstance(event, TrainStep)]
        assert [e.loss for e in rest] == [e.loss for e in events if isinstance(e, TrainStep) and e.step > stop]
        assert same(second.weights(), whole.weights())
        assert {**second.best} == {**whole.best}


@one_of_each
def test_documents_resume_too(kind, more, tiny):
    ends = np.cumsum([3, 9, 20, 1, 7, 5, 11, 4])
    corpus = Corpus(IDS[:60], ends, 60)

    def fresh():
        return trainer_of(tiny(kind, **more), DocumentBatches(corpus, START, 3, 8, 0), accumulate=2, steps=9)

    whole, first, second = fresh(), fresh(), fresh()
    losses(whole)
    run = first.run()
    for _ in range(5):
        next(run)
    second.resume(*first.state())
    losses(second)
    assert same(second.weights(), whole.weights())


def test_a_damaged_state_is_refused(tiny):
    trainer = trainer_of(tiny("rnn"), crops_or_lanes("rnn"))
    next(trainer.run())
    numbers, arrays = trainer.state()
    for broken in ({"step": 1}, {**numbers, "best": 3}):
        with pytest.raises((KeyError, ValueError, TypeError)):
            trainer_of(tiny("rnn"), crops_or_lanes("rnn")).resume(broken, arrays)
    for name in ("weights.embed_tokens.weight", "adam.mean.embed_tokens.weight"):
        with pytest.raises((KeyError, ValueError, RuntimeError)):
            trainer_of(tiny("rnn"), crops_or_lanes("rnn")).resume(
                numbers, {**arrays, name: np.zeros((3, 2), np.float32)}
            )
        with pytest.raises(KeyError):
            trainer_of(tiny("rnn"), crops_or_lanes("rnn")).resume(
                numbers, {k: v for k, v in arrays.items() if k != name}
            )


@pytest.mark.parametrize(("kind", "more"), [MODELS[1], MODELS[4], MODELS[7]], ids=["ffn", "rnn", "transformer"])
def test_a_loss_that_is_no_number_stops_before_anything_moves(kind, more, tiny):
    trainer = trainer_of(tiny(kind, **more), crops_or_lanes(kind), rates=LearningRates(1e30, 1e30), clip=None)
    with pytest.raises(Diverged, match="the loss at step 2 is not a number any more"):
        losses(trainer)
    assert trainer.step == 1
    numbers, arrays = trainer.state()
    assert all(np.isfinite(array).all() for array in arrays.values())
    again = trainer_of(tiny(kind, **more), crops_or_lanes(kind), rates=LearningRates(1e30, 1e30), clip=None)
    again.resume(numbers, arrays)
    with pytest.raises(Diverged):
        losses(again)
    assert same(again.network.to_arrays(), trainer.network.to_arrays())


def test_a_validation_that_is_no_number_stops_too(tiny):
    trainer = trainer_of(
        tiny("ffn"),
        crops_or_lanes("ffn"),
        validation=lambda _: {"nats": math.nan, "accuracy": 0.0},
        evaluate_every=1,
        select_by="loss",
    )
    with pytest.raises(Diverged, match="the validation loss after step 1 is not a number any more"):
        losses(trainer)
    assert trainer.best == {}


def test_a_budget_of_time_ends_the_run_and_the_schedule(tiny, monkeypatch):
    """A clock that goes a second a look: a step takes one, ten seconds take ten steps."""
    clock = iter(range(1000))
    monkeypatch.setattr("lmkit.training.trainer.time.perf_counter", lambda: float(next(clock)))
    batches = crops_or_lanes("ffn")
    trainer = trainer_of(tiny("ffn"), batches, steps=None, seconds=10.0, schedule=Schedule("linear", 0))
    events = list(trainer.run())
    assert [event.seconds for event in events] == list(range(1, 11))
    assert events[-1].rate == pytest.approx(0.02 / 11)  # as if ten steps had been planned
    assert [event.rate for event in events[2:]] == sorted((event.rate for event in events[2:]), reverse=True)


def test_tokens_are_counted_where_they_are_learned(tiny):
    ends = np.cumsum([3, 9, 20])
    trainer = trainer_of(tiny("ffn"), DocumentBatches(Corpus(IDS[:32], ends, 32), START, 8, 40, 0), steps=3)
    losses(trainer)
    assert trainer.tokens == 3 * 32
