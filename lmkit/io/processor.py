"""What the processor can do, and which instructions numpy may use for sorting, chosen before it is imported.

numpy sorts by AVX-512 where a processor has it. On AMD's Zen 4 the instruction that this depends on, a compressing
store to memory, is microcoded, and numpy's AVX2 sort is some five times faster. Zen 5 and Intel's processors have no
such fault. What is sorted is the same by either.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress

CPUINFO = "/proc/cpuinfo"
SWITCHES = ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES")
"""numpy's own settings; one that is set, even to nothing, is left alone."""
FEATURES = "X86_V4 AVX512_SKX AVX512_ICL AVX512_SPR"
"""Those with slow sorts: X86_V4 since numpy 2.4, AVX512_SKX before it, the others for 16 bits; numpy ignores others."""


def sorts_slowly(lines: Iterable[str]) -> bool:
    """Whether AVX-512 sorts are slow on the first processor that lines of /proc/cpuinfo describe.

    Of AMD's family 25, which is Zen 3 and Zen 4, only Zen 4 has AVX-512.
    """
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:  # the next processor follows
            break
        found[name.strip()] = value.strip()
    zen_3_or_4 = (found.get("vendor_id"), found.get("cpu family")) == ("AuthenticAMD", "25")
    return zen_3_or_4 and "avx512f" in found.get("flags", "").split()


def multiplies_bfloat16(lines: Iterable[str]) -> bool:
    """Whether the processors that lines of /proc/cpuinfo describe multiply numbers of bfloat16 themselves."""
    known = {"avx512_bf16", "amx_bf16", "bf16"}
    return any(not known.isdisjoint(line.partition(":")[2].split()) for line in lines)


def choose_sorts() -> None:
    """Keep numpy, which isn't imported yet, from sorting by AVX-512 where that is slow and the user has not decided."""
    if any(name in os.environ for name in SWITCHES) or not _sorts_slowly_here():
        return
    os.environ[SWITCHES[0]] = FEATURES
    message = f"During parsing environment variable: '{SWITCHES[0]}'"
    warnings.filterwarnings("ignore", message, ImportWarning)  # of the names that this numpy doesn't know
    try:
        with suppress(ImportError):  # which the command will meet too, and report
            import numpy  # noqa: F401
    except RuntimeError:  # this numpy was built for nothing below AVX-512, and refuses to do without
        os.environ[SWITCHES[0]] = ""
        os.execv(sys.executable, sys.orig_argv)


def multiplies_bfloat16_here() -> bool | None:
    """Whether this processor multiplies numbers of bfloat16 itself; None where it does not say."""
    return _here(multiplies_bfloat16)


def _sorts_slowly_here() -> bool:
    return _here(sorts_slowly) or False


def _here(question: Callable[[Iterable[str]], bool]) -> bool | None:
    try:
        with open(CPUINFO, encoding="utf-8", errors="replace") as lines:
            return question(lines)
    except OSError:  # not Linux
        return None
