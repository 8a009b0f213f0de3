"""FLOPs of training, against torch's counter."""

import pytest
import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.feedforward import FFNConfig
from lmkit.architectures.recurrent import RNNConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.errors import UsageError
from lmkit.nn import factory
from lmkit.scaling import flops

pytestmark = pytest.mark.filterwarnings("ignore:TF32")  # torch says so when oneDNN is switched off
ROWS, TIME = 2, 8


def counted(work):
    """FLOPs of some work as torch counts them; its fused kernels for CPUs, which it counts as nothing, are off."""
    with sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False):
        with FlopCounterMode(display=False) as counter:
            loss = work()
        forward = counter.get_total_flops()
        with FlopCounterMode(display=False) as counter:
            loss.backward()
    return forward / (ROWS * TIME), counter.get_total_flops() / (ROWS * TIME)


def network_loss(settings):
    network = factory.initialised(settings, seed=0)
    ids = torch.arange(ROWS * TIME).reshape(ROWS, TIME) % settings.vocabulary
    state = None if isinstance(settings, TransformerConfig) else network.initial(ROWS, 0)

    def work():
        hidden, _ = network(ids, state)
        return functional.cross_entropy(network.logits(hidden).flatten(0, 1), ids.flatten())

    return work


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "settings",
    [
        TransformerConfig(vocabulary=50, context=TIME),
        TransformerConfig(vocabulary=50, context=TIME, kv_heads=2, tied=True, activation="gelu", bias="all"),
        *(RNNConfig(vocabulary=50, width=32, cell=cell) for cell in ("elman", "lstm", "gru", "mingru")),
        FFNConfig(vocabulary=50),
        FFNConfig(vocabulary=50, direct=True),
    ],
    ids=lambda settings: getattr(settings, "cell", settings.kind),
)
def test_they_are_those_of_torch(settings):
    forward, backward = counted(network_loss(settings))
    assert flops.forward(settings, TIME).total == pytest.approx(forward, rel=1e-9)
    assert flops.backward(settings, TIME).total == pytest.approx(backward, rel=0.01)


@pytest.mark.slow
def test_those_of_an_encoder_are_those_of_bert():
    from transformers import BertConfig, BertModel

    settings = EncoderConfig(vocabulary=50, layers=2, width=32, heads=4, hidden=64, context=TIME)
    bert = BertModel(
        BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
    )
    ids = torch.zeros(ROWS, TIME, dtype=torch.long)
    forward, backward = counted(lambda: sum(found.sum() for found in bert(input_ids=ids, return_dict=False)))
    assert flops.forward(settings).total == pytest.approx(forward, rel=1e-9)
    assert flops.backward(settings).total == pytest.approx(backward, rel=0.01)


def test_visible_positions_are_half_of_all():
    settings = TransformerConfig(vocabulary=50, context=9)
    assert flops.forward(settings, causal=True).attention / flops.forward(settings).attention == 5 / 9
    assert flops.forward(settings, 3).attention == flops.forward(settings).attention / 3


def test_a_context_beyond_that_of_the_model():
    with pytest.raises(UsageError, match="beyond the model's context of 9"):
        flops.forward(TransformerConfig(vocabulary=50, context=9), 10)
