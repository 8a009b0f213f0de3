"""Low-rank adapters: which matrices they change, by how much, and what a file of one is held to."""

import numpy as np
import pytest

from lmkit import checkpoint, registry
from lmkit.architectures.adapters import Adapter, AdapterWeights
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.recurrent import RNNConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.data.sequences import TextFormat
from lmkit.errors import CheckpointError, UsageError
from lmkit.tokenization.tokenizers import ByteTokenizer

TRANSFORMER = TransformerConfig(
    vocabulary=ByteTokenizer().size, layers=2, width=6, heads=2, kv_heads=1, head_width=4, hidden=10, context=8
)
RECURRENT = RNNConfig(vocabulary=ByteTokenizer().size, layers=2, width=6, cell="gru")
CASES = [(TRANSFORMER, ("q_proj", "down_proj")), (RECURRENT, ("weight_hh",))]
every_model = pytest.mark.parametrize(("settings", "targets"), CASES, ids=lambda value: getattr(value, "kind", None))


def random_arrays(shapes, seed):
    generator = np.random.default_rng(seed)
    return {name: generator.normal(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def saved(content):
    return memoryview(b"".join(map(bytes, checkpoint.serialize(content.to_checkpoint({})))))


def model_of(settings):
    made = LoadedModel(settings, TextFormat("stream", 1, 10), ByteTokenizer(), random_arrays(settings.shapes(), 0))
    return LoadedModel.from_checkpoint(checkpoint.parse(saved(made)))


def adapter_of(model, targets, **options):
    adapter = Adapter(**{"rank": 3, "alpha": 6.0, "targets": targets, **options})
    return AdapterWeights(adapter, model.digest, random_arrays(adapter.shapes(model.settings), 1))


@every_model
def test_merging_adds_what_the_adapter_does_beside(settings, targets):
    model = model_of(settings)
    own = adapter_of(model, targets)
    merged = own.merged_into(model)
    adapted = own.adapter.matrices(settings)
    assert adapted == [name for name in settings.matrices() if any(target in name for target in targets)]
    for name, before in model.tensors.items():
        if name not in adapted:
            assert (merged.tensors[name] == before).all()
            continue
        x = np.random.default_rng(2).normal(0, 1, before.shape[1])
        a, b = own.tensors[f"{name}.lora_a"], own.tensors[f"{name}.lora_b"]
        beside = before.astype(np.float64) @ x + 2.0 * (b.astype(np.float64) @ (a.astype(np.float64) @ x))
        np.testing.assert_allclose(merged.tensors[name] @ x, beside, rtol=1e-5, atol=1e-5)
    assert saved(merged) == saved(merged)
    assert registry.load(saved(merged), "merged.lm").kind == settings.kind


@every_model
def test_an_adapter_before_training_changes_nothing(settings, targets):
    model = model_of(settings)
    own = adapter_of(model, targets)
    zero = {name: array * (not name.endswith("lora_b")) for name, array in own.tensors.items()}
    merged = AdapterWeights(own.adapter, own.parent, zero).merged_into(model)
    assert saved(merged) == saved(model)


@every_model
def test_a_file_holds_it_to_the_byte(settings, targets):
    own = adapter_of(model_of(settings), targets)
    data = saved(own)
    again = registry.load(data, "adapter.lm")
    assert isinstance(again, AdapterWeights)
    assert again.adapter == own.adapter
    assert again.parent == own.parent
    assert saved(again) == data
    assert checkpoint.parse(data).kind == "adapter"


def test_an_adapter_belongs_to_one_model():
    model, other = model_of(TRANSFORMER), model_of(RECURRENT)
    own = adapter_of(model, ("q_proj",))
    with pytest.raises(CheckpointError, match=f"an adapter of the model {model.digest[:8]}, got the model"):
        own.merged_into(other)


@pytest.mark.parametrize(
    ("options", "wrong"), [({"rank": 0}, "rank 0"), ({"alpha": 0.0}, "alpha"), ({"targets": ()}, "without targets")]
)
def test_settings_that_make_no_adapter(options, wrong):
    with pytest.raises(UsageError, match=wrong):
        Adapter(**{"rank": 2, "alpha": 4.0, "targets": ("q_proj",), **options})


def test_a_target_is_a_matrix_of_the_model():
    with pytest.raises(UsageError, match="no matrix 'lm_head'"):
        Adapter(rank=2, alpha=4.0, targets=("q_proj", "lm_head")).shapes(TRANSFORMER)


@pytest.mark.parametrize(
    "change",
    [
        {"rank": 4}, {"rank": "3"}, {"rank": 0}, {"alpha": None}, {"alpha": -1.0}, {"targets": []},
        {"targets": "q_proj"}, {"parent": None},
    ],
    ids=str,
)  # fmt: skip
def test_damaged_files_are_refused(change):
    content = adapter_of(model_of(TRANSFORMER), ("q_proj",)).to_checkpoint({})
    damaged = checkpoint.Checkpoint(content.kind, {**content.config, **change}, content.tensors)
    with pytest.raises(CheckpointError, match="damaged checkpoint"):
        AdapterWeights.from_checkpoint(damaged)


def test_tensors_are_those_of_the_settings():
    model = model_of(TRANSFORMER)
    own = adapter_of(model, ("q_proj",))
    less = {name: array for name, array in own.tensors.items() if not name.startswith("layers.1.")}
    with pytest.raises(CheckpointError, match=r"'layers\.1\.self_attn\.q_proj\.weight\.lora_a' is None"):
        AdapterWeights(own.adapter, own.parent, less).merged_into(model)
    narrow = {name: array[:, :2] if name.endswith("lora_a") else array for name, array in own.tensors.items()}
    with pytest.raises(CheckpointError, match=r"is \(3, 2\), expected \(3, 6\)"):
        AdapterWeights(own.adapter, own.parent, narrow).merged_into(model)
