"""Choices whose probabilities are learned as they come: flags, and pieces of raw bytes. Knows no models.

Written once for both directions: a decoder ignores the value that it is given.
"""

from lmkit.compression.arithmetic_coder import BIT, Coder, DamagedError


class AdaptiveBit:
    """A choice between two: 0 has `first` parts, 1 has `second`, and what comes gets `GAIN` more."""

    GAIN = 64

    def __init__(self, first: int, second: int) -> None:
        self._counts = [first, second]

    def code(self, coder: Coder, value: int) -> int:
        """Codes 0 or 1 and returns it."""
        value = coder.choose((self._counts[0], sum(self._counts)), value)
        self._counts[value] += self.GAIN
        return value


class AdaptiveBytes:
    """Pieces of bytes, each with its end; nine choices between two a byte: whether one follows, and its bits.

    A bit's probability is estimated after 0, 1 and 2 bytes; each estimate trusts the one of the
    shorter context as much as `TRUST` bits of its own:
    p_k = (ones_k + TRUST p_(k-1)) / (ones_k + zeros_k + TRUST), p_(-1) = 1/2.
    """

    TRUST = 4.0
    MOST = 1 << 19  # contexts kept; beyond, all is forgotten

    def __init__(self) -> None:
        self._seen: dict[int, list[int]] = {}

    def code(self, coder: Coder, piece: bytes, most: int) -> bytes:
        """Codes a piece and returns it. Raises DamagedError for one of more than `most` bytes."""
        out = bytearray()
        given = iter(piece)
        history = 0  # up to two bytes, and above them how many
        while True:
            value = next(given, -1)
            if self._bit(coder, history, 0, int(value < 0)):
                return bytes(out)
            if len(out) >= most:
                raise DamagedError("damaged: bytes without end")
            node = 1
            for shift in range(7, -1, -1):
                node = node << 1 | self._bit(coder, history, node, value >> shift & 1)
            out.append(node & 255)
            history = (min(history >> 16, 1) + 1) << 16 | (history & 255) << 8 | node & 255

    def _bit(self, coder: Coder, history: int, node: int, value: int) -> int:
        """One bit; `node` says which of a byte's it is: 1 and the bits before it."""
        newest = history & 255 if history else 256
        chance, counts = 0.5, []
        for key in (node, (1 + newest) << 9 | node, (1 << 20 | history) << 9 | node):
            count = self._seen.get(key)
            if count is None:
                count = self._seen[key] = [0, 0]
            counts.append(count)
            chance = (count[1] + self.TRUST * chance) / (count[0] + count[1] + self.TRUST)
        value = coder.bit(min(max(int(chance * BIT), 1), BIT - 1), value)
        for count in counts:
            count[value] += 1
            if count[value] > 255:
                count[0] >>= 1
                count[1] >>= 1
        if len(self._seen) > self.MOST:
            self._seen.clear()
        return value
