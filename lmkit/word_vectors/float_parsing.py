"""Numbers written in decimal, many at once, as float32; knows no files.

N numbers, each a stretch of bytes.
"""

import warnings
from typing import Any

import numpy as np

from lmkit.protocols import F32, I64, U8, U64, Bool

_WINDOW = 8
_ZEROS = np.uint64(0x3030303030303030)
_DOTS = np.uint64(0x2E2E2E2E2E2E2E2E)
_SEVEN_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)
_HIGH_HALVES = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIXES = np.uint64(0x0606060606060606)
_PAIRS = np.uint64(0x000000FF000000FF)
_KEEP = np.array([~((1 << 8 * (8 - n)) - 1) & (1 << 64) - 1 for n in range(9)], dtype=np.uint64)
"""What of a window is number, where its last n bytes are."""
_TENS = 10 ** np.arange(17, dtype=np.int64)


def parse(text: bytes, starts: I64, ends: I64) -> F32 | None:
    """The numbers of stretches of a text, (N,), each rounded to float64 and that to float32; None if one is no number.

    A number of a sign, digits and a dot that has at most 15 digits is an integer below 2^53 over a power of ten below
    10^16, both of which float64 has, so that one division rounds correctly (Clinger 1990); others
    are left to numpy. Digits are added up eight at a time, as bytes of a 64-bit integer, the dot a zero among them.
    """
    padded = bytes(2 * _WINDOW) + text
    characters: U8 = np.frombuffer(padded, dtype=np.uint8)
    windows: U64 = np.ndarray((len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
    negative = (characters[np.minimum(starts + 2 * _WINDOW, len(padded) - 1)] == ord("-")) & (ends > starts)
    lengths = ends - starts - negative
    low, after_low, dots, fine = _digits(windows[ends + _WINDOW], np.clip(lengths, 0, 8))
    high, after_high, more_dots, fine_too = _digits(windows[ends], np.clip(lengths - 8, 0, 8))
    dotted = dots + more_dots
    fine &= fine_too & (lengths <= 2 * _WINDOW) & (dotted <= 1) & (lengths > dotted)
    values = high * _TENS[8] + low
    places = np.where(dots > 0, after_low, np.where(more_dots > 0, after_high + 8, 0))
    whole, part = np.divmod(values, _TENS[np.where(dotted > 0, places + 1, 0)])
    values = np.where(dotted > 0, whole * _TENS[places] + part, values)
    found = (values / _TENS[places].astype(np.float64)).astype(np.float32)
    np.negative(found, out=found, where=negative)
    odd = np.flatnonzero(~fine)
    if len(odd):
        others = _parsed_by_numpy(text, starts[odd], ends[odd])
        if others is None:
            return None
        found[odd] = others
    return found


def _digits(windows: U64, lengths: I64) -> tuple[I64, I64, Any, Bool]:
    """The last bytes of windows of eight as a number, a dot taken for a zero.

    Also how many bytes are behind a dot, how many dots there are, and whether all else are digits.
    """
    keep = _KEEP[lengths]
    windows = (windows & keep) | (_ZEROS & ~keep)
    other = windows ^ _DOTS
    dots = ~(((other & _SEVEN_BITS) + _SEVEN_BITS) | other | _SEVEN_BITS)  # 0x80 where there is a dot
    behind = np.bitwise_count(~(dots | (dots - np.uint64(1)))) >> 3
    windows ^= (dots >> np.uint64(7)) * np.uint64(ord(".") ^ ord("0"))
    fine = ((windows & _HIGH_HALVES) == _ZEROS) & (((windows + _SIXES) & _HIGH_HALVES) == _ZEROS)
    digits = windows - _ZEROS
    digits = digits * np.uint64(10) + (digits >> np.uint64(8))
    first = (digits & _PAIRS) * np.uint64(0x000F424000000064)
    second = ((digits >> np.uint64(16)) & _PAIRS) * np.uint64(0x0000271000000001)
    value = ((first + second) >> np.uint64(32)).astype(np.int64)
    return value, behind.astype(np.int64), np.bitwise_count(dots).astype(np.int64), fine


def _parsed_by_numpy(text: bytes, starts: I64, ends: I64) -> F32 | None:
    """The same, one after the other."""
    fields = [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # older numpys only warn
            found = np.fromstring(b" ".join(fields), dtype=np.float32, sep=" ")
    except (ValueError, DeprecationWarning):
        return None
    return found if len(found) == len(fields) and all(field == field.strip() for field in fields) else None
