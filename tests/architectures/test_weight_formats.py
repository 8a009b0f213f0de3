"""Precisions of matrices: the numbers of ggml's own code and of torch, and files that keep them."""

import numpy as np
import pytest

from lmkit.architectures import gguf_layout, weight_formats

gguf = pytest.importorskip("gguf")
TYPES = {"bf16": "BF16", "fp16": "F16", "q8_0": "Q8_0", "q4_0": "Q4_0", "q4_1": "Q4_1"}


def matrix(rows: int = 24, columns: int = 96) -> np.ndarray:
    made = np.random.default_rng(5).normal(size=(rows, columns)).astype(np.float32)
    made[3, :32] = 0  # a block without numbers
    made[4, 5] = -made[4, 5]
    return made


@pytest.mark.parametrize("name", TYPES)
def test_numbers_are_those_of_ggml(name: str) -> None:
    kind = gguf.GGMLQuantizationType[TYPES[name]]
    theirs = gguf.quants.quantize(matrix(), kind).view(np.uint8).reshape(24, -1)
    ours = weight_formats.stored(name, (24, 96), theirs)
    expected = gguf.quants.dequantize(theirs, kind).reshape(24, 96)
    np.testing.assert_array_equal(ours.dense(), expected)
    np.testing.assert_array_equal(ours.rows(np.array([[3], [7]])), expected[[[3], [7]]])
    np.testing.assert_array_equal(ours.rows(5), expected[5])
    assert gguf_layout.NAMES[kind.value] == name
    if ours.precision.write is not None:
        np.testing.assert_array_equal(weight_formats.quantised(matrix(), name).data, theirs)


def test_bf16_rounds_to_even_and_keeps_what_is_no_number() -> None:
    values = np.array([[1 + 2**-8, 1 + 3 * 2**-8, np.inf, -np.inf, np.nan, -0.0]], dtype=np.float32)
    made = weight_formats.quantised(values, "bf16").dense()
    np.testing.assert_array_equal(made, [[1, 1 + 2**-6, np.inf, -np.inf, np.nan, 0]])


def test_a_file_is_read_as_it_was_written() -> None:
    values = {"a.b": "é", "n": 7, "x": 0.5, "yes": True, "words": ["a", ""], "ids": [1, -2]}
    own = weight_formats.quantised(matrix(), "q4_0")
    tensors = {
        "one": gguf_layout.Entry(gguf_layout.Q4_0, own.shape, own.data.reshape(-1).data),
        "two": gguf_layout.Entry(gguf_layout.F32, (3,), np.arange(3, dtype="<f4").view(np.uint8).data),
    }
    data = b"".join(bytes(part) for part in gguf_layout.serialize(values, tensors))
    found, entries = gguf_layout.parse(memoryview(data))
    assert found == values
    assert {name: (entry.kind, entry.shape, bytes(entry.data)) for name, entry in entries.items()} == {
        name: (entry.kind, entry.shape, bytes(entry.data)) for name, entry in tensors.items()
    }
