"""An arithmetic coder in integers: choices become a number in a narrowing interval, and that number bytes.

Knows no models and no text. Encoder and Decoder answer the same calls: the encoder is given what
is chosen, the decoder finds it, so that what is built on them is written once for both.

The interval has `WIDTH` = 128 bits, of which 32 go out whenever it has shrunk below 2^96 (range
coding with carries; Martin 1979, Schindler 1998). A choice with `total` parts costs
log2(total / size) bits plus at most total / 2^96 * 1.45 for division without remainder: 10^-9 bits
for a million choices out of 2^48. The end costs less than 8 bits: the fewest bytes B with
2^-8B <= the interval, followed by zeros in thought. Since that number depends on the interval
alone, a decoder knows how long a whole file is, which shows most damage at no cost.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import log2
from typing import Protocol

from lmkit.errors import DataError

WIDTH = 128
WORD = 32
_TOP = 1 << WIDTH
_LEAST = 1 << (WIDTH - WORD)  # an interval below this sends a word out
_REST = _LEAST - 1
_ONES = (1 << WORD) - 1
_BYTES = WIDTH // 8
BIT = 1 << 16  # parts of a choice between two


class DamagedError(DataError):
    """The bytes are not what an encoder wrote."""


class Coder(Protocol):
    """What encoders and decoders share."""

    @property
    def bits(self) -> float:
        """What all choices so far cost."""

    def choose(self, ends: Sequence[int], choice: int) -> int:
        """One of several: choice i has the parts from ends[i-1] (0 for the first) up to ends[i].

        The encoder codes and returns `choice`; the decoder ignores it and returns what was coded.
        """

    def bit(self, ones: int, value: int) -> int:
        """1 with `ones` parts out of `BIT`, or 0; `value` and the result as in `choose`."""


def _end_bytes(size: int) -> int:
    """How many bytes name a number inside an interval of this size, wherever it lies."""
    return -(-(WIDTH - size.bit_length() + 1) // 8)


class Encoder:
    """Turns choices into bytes."""

    def __init__(self) -> None:
        self._low = 0
        self._size = _TOP
        self._held: int | None = None  # the last word, which a carry may still raise
        self._ones = 0  # words of ones behind it, which a carry would turn to zeros
        self._out = bytearray()
        self._words = 0

    @property
    def bits(self) -> float:
        """See `Coder.bits`."""
        return WORD * self._words + WIDTH - log2(self._size)

    def choose(self, ends: Sequence[int], choice: int) -> int:
        """See `Coder.choose`."""
        total = ends[-1]
        start = ends[choice - 1] if choice else 0
        self._narrow(start, ends[choice], total)
        return choice

    def bit(self, ones: int, value: int) -> int:
        """See `Coder.bit`."""
        self._narrow(0 if value else ones, ones if value else BIT, BIT)
        return value

    def _narrow(self, start: int, end: int, total: int) -> None:
        part = self._size // total
        self._low += part * start
        self._size = part * (end - start) if end < total else self._size - part * start
        while self._size < _LEAST:
            self._send(self._low >> (WIDTH - WORD))
            self._low = (self._low & _REST) << WORD
            self._size <<= WORD
            self._words += 1

    def _send(self, word: int) -> None:
        """A word that may have carried into the one before."""
        if word == _ONES:
            self._ones += 1
            return
        carry = word >> WORD
        if self._held is not None:
            self._out += (self._held + carry).to_bytes(WORD // 8)
        if self._ones:
            self._out += (0 if carry else _ONES).to_bytes(WORD // 8) * self._ones
            self._ones = 0
        self._held = word & _ONES

    def take(self) -> bytes:
        """The bytes that are certain so far; each is given once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def __len__(self) -> int:
        """How many bytes wait to be taken."""
        return len(self._out)

    def finish(self) -> bytes:
        """The bytes that are left, with an end that decoders recognise."""
        count = _end_bytes(self._size)
        unit = WIDTH - 8 * count
        number = -(-self._low >> unit) << unit  # the first multiple of 2^unit that is not below low
        for place in range(WIDTH // WORD):
            self._send((number >> (WIDTH - WORD)) & (_ONES if place else (1 << WORD + 1) - 1))
            number = (number & _REST) << WORD
        self._send(0)  # behind the held one; what it leaves held is nothing
        data = self.take()
        return data[: len(data) - (_BYTES - count)]


class Decoder:
    """Decodes the choices that an encoder was given. Raises DamagedError where the bytes end too early."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._data = b""
        self._at = 0
        self._missing = 0  # zeros read behind the end
        self._size = _TOP
        self._offset = int.from_bytes(self._read(_BYTES))
        self._words = 0

    @property
    def bits(self) -> float:
        """See `Coder.bits`."""
        return WORD * self._words + WIDTH - log2(self._size)

    def _read(self, count: int) -> bytes:
        """The next bytes, zeros behind the end; no whole file needs more zeros than the interval is wide."""
        while self._at + count > len(self._data):
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._data = self._data[self._at :] + piece
            self._at = 0
        data = self._data[self._at : self._at + count]
        self._at += len(data)
        if len(data) < count:
            self._missing += count - len(data)
            if self._missing > _BYTES:
                raise DamagedError("damaged or cut off")
        return data.ljust(count, b"\0")

    def choose(self, ends: Sequence[int], choice: int = 0) -> int:
        """See `Coder.choose`."""
        total = ends[-1]
        part = self._size // total
        choice = bisect_right(ends, min(self._offset // part, total - 1))
        self._narrow(part, ends[choice - 1] if choice else 0, ends[choice], total)
        return choice

    def bit(self, ones: int, value: int = 0) -> int:
        """See `Coder.bit`."""
        part = self._size // BIT
        value = int(self._offset < part * ones)
        self._narrow(part, 0 if value else ones, ones if value else BIT, BIT)
        return value

    def _narrow(self, part: int, start: int, end: int, total: int) -> None:
        self._offset -= part * start
        self._size = part * (end - start) if end < total else self._size - part * start
        while self._size < _LEAST:
            self._offset = self._offset << WORD | int.from_bytes(self._read(WORD // 8))
            self._size <<= WORD
            self._words += 1

    def finish(self) -> None:
        """Raises DamagedError unless the bytes end as `EncoderConfig.finish` would have ended them here."""
        count = _end_bytes(self._size)
        if self._missing != _BYTES - count or self._offset >> (WIDTH - 8 * count):
            raise DamagedError("damaged: the text ends where the file does not")
