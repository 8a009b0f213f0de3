"""Folders of transformers: the same logits there and here, in both directions, and refusals by name."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rounding import assert_close, shape_of

from lmkit.architectures.huggingface import folder
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.transformer import TransformerConfig
from lmkit.errors import CheckpointError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCABULARY = 137
SMALL = {"vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2}
LLAMA = {
    **SMALL, "hidden_size": 42, "intermediate_size": 53, "num_hidden_layers": 2, "num_attention_heads": 3,
    "num_key_value_heads": 1, "max_position_embeddings": 33, "rms_norm_eps": 1e-5,
}  # fmt: skip
SCALED = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
GPT2 = {**SMALL, "n_embd": 45, "n_layer": 2, "n_head": 5, "n_positions": 31}
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {**GPT2, "n_inner": 71}),
    "gpt2-untied-relu": ("GPT2", {**GPT2, "tie_word_embeddings": False, "activation_function": "relu"}),
    "llama": ("Llama", LLAMA),
    "llama-tied": ("Llama", {**LLAMA, "tie_word_embeddings": True, "num_key_value_heads": 3}),
    "llama-head-dim": ("Llama", {**LLAMA, "head_dim": 18}),
    "llama-scaled": ("Llama", {**LLAMA, "rope_parameters": SCALED}),
    "llama-biases": ("Llama", {**LLAMA, "attention_bias": True, "mlp_bias": True}),
    "llama-attention-biases": ("Llama", {**LLAMA, "attention_bias": True}),
    "llama-mlp-biases": ("Llama", {**LLAMA, "mlp_bias": True}),
    "mistral": ("Mistral", {**LLAMA, "sliding_window": None, "head_dim": 10}),
    "qwen2": ("Qwen2", {**LLAMA, "num_attention_heads": 6, "hidden_size": 60, "num_key_value_heads": 2}),
    "qwen3": ("Qwen3", {**LLAMA, "head_dim": 22, "tie_word_embeddings": True}),
    "qwen3-biases": ("Qwen3", {**LLAMA, "head_dim": 22, "attention_bias": True}),
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What transformers warns of is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def made(name: str) -> Any:
    """A small random model of transformers, biases and norms random too."""
    kind, settings = CONFIGURATIONS[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**settings)
    model = getattr(transformers, f"{kind}{'LMHeadModel' if kind == 'GPT2' else 'ForCausalLM'}")(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def tokenizer_json(size: int = 100) -> bytes:
    model = {"type": "WordLevel", "vocab": {f"w{token}": token for token in range(size)}, "unk_token": "w0"}
    return json.dumps({"version": "1.0", "model": model, "pre_tokenizer": {"type": "Whitespace"}}).encode()


def files_of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def saved(model: Any, path: Path, **options: Any) -> dict[str, bytes]:
    model.save_pretrained(path, **options)
    return {**files_of(path), "tokenizer.json": tokenizer_json()}


def ids() -> Any:
    return np.random.default_rng(1).integers(0, VOCABULARY, size=(3, 29))


def logits(weights: LoadedModel) -> Any:
    from lmkit.nn.factory import loaded

    network = loaded(weights).eval()
    with torch.inference_mode():
        return network.logits(network(torch.from_numpy(ids()))[0]).numpy()


def their_logits(model: Any) -> Any:
    with torch.inference_mode():
        return model(torch.from_numpy(ids())).logits.float().numpy()


@pytest.mark.few(3)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_folder_gives_the_logits_of_transformers(name: str, tmp_path: Path) -> None:
    model = made(name)
    weights = folder.read(saved(model, tmp_path / "folder"))
    theirs = their_logits(model)
    assert np.abs(theirs).max() > 1
    assert_close(logits(weights), theirs, **shape_of(weights.settings))


# The way back.


def own(settings: Mapping[str, Any], form: Any = None) -> LoadedModel:
    """A random model of ours over bytes."""
    from lmkit.architectures.transformer import TransformerConfig
    from lmkit.data.sequences import TextFormat
    from lmkit.tokenization.tokenizers import ByteTokenizer

    made = TransformerConfig(**{"vocabulary": 259, "layers": 2, "context": 30, **settings})
    random = np.random.default_rng(5)
    tensors = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in made.shapes().items()}
    return LoadedModel(made, form or TextFormat("stream", 2, 2), ByteTokenizer(), tensors)


ROPE = {"width": 42, "heads": 3, "kv_heads": 1, "head_width": 10, "hidden": 37}
LEARNED = {
    "width": 35, "heads": 5, "kv_heads": 5, "head_width": 7, "hidden": 29, "positions": "learned", "bias": "all",
    "normalisation": "layernorm", "activation": "gelu", "norm_epsilon": 1e-4,
}  # fmt: skip
THREE = {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 3.0, "original_context": 8}
SHAPES = {
    "LlamaForCausalLM": [
        ROPE, {**ROPE, "bias": "all", "tied": True}, {**ROPE, "rope_theta": 77.0, "rope_scaling": THREE},
    ],
    "MistralForCausalLM": [{**ROPE, "width": 43}],
    "Qwen2ForCausalLM": [{**ROPE, "bias": "qkv"}, {**ROPE, "bias": "qkv", "width": 43}],
    "Qwen3ForCausalLM": [{**ROPE, "query_key_norm": True, "norm_epsilon": 1e-3}],
    "GPT2LMHeadModel": [LEARNED, {**LEARNED, "activation": "relu2", "tied": True}, {**LEARNED, "activation": "relu"}],
}  # fmt: skip
EVERY = [(name, settings) for name, several in SHAPES.items() for settings in several]


def written(weights: LoadedModel, path: Path) -> dict[str, bytes]:
    from lmkit.architectures.huggingface.export import write
    from lmkit.io.folders import write_folder

    write_folder(str(path), write(weights))
    return files_of(path)


@pytest.mark.few(3)
@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_transformers_loads_our_folder_with_our_logits(
    name: str, settings: Mapping[str, Any], tmp_path: Path, capsys: Any
) -> None:
    weights = own(settings)
    files = written(weights, tmp_path / "out")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert type(model).__name__ == name
    theirs = their_logits(model)
    assert np.abs(theirs).max() > 1
    assert_close(logits(weights), theirs, **shape_of(weights.settings))
    again = folder.read(files)
    assert (again.settings, again.form) == (weights.settings, weights.form)
    assert again.tokenizer.digest == weights.tokenizer.digest
    assert {key: array.tobytes() for key, array in again.tensors.items()} == {
        key: array.tobytes() for key, array in weights.tensors.items()
    }


@pytest.mark.parametrize(("name", "settings"), EVERY[::3])
def test_its_tokenizer_gives_the_ids_that_the_model_was_trained_on(
    name: str, settings: Mapping[str, Any], tmp_path: Path
) -> None:
    weights = own(settings)
    written(weights, tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "one <s>\n\ntwo\té\n"
    ids = tokenizer(text)["input_ids"]
    assert ids == [2 if byte == 10 else byte + 3 for byte in text.encode()]
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


# What else a folder may look like.


def edited(files: Mapping[str, bytes], **changes: Any) -> dict[str, bytes]:
    """The files with another config.json; None takes a setting out."""
    config = {**json.loads(files["config.json"]), **changes}
    config = {key: value for key, value in config.items() if value is not None}
    return {**files, "config.json": json.dumps(config).encode()}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a small Llama."""
    return saved(made("llama"), tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a small GPT-2."""
    return saved(made("gpt2"), tmp_path_factory.mktemp("gpt2"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_becomes_float32_exactly(dtype: str, tmp_path: Path) -> None:
    model = made("llama").to(getattr(torch, dtype))
    weights = folder.read(saved(model, tmp_path / "folder"))
    assert all(array.dtype == np.float32 for array in weights.tensors.values())
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "folder", dtype=torch.float32).eval()
    assert_close(logits(weights), their_logits(again), **shape_of(weights.settings))


def test_shards_are_put_together(llama: Mapping[str, bytes], tmp_path: Path) -> None:
    files = saved(made("llama"), tmp_path / "folder", max_shard_size="30KB")
    assert folder.INDEX in files
    assert folder.WEIGHTS not in files
    whole, parts = folder.read(llama).tensors, folder.read(files).tensors
    assert {name: array.tobytes() for name, array in parts.items()} == {
        name: array.tobytes() for name, array in whole.items()
    }


def test_tensors_of_float32_are_views(gpt2: Mapping[str, bytes]) -> None:
    data = np.frombuffer(gpt2[folder.WEIGHTS], dtype=np.uint8)
    files = {**gpt2, folder.WEIGHTS: data.data}
    assert all(np.shares_memory(array, data) for array in folder.read(files).tensors.values())


def test_version_4_spells_rotary_positions_otherwise(llama: Mapping[str, bytes]) -> None:
    old = {"rope_parameters": None, "rope_theta": 777.0, "dtype": None, "torch_dtype": "float32"}
    assert folder.read(edited(llama, **old)).settings.to_json()["rope_theta"] == 777.0
    said = {
        "type": "llama3", "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 2.0,
        "original_max_position_embeddings": 9,
    }  # fmt: skip
    settings = folder.read(edited(llama, **old, rope_scaling=said)).settings.to_json()
    assert (settings["rope_theta"], settings["rope_scaling"]["original_context"]) == (777.0, 9.0)


def test_names_without_prefix_are_those_of_the_first_gpt2(gpt2: Mapping[str, bytes]) -> None:
    from lmkit.checkpoint import serialize_tensors, stored_tensors

    arrays = {name: tensor.array() for name, tensor in stored_tensors(gpt2[folder.WEIGHTS]).items()}
    old = {name.removeprefix("transformer."): array for name, array in arrays.items()}
    old["h.0.attn.bias"] = np.ones((1, 1, 31, 31), dtype=np.bool_)
    data = b"".join(map(bytes, serialize_tensors(old, {})))
    new, first = folder.read(gpt2), folder.read({**gpt2, folder.WEIGHTS: data})
    assert {name: array.tobytes() for name, array in first.tensors.items()} == {
        name: array.tobytes() for name, array in new.tensors.items()
    }


def test_a_head_that_is_not_the_embeddings_is_not_tied_to_them(llama: Mapping[str, bytes]) -> None:
    assert folder.read(edited(llama, tie_word_embeddings=True)).settings.to_json()["tied"] is False


def test_texts_begin_with_bos_else_eos(llama: Mapping[str, bytes]) -> None:
    def form(**changes: Any) -> tuple[str, int, int | None]:
        found = folder.read(edited(llama, **changes)).form
        return found.by, found.start, found.newline_id

    assert form() == ("stream", 1, None)
    assert form(bos_token_id=None, eos_token_id=[7, 8]) == ("stream", 7, None)
    assert form(bos_token_id=136, eos_token_id=3) == ("stream", 3, None)  # the tokenizer has 100
    with pytest.raises(CheckpointError, match="no token to begin texts with"):
        form(bos_token_id=None, eos_token_id=None)


def test_the_digest_sees_settings_and_tensors(llama: Mapping[str, bytes]) -> None:
    changed = bytearray(llama[folder.WEIGHTS])
    changed[-1] ^= 1
    digests = {
        folder.read(files).digest
        for files in (llama, dict(llama), edited(llama, rms_norm_eps=0.1), {**llama, folder.WEIGHTS: bytes(changed)})
    }
    assert len(digests) == 3


def test_the_digest_depends_on_no_name_of_the_code() -> None:
    class Renamed(TransformerConfig):
        pass

    assert folder.digest_of(Renamed(vocabulary=5), {}) == folder.digest_of(TransformerConfig(vocabulary=5), {})


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "sliding": ({"architectures": ["MistralForCausalLM"], "sliding_window": 8}, "sliding window of 8"),
    "sliding layers": ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types"),
    "yarn": ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "'yarn'"),
    "linear": ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}}, "'linear'"),
    "partial": ({"partial_rotary_factor": 0.5}, "only a part of each head"),
    "per layer": ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "differ between layers"),
    "activation": ({"hidden_act": "gelu"}, "activation 'gelu'"),
    "architecture": ({"architectures": ["BertModel"]}, "'BertModel' is not one of GPT2LMHeadModel"),
    "nothing": ({"architectures": None, "model_type": None}, "architecture None"),
    "quantized": ({"quantization_config": {"bits": 4}}, "quantized"),
    "no number": ({"hidden_size": "42"}, "hidden_size is '42', not a whole number"),
    "no flag": ({"tie_word_embeddings": 1}, "tie_word_embeddings is 1"),
    "heads": ({"num_attention_heads": 4, "head_dim": None}, "4 heads do not share a width of 42"),
    "groups": ({"num_key_value_heads": 2}, "3 heads can't share 2"),
    "shape": ({"intermediate_size": 54}, r"is \[53, 42\], its config.json makes it \[54, 42\]"),
    "layers": ({"num_hidden_layers": 3}, "no tensor 'model.layers.2.input_layernorm.weight'"),
    "fewer layers": ({"num_hidden_layers": 1}, "has no place in the model"),
    "vocabulary": ({"vocab_size": 99}, "its config.json makes it"),
    "biases": ({"attention_bias": True}, "no tensor 'model.layers.0.self_attn.q_proj.bias'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_run_exactly_is_refused_by_name(name: str, llama: Mapping[str, bytes]) -> None:
    changes, message = REFUSED[name]
    with pytest.raises(CheckpointError, match=message):
        folder.read(edited(llama, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "gelu"}, "activation 'gelu'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"add_cross_attention": True}, "add_cross_attention"),
    ],
)
def test_gpt2_with_other_settings_is_refused(changes: Any, message: str, gpt2: Mapping[str, bytes]) -> None:
    with pytest.raises(CheckpointError, match=message):
        folder.read(edited(gpt2, **changes))


def without(name: str, **others: bytes) -> Callable[[Mapping[str, bytes]], dict[str, bytes]]:
    return lambda files: {**{key: data for key, data in files.items() if key != name}, **others}


def index(places: object) -> bytes:
    return json.dumps({"weight_map": places}).encode()


BROKEN: dict[str, tuple[Callable[[Mapping[str, bytes]], Mapping[str, bytes]], str]] = {
    "no config": (without("config.json"), "no config.json"),
    "config": (lambda files: {**files, "config.json": b"\xff\x00"}, "config.json: not an object"),
    "config list": (lambda files: {**files, "config.json": b"[]"}, "config.json: not an object"),
    "no weights": (without(folder.WEIGHTS), "no weights in the folder"),
    "pickle": (without(folder.WEIGHTS, **{"pytorch_model.bin": b"x"}), "pytorch_model.bin is a pickle"),
    "junk": (lambda files: {**files, folder.WEIGHTS: b"junk" * 9}, "model.safetensors: not a checkpoint"),
    "cut": (lambda files: {**files, folder.WEIGHTS: files[folder.WEIGHTS][:-9]}, "model.safetensors: damaged"),
    "empty": (lambda files: {**files, folder.WEIGHTS: b""}, "model.safetensors: not a checkpoint"),
    "no shard": (without(folder.WEIGHTS, **{folder.INDEX: index({"a": "b.safetensors"})}), "b.safetensors is missing"),
    "outside": (without(folder.WEIGHTS, **{folder.INDEX: index({"a": "../b"})}), "../b is missing"),
    "bad index": (without(folder.WEIGHTS, **{folder.INDEX: index([])}), "no weight_map"),
    "no tokenizer": (without("tokenizer.json"), "no tokenizer in the folder"),
    "bad tokenizer": (lambda files: {**files, "tokenizer.json": b"{}"}, "tokenizer.json: not a tokenizer.json"),
    "big tokenizer": (lambda files: {**files, "tokenizer.json": tokenizer_json(138)}, "tokenizer has 138 tokens"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_damaged_folders_are_refused(name: str, llama: Mapping[str, bytes]) -> None:
    breaking, message = BROKEN[name]
    with pytest.raises(CheckpointError, match=message):
        folder.read(breaking(llama))


def test_vocabulary_and_merges_make_a_tokenizer(gpt2: Mapping[str, bytes]) -> None:
    from lmkit.tokenization.bpe.byte_characters import BYTE_TO_CHARACTER

    size = json.dumps({**{token: place for place, token in enumerate(BYTE_TO_CHARACTER)}, "ab": 256})
    pair = {"vocab.json": size.encode(), "merges.txt": b"#version: 0.2\na b\n"}
    tokenizer = folder.read_tokenizer(pair)
    assert (tokenizer.kind, tokenizer.encode(b"ab").tolist()) == ("bpe", [256])
    other = {**pair, "tokenizer_config.json": b'{"tokenizer_class": "Qwen2Tokenizer"}'}
    with pytest.raises(CheckpointError, match="do not say all of a Qwen2Tokenizer"):
        folder.read_tokenizer(other)


UNKNOWN_SHAPES = [
    ({**ROPE, "residual": False}, "residual"),
    ({**ROPE, "norm": "post"}, "norm post"),
    ({**ROPE, "normalisation": "layernorm"}, "normalisation layernorm"),
    ({**ROPE, "activation": "gelu"}, "activation gelu"),
    ({**ROPE, "positions": "sinusoidal"}, "positions 'sinusoidal'"),
    ({**ROPE, "query_key_norm": True, "bias": "qkv"}, "bias qkv"),
    ({**ROPE, "width": 43, "bias": "all"}, "width 43"),
    ({**LEARNED, "kv_heads": 1}, "kv heads 1"),
    ({**LEARNED, "bias": "none"}, "bias none"),
    ({**LEARNED, "head_width": 6}, "head width 6"),
]


@pytest.mark.parametrize(("settings", "message"), UNKNOWN_SHAPES)
def test_a_shape_that_transformers_lacks_is_refused_by_name(settings: Any, message: str) -> None:
    from lmkit.architectures.huggingface.export import write

    with pytest.raises(CheckpointError, match=message):
        write(own(settings))


def test_models_of_lines_end_where_a_line_does(tmp_path: Path) -> None:
    from lmkit.data.sequences import TextFormat

    form = TextFormat("line", 1, 2)
    files = written(own(ROPE, form), tmp_path / "out")
    config = transformers.GenerationConfig.from_pretrained(tmp_path / "out")
    assert (config.bos_token_id, config.eos_token_id) == (1, 2)
    assert folder.read(files).form == form
    bare = edited(files, lmkit=None)
    assert folder.read(bare).form == TextFormat("stream", 1, 2)
