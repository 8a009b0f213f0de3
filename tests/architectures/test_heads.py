"""A model is a body and a head; language models' files are what they were before heads had a name."""

from hashlib import sha256

import numpy as np
import pytest

from lmkit import checkpoint
from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.feedforward import FFNConfig
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.recurrent import RNNConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.data.sequences import TextFormat
from lmkit.errors import CheckpointError
from lmkit.tokenization.tokenizers import ByteTokenizer

SMALL = {"layers": 1, "width": 4}
HEADS = {"heads": 1, "kv_heads": 1, "head_width": 4, "hidden": 6, "context": 8}
MODELS = [
    (FFNConfig, {"context": 2, "width": 3, "hidden": 5}, "9df8141f38be9f2b"),
    (FFNConfig, {"context": 2, "width": 3, "hidden": 5, "direct": True}, "af8a90240200a0c1"),
    (RNNConfig, {**SMALL, "cell": "gru"}, "56cbf26e0515c94e"),
    (RNNConfig, {**SMALL, "cell": "mingru", "bias": False, "tied": True}, "9cc569743be4182b"),
    (TransformerConfig, {**SMALL, **HEADS}, "66b933ebb4acdfa4"),
    (
        TransformerConfig,
        {**SMALL, **HEADS, "tied": True, "normalisation": "layernorm", "positions": "learned"},
        "07d76e416eef7504",
    ),
]
every_model = pytest.mark.parametrize(("family", "options", "digest"), MODELS, ids=lambda value: str(value)[:4])


def settings_of(family, options):
    return family(vocabulary=ByteTokenizer().size, **options)


def file_of(settings):
    """The bytes of a checkpoint whose numbers are counted up from tensor to tensor."""
    arrays, size = {}, 0
    for name, shape in settings.shapes().items():
        count = int(np.prod(shape))
        arrays[name] = np.arange(size, size + count, dtype=np.float32).reshape(shape)
        size += count
    weights = LoadedModel(settings, TextFormat("stream", 1, 10), ByteTokenizer(), arrays)
    return b"".join(map(bytes, checkpoint.serialize(weights.to_checkpoint({}))))


def content_digest(content):
    """The digest of what a file says of the model, whatever the format of files."""
    digest = sha256(checkpoint.canonical([content.kind, content.config, content.tokenizer]).encode())
    for name, tensor in sorted(content.tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())
    return digest.hexdigest()[:16]


@every_model
def test_files_of_language_models_are_those_of_the_first_release(family, options, digest):
    data = file_of(settings_of(family, options))
    content = checkpoint.parse(memoryview(data))
    assert content_digest(content) == digest
    assert not {"body", "head", "adapters"} & set(content.config)
    again = LoadedModel.from_checkpoint(content).to_checkpoint({})
    assert b"".join(map(bytes, checkpoint.serialize(again))) == data


@every_model
def test_tensors_are_those_of_the_body_and_then_those_of_the_head(family, options, digest):
    settings = settings_of(family, options)
    body, head = settings.body_shapes(), settings.head.shapes()
    assert list(settings.shapes()) == [*body, *head]
    assert settings.head.kind == "lm"
    assert ("lm_head.weight" in head) is not options.get("tied", False)
    assert not any(name.startswith(("lm_head", "direct")) for name in body)
    assert set(settings.matrices()) <= set(body)


def test_an_encoder_is_a_body_alone():
    assert EncoderConfig(vocabulary=11).head is None


def test_a_head_may_be_named_and_another_one_is_refused():
    content = checkpoint.parse(memoryview(file_of(settings_of(*MODELS[0][:2]))))
    for head, error in (
        ({"kind": "lm"}, None),
        ({"kind": "classify"}, "head is of kind 'classify', expected 'lm'"),
        ({}, "no kind"),
        (3, "no kind"),
    ):
        named = checkpoint.Checkpoint(
            content.kind, {**content.config, "head": head}, content.tensors, content.tokenizer, {}
        )
        if error is None:
            assert LoadedModel.from_checkpoint(named).settings.head.kind == "lm"
        else:
            with pytest.raises(CheckpointError, match=error):
                LoadedModel.from_checkpoint(named)
