"""Masked language modelling: a loss at selected places only, its gradients, and no time or loss in padding."""

import numpy as np
import pytest
import torch
from tiny_encoders import BERT, OURS
from torch.nn import functional

from lmkit.architectures.encoder import EncoderConfig
from lmkit.data.masking import IGNORED
from lmkit.nn.encoder import EncoderNetwork
from lmkit.training.objectives.masked_lm import MaskedLanguageModelling
from lmkit.training.objectives.objective import tensors_of

LENGTHS = np.array([5, 3, 5, 7])


def network(shape):
    made = EncoderNetwork(EncoderConfig(vocabulary=20, **shape)).double()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.4)
    return made


def arrays(*, pairs=False, width=7):
    generator = np.random.default_rng(0)
    inside = np.arange(width) < LENGTHS[:, None]
    inputs = np.where(inside, generator.integers(5, 20, (4, width)), 0)
    chosen = inside & (generator.random((4, width)) < 0.4)
    labels = np.where(chosen, generator.integers(5, 20, (4, width)), IGNORED)
    found = {"inputs": inputs, "labels": labels, "lengths": LENGTHS, "share": np.full(4, 0.7)}
    if pairs:
        found |= {"segments": ((np.arange(width) > 2) * inside).astype(np.int64), "follows": np.array([1, 0, 0, 1])}
    return found


def loss(made, found, *, pairs=False):
    return MaskedLanguageModelling(pairs=pairs).loss(made, tensors_of(found, torch.device("cpu")), None)


def test_the_loss_is_the_cross_entropy_of_selected_tokens_each_sequence_alone():
    made, found = network(OURS), arrays()
    with torch.no_grad():
        nats = 0.0
        for ids, labels, length in zip(found["inputs"], found["labels"], LENGTHS, strict=True):
            hidden = made.hidden(torch.from_numpy(ids[:length]))
            nats += functional.cross_entropy(
                made.mlm_logits(hidden), torch.from_numpy(labels[:length]), ignore_index=IGNORED, reduction="sum"
            )
    assert loss(made, found).total.item() == pytest.approx(nats.item(), rel=1e-6)


def test_unselected_places_add_nothing_to_the_loss(monkeypatch):
    """Whatever the network says there, the loss and its gradient are the same."""
    made, found = network(OURS), arrays()
    hidden = made.hidden

    def edited(inputs, *rest):
        inside = np.arange(found["labels"].shape[1]) < LENGTHS[:, None]
        unselected = torch.from_numpy((found["labels"] == IGNORED)[inside])
        noise = torch.randn(len(inputs), OURS["width"], dtype=torch.float64) * unselected[:, None]
        return hidden(inputs, *rest) + noise

    results = []
    for change in (hidden, edited):
        monkeypatch.setattr(made, "hidden", change)
        made.zero_grad()
        total = loss(made, found).total
        total.backward()
        results.append((total.item(), made.layers[0].mlp.down_proj.weight.grad.clone()))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


def test_what_lies_behind_a_sequence_has_no_effect():
    made, found = network(OURS), arrays()
    wider = {name: np.pad(array, ((0, 0), (0, 5)), constant_values=9) if array.ndim == 2 else array
             for name, array in found.items()}  # fmt: skip
    assert loss(made, wider).total.item() == pytest.approx(loss(made, found).total.item(), rel=1e-6)


def test_the_loss_does_not_change_with_the_token_behind_a_mask():
    """What was masked is known to the loss by its label only; without labels nothing is learned."""
    made, found = network(OURS), arrays()
    nothing = MaskedLanguageModelling().without_predictions(found)
    made.zero_grad()
    empty = loss(made, nothing)
    empty.total.backward()
    assert empty.total.item() == 0
    assert all(not parameter.grad.any() for parameter in made.parameters())


@pytest.mark.parametrize(("shape", "pairs"), [(OURS, False), (BERT, True)], ids=["mlm", "mlm+nsp"])
def test_gradients_are_those_of_finite_differences(shape, pairs, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)  # logits stay in double precision
    made, found = network(shape), arrays(pairs=pairs)
    made.zero_grad()
    loss(made, found, pairs=pairs).total.backward()
    generator = np.random.default_rng(1)
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        place = int(generator.integers(0, len(flat)))
        with torch.no_grad():
            ends = []
            for step in (1e-5, -2e-5):
                flat[place] += step
                ends.append(loss(made, found, pairs=pairs).total.item())
            flat[place] += 1e-5
        assert gradient[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-6), name


def test_pairs_add_their_mean_loss():
    made, found = network(BERT), arrays(pairs=True)
    both = loss(made, found, pairs=True)
    assert list(both.sums) == ["loss", "nats", "pair_nats", "pair_accuracy"]
    assert both.total.item() == pytest.approx(both.sums["nats"].item() + both.sums["pair_nats"].item())
    assert both.sums["nats"].item() == pytest.approx(loss(made, found).sums["nats"].item())
    turned = loss(made, {**found, "follows": 1 - found["follows"]}, pairs=True)
    assert turned.sums["pair_accuracy"].item() + both.sums["pair_accuracy"].item() == pytest.approx(4 * 0.7)


def test_accuracy_is_counted_while_a_network_is_evaluated():
    made, found = network(OURS).eval(), arrays()
    right = loss(made, found).sums["accuracy"].item()
    assert 0 <= right <= (found["labels"] != IGNORED).sum()
