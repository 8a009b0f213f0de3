"""Encoders as checkpoints."""

import numpy as np
import pytest
from tiny_encoders import SHAPES, tiny_encoder

from lmkit import checkpoint, registry
from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.encoder_model import LoadedEncoder, Pooling
from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.errors import CheckpointError, UsageError


def file_of(weights):
    return b"".join(map(bytes, checkpoint.serialize(weights.to_checkpoint({}))))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_gives_the_encoder_back(shape):
    weights = tiny_encoder(shape)
    data = file_of(weights)
    model = registry.load(memoryview(data), "enc.lm")
    assert model.kind == "encoder"
    assert (model.settings, model.form) == (weights.settings, weights.form)
    assert file_of(model.weights) == data
    assert model.settings.parameters == sum(array.size for array in weights.tensors.values())


def test_settings_of_pooling_are_kept():
    from dataclasses import replace

    weights = replace(tiny_encoder(), pooling=Pooling("cls", True, 64))
    content = checkpoint.parse(memoryview(file_of(weights)))
    assert LoadedEncoder.from_checkpoint(content).pooling == weights.pooling


def test_damaged_settings_are_refused():
    content = tiny_encoder().to_checkpoint({})
    for change, error in (
        ({"body": 3}, "no body"),
        ({"head": {"kind": "classify"}}, "head is of kind 'classify'"),
        ({"body": {**content.config["body"], "norm": "course"}}, "norm 'course' is not one of post, pre"),
        ({"text": {**content.config["text"], "cls": 9999}}, "special tokens"),
        ({"pooling": {"mode": "median"}}, "settings of pooling"),
    ):
        config = {**content.config, **change}
        damaged = checkpoint.Checkpoint("encoder", config, content.tensors, content.tokenizer, {})
        with pytest.raises(CheckpointError, match=error):
            LoadedEncoder.from_checkpoint(damaged)


def test_settings_that_make_no_encoder_are_refused():
    for change, error in (
        ({"heads": 5}, "5 heads do not share"),
        ({"task": "mlm+pair", "pooler": False}, "reads the pooler"),
        ({"layers": 0}, "outside 1"),
        ({"segments": -1}, "outside 0"),
    ):
        with pytest.raises(UsageError, match=error):
            EncoderConfig(vocabulary=9, **change)


def test_special_tokens_lie_around_texts():
    form = tiny_encoder().form
    assert form == EncoderFormat(cls=2, sep=3, mask=4, pad=0)
    first, second = np.array([7, 8], dtype=np.int32), np.array([9], dtype=np.int32)
    assert form.single(first).ids.tolist() == [2, 7, 8, 3]
    ids, segments = form.pair(first, second)
    assert ids.tolist() == [2, 7, 8, 3, 9, 3]
    assert segments.tolist() == [0, 0, 0, 0, 1, 1]
    twice = EncoderFormat(cls=2, sep=3, separators=2).pair(first, second)
    assert twice.ids.tolist() == [2, 7, 8, 3, 3, 9, 3]
