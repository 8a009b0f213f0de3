"""Replaced-token detection: labels, a loss at all places, gradients, and what a generator draws."""

import numpy as np
import pytest
import torch
from tiny_encoders import OURS, tiny_encoder
from torch.nn import functional

from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.encoder_model import LoadedEncoder
from lmkit.architectures.huggingface import encoder_export
from lmkit.data.masking import IGNORED
from lmkit.io.folders import write_folder
from lmkit.nn.electra import ElectraNetwork
from lmkit.training.objectives import replaced_tokens
from lmkit.training.objectives.objective import tensors_of
from lmkit.training.objectives.replaced_tokens import WEIGHT, ReplacedTokenDetection, drawn

TRUE = np.array([[2, 7, 8, 9, 3], [2, 6, 5, 3, 0]])
LENGTHS = np.array([5, 4])
CHOSEN = np.array([[0, 1, 0, 1, 0], [0, 0, 1, 0, 0]], dtype=bool)
FOUND = {
    "inputs": np.where(CHOSEN, 4, TRUE), "labels": np.where(CHOSEN, TRUE, IGNORED), "lengths": LENGTHS,
    "share": np.full(2, 3 / 9),
}  # fmt: skip


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self.double())
    made = ElectraNetwork(EncoderConfig(vocabulary=20, **{**OURS, "task": "discriminator"})).double()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.4)
    return made


def loss(network, **changes):
    return ReplacedTokenDetection().loss(network, tensors_of({**FOUND, **changes}, torch.device("cpu")), None)


def draws(monkeypatch, tokens):
    monkeypatch.setattr(replaced_tokens, "drawn", lambda _logits: torch.tensor(tokens))


def test_labels_are_one_where_a_token_is_another_than_the_true_one(network, monkeypatch):
    draws(monkeypatch, [7, 12, 5])  # the first and the last are the true ones
    found = loss(network)
    assert found.sums["replaced"].item() == 1
    corrupted = torch.tensor([2, 7, 8, 12, 3, 2, 6, 5, 3])
    logits = network.logits(network.discriminator.hidden(corrupted, lengths=[5, 4]))
    labels = (torch.arange(9) == 3).double()
    nats = functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")  # over all places
    assert found.sums["discriminator"].item() == pytest.approx(nats.item() * 3 / 9)
    assert found.total.item() == pytest.approx(found.sums["nats"].item() + 50 * nats.item() * 3 / 9)
    flagged = logits > 0
    numbers = ReplacedTokenDetection().numbers({name: one.item() for name, one in found.sums.items()}, 3)
    assert numbers["recall"] == float(flagged[3])
    assert numbers["accuracy"] == pytest.approx((flagged == labels.bool()).double().mean().item())
    assert numbers["replaced"] == pytest.approx(1 / 3)


def test_a_generator_that_draws_only_true_tokens_replaces_none(network, monkeypatch):
    draws(monkeypatch, [7, 9, 5])
    sums = loss(network).sums
    assert (sums["replaced"].item(), sums["detected"].item()) == (0, 0)
    assert ReplacedTokenDetection().numbers({name: one.item() for name, one in sums.items()}, 3)["recall"] == 0


def test_gradients_are_those_of_finite_differences(network, monkeypatch):
    draws(monkeypatch, [7, 12, 6])
    network.zero_grad()
    loss(network).total.backward()
    generator = np.random.default_rng(1)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        flat = parameter.data.view(-1)
        place = int(generator.integers(0, len(flat)))
        with torch.no_grad():
            ends = []
            for step in (1e-5, -2e-5):
                flat[place] += step
                ends.append(loss(network).total.item())
            flat[place] += 1e-5
        difference = (ends[0] - ends[1]) / 2e-5
        assert parameter.grad.view(-1)[place].item() == pytest.approx(difference, rel=1e-4, abs=1e-6), name


def test_the_generator_learns_nothing_from_the_discriminator(network, monkeypatch):
    draws(monkeypatch, [7, 12, 6])
    network.zero_grad()
    loss(network).sums  # noqa: B018
    detection = ReplacedTokenDetection(weight=0.0)
    grads = []
    for objective in (detection, ReplacedTokenDetection()):
        network.zero_grad()
        objective.loss(network, tensors_of(FOUND, torch.device("cpu")), None).total.backward()
        grads.append(network.generator.layers[0].mlp.down_proj.weight.grad.clone())
    assert torch.allclose(*grads)


def theirs(part, network, weights):
    """The generator or the discriminator as transformers loads it from a folder."""
    arrays, settings = network.to_arrays(), getattr(network, part).settings
    own = {name: arrays.get(f"{part}.{name}", arrays.get(f"discriminator.{name}")) for name in settings.shapes()}
    write_folder(part, encoder_export.write(LoadedEncoder(settings, weights.form, weights.tokenizer, own)))
    transformers = pytest.importorskip("transformers")
    kind = {"generator": "ElectraForMaskedLM", "discriminator": "ElectraForPreTraining"}[part]
    return getattr(transformers, kind).from_pretrained(part).eval()


def test_both_losses_are_those_of_transformers(work, monkeypatch):
    weights = tiny_encoder("electra", heads=8, width=64)
    network = ElectraNetwork(weights.settings)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(float(parameter.ndim == 1), 0.3)
    monkeypatch.setattr(replaced_tokens, "drawn", lambda _logits: torch.tensor([7, 12, 6]))
    masked, true, labels = (
        torch.from_numpy(one)[:, :4].contiguous() for one in (FOUND["inputs"], TRUE, FOUND["labels"])
    )
    corrupted = torch.where(labels == IGNORED, true, torch.tensor([[0, 7, 0, 12], [0, 0, 6, 0]]))
    found = loss(
        network, inputs=masked.numpy(), labels=labels.numpy(), lengths=np.array([4, 4]), share=np.full(2, 3 / 8, "f4")
    )
    with torch.no_grad():
        nats = theirs("generator", network, weights)(input_ids=masked, labels=labels).loss.item()
        scored = theirs("discriminator", network, weights)(input_ids=corrupted, labels=(corrupted != true).long()).loss
    assert found.sums["replaced"].item() == 2
    assert found.sums["nats"].item() / 3 == pytest.approx(nats, rel=1e-5)
    assert found.sums["discriminator"].item() / 3 == pytest.approx(scored.item(), rel=1e-5)
    assert found.total.item() / 3 == pytest.approx(nats + WEIGHT * scored.item(), rel=1e-5)


def test_rows_without_predictions_teach_nothing(network):
    nothing = ReplacedTokenDetection().without_predictions(FOUND)
    network.zero_grad()
    found = ReplacedTokenDetection().loss(network, tensors_of(nothing, torch.device("cpu")), None)
    found.total.backward()
    assert {name: one.item() for name, one in found.sums.items()} == dict.fromkeys(found.sums, 0)
    assert all(not parameter.grad.any() for parameter in network.parameters())


def test_tokens_are_drawn_from_the_softmax():
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    torch.manual_seed(0)
    counts = torch.bincount(drawn(logits.expand(40_000, 4)), minlength=4)
    wanted = 40_000 * torch.softmax(logits, 0)
    assert (((counts - wanted) ** 2) / wanted).sum() < 21.1  # chi-squared of 3 degrees, p = 1e-4
