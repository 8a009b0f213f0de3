"""Losses of answers and of preferences: which tokens they depend on, and their numbers."""

import math

import numpy as np
import pytest
import torch
from random_weights import random_weights

from lmkit.data.answer_sequences import AnswerSequence
from lmkit.nn import factory
from lmkit.nn.tuned_language_model import TunedLanguageModel
from lmkit.tokenization.tokenizers import ByteTokenizer
from lmkit.training.answer_batches import AnswerItems, MixedItems, PreferencePairs
from lmkit.training.objectives.answers import AnswerModelling
from lmkit.training.objectives.objective import tensors_of
from lmkit.training.objectives.preferences import PreferenceOptimisation, answer_sums


@pytest.fixture(scope="module")
def network():
    sizes = {"layers": 1, "width": 8, "heads": 2, "kv_heads": 2, "head_width": 4, "hidden": 12, "context": 32}
    return TunedLanguageModel(factory.loaded(random_weights("transformer", ByteTokenizer(), **sizes)), trained=())


def sequence(seed, prompt, answer):
    ids = np.random.default_rng(seed).integers(0, 256, prompt + answer).astype(np.int32)
    return AnswerSequence(ids, np.arange(prompt + answer) >= prompt)


SEQUENCES = [sequence(seed, 2 + seed % 5, 1 + seed % 3) for seed in range(8)]
PAIRS = [(sequence(seed, 3, 2 + seed % 3), sequence(100 + seed, 3, 1 + seed % 2)) for seed in range(5)]


def loss(network, objective, batch):
    with torch.no_grad():
        return float(objective.loss(network, tensors_of(batch.arrays, network.device), None).total)


def test_a_padded_batch_weighs_tokens_as_single_sequences_do(network):
    objective, items = AnswerModelling(), AnswerItems(SEQUENCES)
    whole = items.batch(np.arange(8))
    singles = [items.batch(np.array([place])) for place in range(8)]
    assert whole.weight == sum(one.weight for one in singles)
    alone = sum(loss(network, objective, one) for one in singles)
    assert loss(network, objective, whole) == pytest.approx(alone, rel=1e-6)


def test_only_answers_are_learned(network):
    objective = AnswerModelling()
    before = AnswerItems(SEQUENCES[4:5]).batch(np.array([0]))
    ids, learned = before.arrays["ids"][0], before.arrays["learned"][0] > 0

    def changed(arrays):
        with torch.no_grad():
            tensors = tensors_of(arrays, network.device)
            return float(objective.loss(network, tensors, None).total)

    plain = changed(before.arrays)
    for place in range(1, len(ids)):
        labels = AnswerItems(SEQUENCES[4:5]).batch(np.array([0])).arrays
        labels["ids"] = labels["ids"].copy()
        labels["ids"][0, place:] = (labels["ids"][0, place:] + 1) % 256
        last = place == len(ids) - 1
        if learned[place] or last:
            assert changed(labels) != plain
    prompt = dict(before.arrays)
    nothing = dict(before.arrays, learned=np.zeros_like(before.arrays["learned"]))
    assert changed(objective.without_predictions(prompt)) == changed(nothing) == 0
    seen = torch.tensor(ids[None, :-1].astype(np.int64))
    logits = network.logits(network(seen)[0])[0]
    nats = -torch.log_softmax(logits, dim=-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:].astype(np.int64))]
    assert plain == pytest.approx(float(nats[torch.from_numpy(learned[1:])].sum()), rel=1e-6)


def test_direct_preference_optimisation(network):
    sums = torch.tensor([[-10.0, -12.0]])
    reference = torch.tensor([[-11.0, -11.0]])
    objective = PreferenceOptimisation(0.1)
    margin = 0.1 * ((sums - reference)[:, 0] - (sums - reference)[:, 1])
    assert -torch.nn.functional.logsigmoid(margin).item() == pytest.approx(0.5981389, abs=1e-7)
    items = PreferencePairs(PAIRS, np.zeros((5, 2), np.float32))
    tensors = tensors_of(items.batch(np.arange(5)).arrays, network.device)
    with torch.no_grad():
        own = answer_sums(network, tensors)
        same = objective.loss(network, {**tensors, "reference": own}, None)
        assert float(same.total) / 5 == pytest.approx(math.log(2), abs=1e-6)
        moved = own + torch.tensor([[-1.0, 1.0]])
        found = PreferenceOptimisation(0.5, 0.1).loss(network, {**tensors, "reference": moved}, None)
    margin = 0.5 * 2
    wanted = 0.9 * math.log1p(math.exp(-margin)) + 0.1 * math.log1p(math.exp(margin))
    assert float(found.total) / 5 == pytest.approx(wanted, rel=1e-5)
    assert float(found.sums["accuracy"]) == 5
    items = AnswerItems([chosen for chosen, _ in PAIRS])
    singles = [loss(network, AnswerModelling(), items.batch(np.array([place]))) for place in range(5)]
    np.testing.assert_allclose(-own[:, 0].numpy(), singles, rtol=1e-5)  # sums, not means


def test_equal_answers_give_no_gradient():
    sizes = {"layers": 1, "width": 8, "heads": 2, "kv_heads": 2, "head_width": 4, "hidden": 12, "context": 32}
    body = factory.loaded(random_weights("transformer", ByteTokenizer(), **sizes))
    tuned = TunedLanguageModel(body, trained=set(body.places))
    items = PreferencePairs([(PAIRS[0][0], PAIRS[0][0])], np.zeros((1, 2), np.float32))
    tensors = tensors_of(items.batch(np.array([0])).arrays, tuned.device)
    PreferenceOptimisation().loss(tuned, tensors, None).total.backward()
    assert max(float(parameter.grad.abs().max()) for parameter in tuned.parameters()) < 1e-7


def test_tasks_are_mixed_by_weights():
    items = AnswerItems([sequence(seed, 2, 1) for seed in range(12)])
    first = {tuple(one.ids.tolist()) for one in items.sequences[:10]}

    def counts(batches, steps):
        rows = [batches.batch(number).arrays["ids"] for number in range(steps)]
        return [sum(tuple(row.tolist()) in first for row in ids) for ids in rows]

    mixed = counts(MixedItems(items, 4, 0, [10, 12], [1.0, 3.0]), 10)
    assert mixed == [1] * 10
    again = MixedItems(items, 4, 0, [10, 12], [1.0, 3.0])
    assert np.array_equal(
        again.batch(7).arrays["ids"], MixedItems(items, 4, 0, [10, 12], [1, 3]).batch(7).arrays["ids"]
    )
    epoch = MixedItems(items, 5, 0)
    seen = [tuple(row.tolist()) for number in range(3) for row in epoch.batch(number).arrays["ids"]]
    assert sorted(seen) == sorted(tuple(one.ids.tolist()) for one in items.sequences)
