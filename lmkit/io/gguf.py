"""GGUF files, read with llama.cpp's own library: what they say, and their tensors made float32 when asked for."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lmkit.errors import CheckpointError, MissingError

MAGIC = b"GGUF"


class Tensor(NamedTuple):
    """A tensor's shape, rows first, and what gives its numbers as float32."""

    shape: tuple[int, ...]
    numbers: Callable[[], Any]


def read(name: str) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    """Values by key and tensors by name; the file is mapped.

    Raises CheckpointError where the file is damaged, MissingError where the library is not there.
    """
    try:
        from gguf import GGUFReader
    except ImportError:
        raise MissingError("reading GGUF files needs gguf", package="gguf") from None
    try:
        reader = GGUFReader(name)
        values = {key: field.contents() for key, field in reader.fields.items()}
        return values, {tensor.name: _tensor(tensor) for tensor in reader.tensors}
    except Exception as error:  # the library checks little, and what it meets then may be anything
        raise CheckpointError(f"{name}: damaged GGUF file ({type(error).__name__}: {error})") from None


def _tensor(tensor: Any) -> Tensor:
    from gguf.quants import dequantize

    shape = tuple(int(length) for length in reversed(tensor.shape.tolist()))
    return Tensor(shape, lambda: dequantize(tensor.data, tensor.tensor_type).reshape(shape))
