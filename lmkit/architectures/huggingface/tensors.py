"""Tensors of transformers' files as ours and back: names, GPT-2's joined and transposed matrices, types.

Ours are Llama's names without `model.` in front. GPT-2 (its Conv1D) keeps matrices as (in, out)
and queries, keys and values as one; the views taken of them copy nothing.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from lmkit.architectures.config import Shapes
from lmkit.architectures.huggingface.configuration import GPT2
from lmkit.architectures.transformer import TransformerConfig
from lmkit.architectures.weight_formats import HALVES, StoredMatrix, Weights
from lmkit.architectures.weight_formats import stored as matrix_of
from lmkit.checkpoint import Array, Stored
from lmkit.errors import CheckpointError

HEAD, EMBEDDINGS = "lm_head.weight", "embed_tokens.weight"
FLOATS = ("F32", "F16", "BF16")
TASK_HEADS = ("score.", "classifier.", "transformer.score.", "transformer.classifier.")
"""Heads of classifiers and taggers, which are no part of a body; the longer names are those of `with_prefix`."""
_WHOLE = {"embed_tokens": "wte", "embed_positions": "wpe", "norm": "ln_f", "lm_head": "lm_head"}
_IN_BLOCK = {
    "input_layernorm": "ln_1", "post_attention_layernorm": "ln_2", "self_attn.o_proj": "attn.c_proj",
    "mlp.up_proj": "mlp.c_fc", "mlp.down_proj": "mlp.c_proj",
}  # fmt: skip
_JOINED = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")  # not learned, and saved by old versions


def names_of(architecture: str, settings: TransformerConfig) -> Iterator[tuple[str, str, Shapes]]:
    """Each tensor of a file: its name, what it is (`same`, `transposed`, `joined`), and ours that are in it."""
    shapes = settings.shapes()
    for name, shape in shapes.items():
        if architecture != GPT2:
            yield (name if name == HEAD else f"model.{name}"), "same", {name: shape}
            continue
        layer, inner, end = _parts(name)
        if inner in _WHOLE:
            yield (name if name == HEAD else f"transformer.{_WHOLE[inner]}.{end}"), "same", {name: shape}
        elif inner in _IN_BLOCK:
            how = "transposed" if inner.endswith("_proj") and end == "weight" else "same"
            yield f"transformer.h.{layer}.{_IN_BLOCK[inner]}.{end}", how, {name: shape}
        elif inner == _JOINED[0]:
            ours = [f"layers.{layer}.{part}.{end}" for part in _JOINED]
            yield f"transformer.h.{layer}.attn.c_attn.{end}", "joined", {part: shapes[part] for part in ours}


def _parts(name: str) -> tuple[str, str, str]:
    """`layers.3.mlp.up_proj.weight` as 3, `mlp.up_proj` and `weight`; no number for what is in no layer."""
    inner, _, end = name.rpartition(".")
    if not inner.startswith("layers."):
        return "", inner, end
    _, layer, inner = inner.split(".", 2)
    return layer, inner, end


def check(
    architecture: str, settings: TransformerConfig, stored: Mapping[str, Stored], without: tuple[str, ...]
) -> None:
    """Raises CheckpointError where tensors are absent, of another shape or type, or have no place in the model.

    `without`: the parts of names whose biases no file has.
    """
    expected = {}
    for name, how, ours in names_of(architecture, settings):
        if not _is_zero(name, without):
            expected[name] = _shape(how, ours)
    for name, shape in expected.items():
        tensor = stored.get(name)
        if tensor is None:
            raise CheckpointError(f"no tensor {name!r}, which its config.json asks for")
        if tensor.shape != shape:
            raise CheckpointError(f"tensor {name!r} is {list(tensor.shape)}, its config.json makes it {list(shape)}")
        if tensor.dtype not in FLOATS:
            raise CheckpointError(f"tensor {name!r} is of type {tensor.dtype}, lmkit reads {', '.join(FLOATS)}")
    for name in stored:
        if name not in expected and name != HEAD and not name.endswith(_BUFFERS):
            raise CheckpointError(f"tensor {name!r} has no place in the model that its config.json describes")


def _is_zero(name: str, without: tuple[str, ...]) -> bool:
    return name.endswith(".bias") and any(part in name for part in without)


def _shape(how: str, ours: Shapes) -> tuple[int, ...]:
    """The shape of a file's tensor that holds `ours`."""
    shapes = list(ours.values())
    rows = sum(shape[0] for shape in shapes)
    if how != "same" and len(shapes[0]) == 2:
        return shapes[0][1], rows
    return (rows, *shapes[0][1:])


def with_prefix(architecture: str, stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors by their full names: OpenAI's own GPT-2 files lack `transformer.`."""
    if architecture != GPT2 or any(name.startswith("transformer.") for name in stored):
        return dict(stored)
    return {(name if name == HEAD else f"transformer.{name}"): tensor for name, tensor in stored.items()}


def ties(architecture: str, stored: Mapping[str, Stored]) -> bool:
    """Whether a head that a config.json ties to the embeddings is absent or equal to them.

    Where it is neither, transformers believes the tensors and not the config.json.
    """
    head = stored.get(HEAD)
    table = stored.get("transformer.wte.weight" if architecture == GPT2 else f"model.{EMBEDDINGS}")
    return head is None or table is None or np.array_equal(_bytes(head), _bytes(table))


def _bytes(tensor: Stored) -> Array:
    return np.frombuffer(tensor.data, dtype=np.uint8)


def read(
    architecture: str, settings: TransformerConfig, stored: Mapping[str, Stored], without: tuple[str, ...]
) -> Weights:
    """Our tensors after `check`, matrices in the file's precision; those of transformers' own layout are views."""
    tensors: dict[str, Array | StoredMatrix] = {}
    for name, how, ours in names_of(architecture, settings):
        if _is_zero(name, without):
            tensors |= {part: np.zeros(shape, dtype=np.float32) for part, shape in ours.items()}
            continue
        precision = HALVES.get(stored[name].dtype) if len(stored[name].shape) == 2 else None
        array = _halves(stored[name], turned=how != "same") if precision else stored[name].array()
        if precision is None:
            array = array.astype(np.float32, copy=False)
            array = array if how == "same" else array.T
        begin = 0
        for part, shape in ours.items():
            own = array[begin : begin + shape[0]]
            tensors[part] = own if precision is None else matrix_of(precision, (shape[0], shape[1]), own)
            begin += shape[0]
    return Weights(tensors)


def _halves(tensor: Stored, *, turned: bool) -> Array:
    """The bytes of a matrix of 16 bits a number, rows one after another: a copy where a file has columns so."""
    halves = np.frombuffer(tensor.data, dtype="<u2").reshape(tensor.shape)
    return np.ascontiguousarray(halves.T if turned else halves).view(np.uint8)


def write(architecture: str, settings: TransformerConfig, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors of a file, float32."""
    written: dict[str, Array] = {}
    for name, how, ours in names_of(architecture, settings):
        array = np.concatenate([tensors[part] for part in ours]) if how == "joined" else tensors[next(iter(ours))]
        written[name] = array if how == "same" else array.T
    return written
