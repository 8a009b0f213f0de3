"""GGUF files: what llama.cpp's own writer made is read as the model that was written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmkit.architectures import gguf as families
from lmkit.architectures.transformer import TransformerConfig
from lmkit.errors import CheckpointError
from lmkit.io import gguf as gguf_files
from lmkit.tokenization.bpe.byte_characters import BYTE_TO_CHARACTER

gguf = pytest.importorskip("gguf")

TOKENS = [*BYTE_TO_CHARACTER, "ab", "Ġab", "<|end|>"]
MERGES = ["a b", "Ġ ab"]
THEIRS = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "embed_tokens": "token_embd",
    "norm": "output_norm", "lm_head": "output",
}  # fmt: skip
SHAPE = {
    "vocabulary": 261, "layers": 2, "width": 32, "heads": 3, "kv_heads": 1, "head_width": 12, "hidden": 64,
    "context": 40, "rope_theta": 777.0, "norm_epsilon": 1e-5,
}  # fmt: skip


def theirs(name: str) -> str:
    inner, _, end = name.rpartition(".")
    if not inner.startswith("layers."):
        return f"{THEIRS[inner]}.{end}"
    _, layer, inner = inner.split(".", 2)
    return f"blk.{layer}.{THEIRS[inner]}.{end}"


def turned(array: Any, head_width: int) -> Any:
    """Rows i and i + head_width/2 of each head as neighbours, the way llama.cpp keeps those of a Llama."""
    heads = array.reshape(-1, head_width, array.shape[1])
    neighbours = [row for i in range(head_width // 2) for row in (i, i + head_width // 2)]
    return heads[:, neighbours].reshape(array.shape)


def write(path: Path, architecture: str = "llama", quantized: Any = None, **changes: Any) -> tuple[Any, Any]:
    """A random model as a GGUF file; gives its settings and tensors."""
    shape = {**SHAPE, **changes.pop("shape", {})}
    settings = TransformerConfig(**shape)
    random = np.random.default_rng(3)
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in settings.shapes().items()}
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(settings.layers)
    writer.add_embedding_length(settings.width)
    writer.add_feed_forward_length(settings.hidden)
    writer.add_head_count(settings.heads)
    writer.add_head_count_kv(settings.kv_heads)
    writer.add_key_length(settings.head_width)
    writer.add_context_length(settings.context)
    writer.add_rope_freq_base(settings.rope_theta)
    writer.add_layer_norm_rms_eps(settings.norm_epsilon)
    writer.add_tokenizer_model(changes.pop("tokenizer", "gpt2"))
    writer.add_tokenizer_pre(changes.pop("pre", "gpt-2"))
    writer.add_token_list(TOKENS)
    writer.add_token_types([1] * (len(TOKENS) - 1) + [3])
    writer.add_token_merges(MERGES)
    writer.add_eos_token_id(258)
    for call, value in changes.items():
        getattr(writer, call)(value)
    for name, array in tensors.items():
        rows = turned(array, settings.head_width) if name.endswith(("q_proj.weight", "k_proj.weight")) else array
        rows = array if architecture != "llama" else rows
        if quantized is not None and array.ndim == 2:
            writer.add_tensor(theirs(name), gguf.quants.quantize(rows, quantized), raw_dtype=quantized)
        else:
            writer.add_tensor(theirs(name), np.ascontiguousarray(rows))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return settings, tensors


def read(path: Path) -> Any:
    return families.read(*gguf_files.read(str(path)))


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        ("llama", {}),
        ("llama", {"tied": True}),
        ("qwen2", {"bias": "qkv", "head_width": 8, "heads": 4}),
        ("qwen3", {"query_key_norm": True}),
    ],
)
def test_a_file_is_read_as_it_was_written(architecture: str, shape: Any, work: Path) -> None:
    settings, tensors = write(work / "model.gguf", architecture, shape=shape)
    weights = read(work / "model.gguf")
    assert weights.settings == settings
    assert {name: array.tobytes() for name, array in weights.tensors.items()} == {
        name: array.tobytes() for name, array in tensors.items()
    }
    assert (weights.form.by, weights.form.start, weights.form.newline_id) == ("stream", 258, None)
    assert weights.tokenizer.encode(b"ab ab").tolist() == [256, 257]


def test_quantized_numbers_come_near(work: Path) -> None:
    _, tensors = write(work / "model.gguf", quantized=gguf.GGMLQuantizationType.Q8_0, shape={"head_width": 32})
    found = read(work / "model.gguf").tensors
    for name in ("layers.0.self_attn.q_proj.weight", "layers.1.mlp.up_proj.weight"):
        difference = np.abs(found[name] - tensors[name]).max()
        assert 0 < difference < 0.03


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "gemma"}, "architecture 'gemma' is not one of llama"),
        ({"tokenizer": "llama"}, r"tokenizer \(llama, gpt-2\)"),
        ({"pre": "tekken"}, r"tokenizer \(gpt2, tekken\)"),
        ({"add_rope_dimension_count": 6}, "only a part of each head"),
        ({"add_sliding_window": 8}, "sliding window of 8"),
    ],
)
def test_what_can_not_be_run_exactly_is_refused_by_name(changes: Any, message: str, work: Path) -> None:
    write(work / "model.gguf", **changes)
    with pytest.raises(CheckpointError, match=message):
        read(work / "model.gguf")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("llama.block_count", 3, "no tensor 'blk.2.attn_norm.weight'"),
        (
            "llama.feed_forward_length",
            33,
            r"tensor 'blk.0.ffn_gate.weight' is \[64, 32\], its settings make it \[33, 32\]",
        ),
        ("llama.rope.scaling.type", "yarn", "rotary positions are scaled"),
        ("llama.context_length", None, "max_position_embeddings is None"),
        ("tokenizer.ggml.eos_token_id", 300, "no token to begin texts with"),
        ("tokenizer.ggml.tokens", None, "no tokens or no merges"),
    ],
)
def test_what_does_not_fit_together_is_refused(key: str, value: Any, message: str, work: Path) -> None:
    write(work / "model.gguf")
    values, tensors = gguf_files.read(str(work / "model.gguf"))
    with pytest.raises(CheckpointError, match=message):
        families.read({**values, key: value}, tensors)


def test_a_file_becomes_a_checkpoint_or_a_folder(
    work: Path, lmkit: Callable[..., Any], fails: Callable[..., Any]
) -> None:
    settings, _ = write(work / "model.gguf")
    assert lmkit("convert", "model.gguf", "-o", "model.lm").status == 0
    assert lmkit("info", "--json", "model.lm").records[0]["parameters"] == settings.parameters
    assert lmkit("convert", "model.gguf", "--to", "huggingface", "-o", "folder").status == 0
    assert lmkit("bpe", "encode", "-m", "folder", stdin=b"ab ab\n").text == "256 257\n"
    (direct,) = lmkit("score", "--json", "-m", "model.gguf", stdin=b"ab ab\n").records
    (converted,) = lmkit("score", "--json", "-m", "model.lm", stdin=b"ab ab\n").records
    assert direct["nats"] == converted["nats"]
    assert direct["signature"] != converted["signature"]
    assert lmkit("bpe", "encode", "-m", "model.gguf", stdin=b"ab ab\n").text == "256 257\n"
    (work / "a.txt").write_bytes(b"a\n")
    stdin = (work / "model.gguf").read_bytes()
    assert "hint: `lmkit convert`" in fails(4, "ppl", "a.txt", stdin=stdin).stderr
    (work / "cut.gguf").write_bytes((work / "model.gguf").read_bytes()[:2000])
    assert "cut.gguf: damaged GGUF file" in fails(4, "convert", "cut.gguf", "-o", "x.lm").stderr
    (work / "junk.gguf").write_bytes(b"GGUF" + b"\xff" * 100)
    assert "junk.gguf: damaged GGUF file" in fails(4, "convert", "junk.gguf", "-o", "x.lm").stderr
    assert not (work / "x.lm").exists()


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_what_is_written_is_read_again(architecture: str, work: Path, lmkit: Callable[..., Any]) -> None:
    shape = {"llama": {}, "qwen2": {"bias": "qkv", "head_width": 8, "heads": 4}, "qwen3": {"query_key_norm": True}}
    _, tensors = write(
        work / "model.gguf", architecture, shape={**shape[architecture], "vocabulary": 259, "head_width": 8, "heads": 4}
    )
    before = read(work / "model.gguf")
    assert lmkit("convert", "model.gguf", "-o", "again.gguf").status == 0
    after = read(work / "again.gguf")
    assert (after.settings, after.form, after.tokenizer.digest) == (
        before.settings, before.form, before.tokenizer.digest,
    )  # fmt: skip
    assert {name: array.tobytes() for name, array in after.tensors.items()} == {
        name: array.tobytes() for name, array in tensors.items()
    }
    reader = gguf.GGUFReader(work / "again.gguf")  # llama.cpp's own library
    assert {tensor.name for tensor in reader.tensors} == set(map(theirs, tensors))
    assert reader.fields["tokenizer.ggml.merges"].contents() == MERGES


@pytest.mark.parametrize("precision", ["bf16", "q8_0", "q4_0"])
def test_precisions_are_kept_by_checkpoints_and_gguf_files(
    precision: str, work: Path, lmkit: Callable[..., Any], fails: Callable[..., Any]
) -> None:
    settings, _ = write(work / "model.gguf", shape={"heads": 4, "head_width": 8, "tied": True})
    for name in ("model.lm", "other.gguf"):
        assert lmkit("convert", "model.gguf", "--precision", precision, "-o", name).status == 0
    answers = [lmkit("score", "--json", "-m", name, stdin=b"ab ab\n").records[0] for name in ("model.lm", "other.gguf")]
    assert answers[0]["nats"] == answers[1]["nats"]
    assert all(f"|precision:{precision}|" in answer["signature"] for answer in answers)
    described = lmkit("info", "--json", "model.lm").records[0]
    assert (described["parameters"], described["config"]["precision"]) == (settings.parameters, precision)
    assert lmkit("convert", "model.lm", "--precision", "fp32", "-o", "wide.lm").status == 0
    (wide,) = lmkit("score", "--json", "-m", "wide.lm", stdin=b"ab ab\n").records
    assert wide["nats"] == answers[0]["nats"]
    assert "precision" not in wide["signature"]
    assert lmkit("convert", "model.lm", "-o", "back.gguf").status == 0
    assert (work / "back.gguf").read_bytes() == (work / "other.gguf").read_bytes()
    data = bytearray((work / "model.lm").read_bytes())
    data[-3] ^= 1
    (work / "bad.lm").write_bytes(data)
    assert "is not what was written" in fails(4, "score", "-m", "bad.lm", stdin=b"ab\n").stderr
