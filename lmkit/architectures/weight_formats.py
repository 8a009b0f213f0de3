"""Precisions in which matrices are stored: bf16, fp16, and blocks of 32 weights as llama.cpp has them. Opens no file.

    bf16   the upper half of a float32, rounded to nearest, ties to even
    fp16   IEEE's half
    q8_0   d (fp16), 32 int8 q:                          w = d q
    q4_0   d (fp16), 16 bytes of two q each:             w = d (q - 8)
    q4_1   d, m (fp16), 16 bytes of two q each:          w = d q + m

A block's byte i has q of weight i in its lower half and of weight i + 16 in its upper one (ggml-quants.c). Rows of a
matrix lie one after another, each of whole blocks.

Shapes: M rows, I columns, N chosen rows, B blocks.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmkit.architectures.config import Shapes
from lmkit.checkpoint import Array, Checkpoint, Stored, Written
from lmkit.errors import CheckpointError
from lmkit.protocols import F32

FP32 = "fp32"
PRECISION = "precision"
"""The key of a checkpoint's config that names the precision of its matrices; fp32 has none."""
BLOCK = 32
ROWS = 1 << 20  # numbers that are dequantised or quantised at a time


def _from_bf16(data: Array) -> F32:
    return (data.view("<u2").astype(np.uint32) << 16).view(np.float32)


def _to_bf16(values: F32) -> Array:
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16
    rounded = np.where(np.isnan(values), (bits >> 16) | 0x40, rounded)
    return rounded.astype("<u2").view(np.uint8)


def _from_fp16(data: Array) -> F32:
    return data.view("<f2").astype(np.float32)


def _scale(blocks: Array, begin: int) -> F32:
    """An fp16 of each block, (B, 1)."""
    return np.ascontiguousarray(blocks[:, begin : begin + 2]).view("<f2").astype(np.float32)


def _nibbles(blocks: Array) -> F32:
    """Two numbers of each byte, (B, 16) to (B, 32)."""
    return np.concatenate((blocks & 15, blocks >> 4), axis=1).astype(np.float32)


def _from_q8_0(data: Array) -> F32:
    blocks = data.reshape(-1, 34)
    return _scale(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)


def _from_q4_0(data: Array) -> F32:
    blocks = data.reshape(-1, 18)
    return _scale(blocks, 0) * (_nibbles(blocks[:, 2:]) - np.float32(8))


def _from_q4_1(data: Array) -> F32:
    blocks = data.reshape(-1, 20)
    return _scale(blocks, 0) * _nibbles(blocks[:, 4:]) + _scale(blocks, 2)


def _inverse(scale: F32) -> F32:
    """1 / d, and 0 of 0."""
    return np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)


def _joined(scale: F32, numbers: Array) -> Array:
    return np.concatenate((scale.astype("<f2").view(np.uint8), numbers), axis=1)


def _to_q8_0(values: F32) -> Array:
    """The largest of a block becomes 127; halves are rounded away from zero."""
    blocks = values.reshape(-1, BLOCK)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    scaled = blocks * _inverse(scale)
    numbers = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)).astype(np.int8)
    return _joined(scale, numbers.view(np.uint8))


def _to_q4_0(values: F32) -> Array:
    """The largest of a block, with its sign, becomes -8."""
    blocks = values.reshape(-1, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1)
    scale = largest / np.float32(-8)
    numbers = np.clip(np.trunc(blocks * _inverse(scale) + np.float32(8.5)), 0, 15).astype(np.uint8)
    return _joined(scale, numbers[:, :16] | (numbers[:, 16:] << 4))


@dataclass(frozen=True)
class Precision:
    """How many bytes hold how many weights of a row, and both ways between them and float32."""

    name: str
    weights: int
    bytes: int
    read: Callable[[Array], F32]
    write: Callable[[F32], Array] | None = None

    def row_bytes(self, columns: int) -> int | None:
        """Bytes of a row; None where blocks do not fill it."""
        return None if columns % self.weights else columns // self.weights * self.bytes


BF16 = Precision("bf16", 1, 2, _from_bf16, _to_bf16)
PRECISIONS: Mapping[str, Precision] = {
    one.name: one
    for one in (
        BF16,
        Precision("fp16", 1, 2, _from_fp16),
        Precision("q8_0", BLOCK, 34, _from_q8_0, _to_q8_0),
        Precision("q4_0", BLOCK, 18, _from_q4_0, _to_q4_0),
        Precision("q4_1", BLOCK, 20, _from_q4_1),
    )
}
HALVES = {"BF16": "bf16", "F16": "fp16"}
"""What a safetensors file calls those of its types that are precisions."""
_TYPES = {name: kind for kind, name in HALVES.items()}


@dataclass(frozen=True)
class StoredMatrix:
    """A matrix (M, I) as a file holds it: bytes (M, bytes of a row), of which numbers are made when asked for."""

    precision: Precision
    shape: tuple[int, int]
    data: Array

    @property
    def size(self) -> int:
        """Numbers in it."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.data.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def dense(self) -> F32:
        """All of it as float32, (M, I)."""
        made = np.empty(self.shape, dtype=np.float32)
        step = max(1, ROWS // self.shape[1])
        for begin in range(0, len(self), step):
            made[begin : begin + step] = self.rows(slice(begin, begin + step))
        return made

    def rows(self, which: Any) -> F32:
        """Some rows as float32: of an index, a slice or an array of any shape, (..., I)."""
        chosen = np.ascontiguousarray(self.data[which])
        return self.precision.read(chosen.reshape(-1)).reshape(*chosen.shape[:-1], self.shape[1])

    def ordered(self, order: Array) -> "StoredMatrix":
        """A copy with its rows in another order."""
        return StoredMatrix(self.precision, self.shape, self.data[order])


def stored(precision: str, shape: tuple[int, int], data: Any) -> StoredMatrix:
    """The matrix in some bytes. Raises CheckpointError where these are not as many as it takes."""
    kind = PRECISIONS[precision]
    row = kind.row_bytes(shape[1])
    held = np.frombuffer(data, dtype=np.uint8) if isinstance(data, memoryview | bytes) else data
    if row is None or held.size != shape[0] * row:
        raise CheckpointError(f"{held.size} bytes are no {precision} matrix of {list(shape)}")
    return StoredMatrix(kind, shape, held.reshape(shape[0], row))


def quantised(matrix: F32, precision: str) -> StoredMatrix:
    """A float32 matrix (M, I) in another precision: bf16, q8_0 or q4_0, whose blocks fill its rows."""
    kind = PRECISIONS[precision]
    row = kind.row_bytes(matrix.shape[1])
    assert row is not None
    assert kind.write is not None
    made = np.empty((len(matrix), row), dtype=np.uint8)
    step = max(1, ROWS // matrix.shape[1])
    for begin in range(0, len(matrix), step):
        some = np.ascontiguousarray(matrix[begin : begin + step], dtype=np.float32)
        made[begin : begin + step] = kind.write(some).reshape(-1, row)
    return StoredMatrix(kind, (len(matrix), matrix.shape[1]), made)


class Weights(Mapping[str, Array]):
    """Tensors by name, float32 to all who ask; matrices of other precisions stay as they are stored until then."""

    def __init__(self, arrays: Mapping[str, Array | StoredMatrix]) -> None:
        self._held = arrays

    def __getitem__(self, name: str) -> Array:
        held = self._held[name]
        return held.dense() if isinstance(held, StoredMatrix) else held

    def __contains__(self, name: object) -> bool:
        return name in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def held(self, name: str) -> Array | StoredMatrix:
        """A tensor as it is."""
        return self._held[name]


def held(tensors: Mapping[str, Array], name: str) -> Array | StoredMatrix:
    """A tensor as it is stored, of any mapping of tensors."""
    return tensors.held(name) if isinstance(tensors, Weights) else tensors[name]


def precision_of(tensors: Mapping[str, Array]) -> str:
    """What matrices are stored in: one name or several, joined by +; nothing where all are float32."""
    if not isinstance(tensors, Weights):
        return ""
    matrices = [matrix for name in tensors if isinstance(matrix := tensors.held(name), StoredMatrix)]
    return "+".join(sorted({matrix.precision.name for matrix in matrices}))


def in_precision(tensors: Mapping[str, Array], precision: str) -> Weights:
    """The tensors with all matrices in a precision, but for positions and where blocks do not fill rows."""
    return Weights({name: _changed(tensors, name, PRECISIONS[precision]) for name in tensors})


def _changed(tensors: Mapping[str, Array], name: str, precision: Precision) -> Array | StoredMatrix:
    own = held(tensors, name)
    if isinstance(own, StoredMatrix) and own.precision is precision:
        return own
    array = own.dense() if isinstance(own, StoredMatrix) else own
    if not is_matrix(name, array.shape) or precision.row_bytes(array.shape[1]) is None:
        return array
    return quantised(array, precision.name)


def is_matrix(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is one that activations are multiplied by, or that tokens choose rows of."""
    return len(shape) == 2 and "embed_positions" not in name


def written(tensors: Mapping[str, Array], precision: str) -> dict[str, Written]:
    """The tensors as a checkpoint holds them: halves as such, blocks as bytes (M, bytes of a row)."""
    return {name: _written(held(tensors, name), precision) for name in tensors}


def _written(tensor: Array | StoredMatrix, precision: str) -> Written:
    if not isinstance(tensor, StoredMatrix):
        return tensor
    if tensor.precision.name != precision:
        return tensor.dense()
    if precision in _TYPES:
        return Stored(_TYPES[precision], tensor.shape, np.ascontiguousarray(tensor.data).reshape(-1).data)
    return tensor.data


def weights_in(checkpoint: Checkpoint, shapes: Shapes) -> tuple[Mapping[str, Array], str]:
    """The tensors of a checkpoint and the precision of its matrices. Raises CheckpointError."""
    precision = checkpoint.config.get(PRECISION, FP32)
    if precision == FP32:
        return {name: checkpoint.array(name, "F32", shape) for name, shape in shapes.items()}, FP32
    if precision not in PRECISIONS:
        raise CheckpointError(f"matrices in a precision unknown here, {precision!r}", hint="update lmkit to read it")
    found = checkpoint.shapes()
    tensors: dict[str, Array | StoredMatrix] = {}
    for name, shape in shapes.items():
        kind = _TYPES.get(precision, "U8")
        row = PRECISIONS[precision].row_bytes(shape[-1])
        if len(shape) == 2 and row and found.get(name) == (kind, shape if kind != "U8" else (shape[0], row)):
            tensors[name] = stored(precision, (shape[0], shape[1]), checkpoint.stored(name).data)
        else:
            tensors[name] = checkpoint.array(name, "F32", shape)
    return Weights(tensors), str(precision)
