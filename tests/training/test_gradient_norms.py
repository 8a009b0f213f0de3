"""How far errors reach back: by hand, by differences, and the textbook's cases."""

import math

import numpy as np
import pytest
import torch

from lmkit.architectures.feedforward import FFNConfig
from lmkit.architectures.recurrent import RNNConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.nn import factory
from lmkit.training.gradient_norms import by_distance, windows

IDS = np.random.default_rng(0).integers(0, 9, 400).astype(np.int32)


def random_network(settings, deviation=0.4):
    """Every tensor random, the head too; double precision."""
    network = factory.initialised(settings, seed=0).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.normal_(0, deviation, generator=generator)
    return network.eval()


def cell(kind, layers=1, **tensors):
    """A recurrent network of width 4 whose cells are zero but for the tensors given; its head is random."""
    network = random_network(RNNConfig(vocabulary=9, cell=kind, layers=layers, width=4))
    own = network.tensors()
    with torch.no_grad():
        for name, tensor in own.items():
            if name.startswith("layers."):
                tensor.copy_(tensors.get(name.split(".")[2], torch.zeros(1)).expand(tensor.shape))
    return network


def ratios(norms):
    return norms[1:] / norms[:-1]


# By hand.


def test_a_linear_recurrence_decays_by_its_weight():
    network = cell("elman", weight_hh=0.5 * torch.eye(4))  # no input, no state: tanh' is 1
    inputs, targets = windows(IDS, 20)
    norms = by_distance(network, inputs, targets, 2)["layers.0.state"]
    assert norms / norms[0] == pytest.approx(0.5 ** np.arange(20), rel=1e-9)
    head, bias = network.lm_head.weight.detach(), network.head_bias.detach()
    wrong = torch.softmax(bias, 0) - torch.eye(9)[targets]  # dL/dlogits of each window
    assert norms[0] == pytest.approx(float((wrong @ head).norm(dim=1).mean()), rel=1e-9)


def test_weights_above_one_explode():
    network = cell("elman", weight_hh=1.5 * torch.eye(4))
    assert ratios(by_distance(network, *windows(IDS, 20), 2)["layers.0.state"]) == pytest.approx(np.full(19, 1.5))


def test_a_cell_keeps_what_its_forget_gate_lets_through():
    bias = torch.zeros(16)
    bias[4:8] = 1.0
    network = cell("lstm", bias_ih=bias)  # c_t = s(1) c_{t-1}, h_t = tanh(c_t) / 2, all of them 0
    norms = by_distance(network, *windows(IDS, 20), 2)["layers.0.state"]
    kept = 1 / (1 + math.exp(-1))
    assert norms[1:] / norms[0] == pytest.approx(0.5 * kept ** np.arange(1, 20), rel=1e-9)


# By differences.

NETWORKS = [
    RNNConfig(vocabulary=9, cell="elman", layers=2, width=4),
    RNNConfig(vocabulary=9, cell="lstm", layers=2, width=4),
    RNNConfig(vocabulary=9, cell="gru", layers=2, width=4, bias=False),
    RNNConfig(vocabulary=9, cell="mingru", layers=2, width=4, tied=True),
    FFNConfig(vocabulary=9, context=3, width=4, hidden=5),
    TransformerConfig(vocabulary=9, context=8, layers=2, width=8, heads=2, kv_heads=1, head_width=4, hidden=8),
]


@pytest.mark.parametrize("settings", NETWORKS, ids=lambda settings: getattr(settings, "cell", settings.kind))
def test_norms_are_those_of_differences(settings):
    """The slope of the loss by each number of each embedding; ids are all different, so that each has its own row."""
    network = random_network(settings)
    inputs, targets = np.array([[3, 1, 4, 0, 5, 7]], dtype=np.int32), np.array([8], dtype=np.int32)
    norms = by_distance(network, inputs, targets, 2)["embedding"]
    ids = torch.from_numpy(inputs.astype(np.int64))
    kept = network.embed_tokens.weight.detach().clone()
    if getattr(settings, "tied", False):  # the head must not move along
        network.head_bias, network.lm_head = network.head_bias, torch.nn.Linear(4, 9, bias=False).double()
        network.lm_head.weight.data = kept.clone()

    def loss():
        with torch.no_grad():
            hidden, _ = network(ids, network.initial(1, 2))
            return -float(torch.log_softmax(network.logits(hidden[:, -1]), -1)[0, 8])

    for distance, token in enumerate(inputs[0, ::-1].tolist()):
        slopes = []
        for place in range(kept.shape[1]):
            sides = []
            for shift in (1e-5, -1e-5):
                network.embed_tokens.weight.data = kept.clone()
                network.embed_tokens.weight.data[token, place] += shift
                sides.append(loss())
            slopes.append((sides[0] - sides[1]) / 2e-5)
        assert norms[distance] == pytest.approx(math.hypot(*slopes), rel=1e-4, abs=1e-9)


def test_a_feed_forward_model_sees_its_context_and_nothing_before():
    norms = by_distance(random_network(NETWORKS[4]), *windows(IDS, 6), 2)["embedding"]
    assert (norms[:3] > 0).all()
    assert (norms[3:] == 0).all()


# The textbook: a tanh network forgets as a power of the distance, an open forget gate later.


def test_elman_decays_geometrically_and_an_lstm_with_open_gates_more_slowly():
    small = 0.2
    elman, lstm = (
        factory.initialised(RNNConfig(vocabulary=9, cell=kind, layers=1, width=16), seed=3)
        for kind in ("elman", "lstm")
    )
    relative = []
    for network in (elman, lstm):  # as trained models begin, with a forget bias of 1, and a head that says something
        with torch.no_grad():
            network.lm_head.weight.normal_(0, 1, generator=torch.Generator().manual_seed(5))
            network.tensors()["layers.0.weight_hh"].mul_(small)
        norms = by_distance(network, *windows(IDS, 51), 2)["layers.0.state"]
        relative.append(norms / norms[0])
    slopes = np.diff(np.log(relative[0][5:40]))
    assert slopes.mean() < math.log(0.5)
    assert abs(slopes - slopes.mean()).max() < 0.5
    assert relative[1][50] > 1000 * relative[0][50]


# The command.


@pytest.fixture(scope="module")
def trained(lmkit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    text = folder / "text.txt"
    text.write_bytes(b"the cat sat on the mat\nthe dog sat on the log\n" * 30)
    for kind in ("ffn", "rnn", "transformer"):
        done = lmkit(
            "train", kind, "--width", 24, "--steps", 3, "--threads", 1, "-q", text, "-o", folder / f"{kind}.lm"
        )
        assert done.status == 0, done.stderr
    return folder


@pytest.mark.parametrize(
    ("kind", "names", "most"),
    [("ffn", ["embedding"], 20), ("rnn", ["embedding", "layers.1.input", "layers.1.state"], 20),
     ("transformer", ["embedding"], 20)],
)  # fmt: skip
def test_gradients_of_a_checkpoint(kind, names, most, lmkit, trained):
    command = ("info", "--gradients", "--text", trained / "text.txt", "--distance", most, "-m", trained / f"{kind}.lm")
    done = lmkit(*command)
    assert done.status == 0, done.stderr
    assert [row["of"] for row in done.rows] == [name for name in names for _ in range(most + 1)]
    assert [int(row["distance"]) for row in done.rows] == list(range(most + 1)) * len(names)
    for record in lmkit(*command, "--json").records:
        first = next(other for other in done.rows if other["of"] == record["of"])
        assert record["relative"] == pytest.approx(record["norm"] / float(first["norm"]), rel=1e-4, abs=1e-12)
    assert lmkit(*command).stdout == done.stdout


def test_a_transformer_sees_no_further_than_its_context(lmkit, trained):
    text = trained / "text.txt"
    done = lmkit("info", "--gradients", "--text", text, "--distance", 500, "-m", trained / "transformer.lm")
    assert [int(row["distance"]) for row in done.rows] == list(range(64))


def test_gradients_that_cannot_be_had(fails, trained, write, shelf):
    model, text = trained / "rnn.lm", trained / "text.txt"
    fails(2, "info", "--text", text, model)
    fails(2, "info", "--distance", 4, model)
    fails(2, "info", "--gradients", "--tensors", "--text", text, model)
    fails(2, "info", "--gradients", "--text", "-", "-m", "-")
    fails(2, "info", "--gradients", "--text", text, "-m", model, "-o", text)
    fails(3, "info", "--gradients", "--text", write("empty", b""), model)
    assert "--encoding" not in fails(3, "info", "--gradients", "--text", write("junk", b"\xff\x00"), model).stderr
    fails(3, "info", "--gradients", "--text", "absent", model)
    fails(4, "info", "--gradients", "--text", text, shelf["other.lm"])
    fails(4, "info", "--gradients", "--text", text, shelf["four.arpa"])
