"""Whether there is compiled code for products, and that code. Knows no model."""

from functools import cache
from importlib.util import find_spec
from types import ModuleType


@cache
def kernels() -> ModuleType | None:
    """The compiled code; none where numba is missing or the processor can't run it."""
    if find_spec("numba") is None:
        return None
    from lmkit.inference import simd, weight_kernels

    return weight_kernels if simd.halves_convert() else None
