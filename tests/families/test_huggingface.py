"""Folders of transformers: the same logits there and here, in both directions, and refusals by name."""

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmkit.families.huggingface import folder
from lmkit.families.model import Weights

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


def logits(weights: Weights) -> Any:
    from lmkit.neural.build import loaded

    network = loaded(weights).eval()
    with torch.inference_mode():
        return network.logits(network(torch.from_numpy(ids()))[0]).numpy()


def their_logits(model: Any) -> Any:
    with torch.inference_mode():
        return model(torch.from_numpy(ids())).logits.float().numpy()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_folder_gives_the_logits_of_transformers(name: str, tmp_path: Path) -> None:
    model = made(name)
    weights = folder.read(saved(model, tmp_path / "folder"))
    theirs = their_logits(model)
    assert np.abs(theirs).max() > 1
    np.testing.assert_allclose(logits(weights), theirs, atol=1e-4, rtol=0)


# The way back.


def own(settings: Mapping[str, Any], form: Any = None) -> Weights:
    """A random model of ours over bytes."""
    from lmkit.families.transformer import Transformer
    from lmkit.text.sequences import TextForm
    from lmkit.text.tokenizers import ByteTokenizer

    made = Transformer(**{"vocabulary": 259, "layers": 2, "context": 30, **settings})
    random = np.random.default_rng(5)
    tensors = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in made.shapes().items()}
    return Weights(made, form or TextForm("stream", 2, 2), ByteTokenizer(), tensors)


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


def written(weights: Weights, path: Path) -> dict[str, bytes]:
    from lmkit.edge.folders import write_folder
    from lmkit.families.huggingface.export import write

    write_folder(str(path), write(weights))
    return files_of(path)


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
    np.testing.assert_allclose(logits(weights), theirs, atol=1e-4, rtol=0)
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
