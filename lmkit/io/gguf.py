"""GGUF files, mapped: what they say, and their tensors, made float32 when asked for."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lmkit.errors import CheckpointError, MissingError
from lmkit.io.mapped_files import map_file

if TYPE_CHECKING:
    from lmkit.architectures.weight_formats import StoredMatrix

MAGIC = b"GGUF"


class Tensor(NamedTuple):
    """A tensor's shape, rows first, what gives its numbers as float32, and the matrix as it is stored, if it is one."""

    shape: tuple[int, ...]
    numbers: Callable[[], Any]
    stored: "StoredMatrix | None" = None


def read(name: str) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    """Values by key and tensors by name. Raises CheckpointError, with the file's name, where the file is damaged."""
    from lmkit.architectures import gguf_layout

    with open(name, "rb") as file:
        data = memoryview(map_file(file, name))
    try:
        values, entries = gguf_layout.parse(data)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from None
    return values, {key: _tensor(entry) for key, entry in entries.items()}


def _tensor(entry: Any) -> Tensor:
    import numpy as np

    from lmkit.architectures import gguf_layout
    from lmkit.architectures.weight_formats import stored

    if entry.kind == gguf_layout.F32:
        return Tensor(entry.shape, lambda: np.frombuffer(entry.data, dtype="<f4").reshape(entry.shape))
    if entry.kind in gguf_layout.NAMES:
        rows = (int(np.prod(entry.shape[:-1])), entry.shape[-1])
        matrix = stored(gguf_layout.NAMES[entry.kind], rows, entry.data)
        own = matrix if len(entry.shape) == 2 else None
        return Tensor(entry.shape, lambda: matrix.dense().reshape(entry.shape), own)
    return Tensor(entry.shape, lambda: _expanded(entry))


def _expanded(entry: Any) -> Any:
    """Numbers of types that lmkit leaves to llama.cpp's own library. Raises MissingError where it is not there."""
    import numpy as np

    try:
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize
    except ImportError:
        raise MissingError("reading these types of GGUF files needs gguf", package="gguf") from None
    kind = GGMLQuantizationType(entry.kind)
    rows = int(np.prod(entry.shape[:-1]))
    return dequantize(np.frombuffer(entry.data, dtype=np.uint8).reshape(rows, -1), kind).reshape(entry.shape)
