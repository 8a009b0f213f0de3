"""What a config answers in place of its family's name: context, state, batching, window."""

import pytest

from lmkit.architectures.context_window import ContextWindow
from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.feedforward import FFNConfig
from lmkit.architectures.recurrent import RNNConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.errors import UsageError

FFN = FFNConfig(vocabulary=11, context=3)
RNN = RNNConfig(vocabulary=11)
TRANSFORMER = TransformerConfig(vocabulary=11, context=9)
ENCODER = EncoderConfig(vocabulary=11, context=16)


@pytest.mark.parametrize(
    ("settings", "context", "limit", "batching", "window"),
    [
        (FFN, 3, None, "streams", ContextWindow(3, 1)),
        (RNN, None, None, "streams", None),
        (TRANSFORMER, 9, 9, "crops", ContextWindow(9, 4)),
        (ENCODER, 16, 16, "crops", ContextWindow(16, 8)),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_what_a_config_answers(settings, context, limit, batching, window):
    assert settings.context == context
    assert settings.sequence_limit == limit
    assert settings.stateful is (limit is None)
    assert settings.batching == batching
    assert settings.window() == window
    assert settings.window(2) == (ContextWindow(context, 2) if limit else window)


def test_answers_are_no_settings_of_the_file():
    assert set(RNN.to_json()) == {"vocabulary", "cell", "layers", "width", "bias", "tied"}
    assert set(FFN.to_json()) == {"vocabulary", "context", "width", "hidden", "direct"}


@pytest.mark.parametrize("stride", [0, 10])
def test_a_stride_is_within_the_context(stride):
    with pytest.raises(UsageError, match="is outside 1 to 9"):
        TRANSFORMER.window(stride)


def test_windows_begin_where_the_last_one_no_longer_reaches():
    window = ContextWindow(5, 2)
    assert [window.begin(place) for place in range(9)] == [0, 0, 0, 0, 0, 2, 2, 4, 4]
