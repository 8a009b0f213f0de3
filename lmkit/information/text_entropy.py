"""Entropies of a text: at several orders over all of it, and in windows. Knows symbols as numbers, no files."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lmkit.array_storage import Storage
from lmkit.information.block_entropy import BlockCounts, Order, SymbolCounts, Symbols, in_window, windows
from lmkit.information.measures import bits_per


class TextStatistics(NamedTuple):
    """What was counted of a text: each order from 0 up, and its sizes."""

    orders: list[Order]
    symbols: int
    bytes: int

    def bits_per_byte(self, bits: float) -> float:
        """Return bits a symbol as bits a byte."""
        return bits_per(bits, self.symbols, self.bytes)


def counter_of(
    order: int, *, memory: int, spill: Callable[[], Storage], alphabet: int | None
) -> SymbolCounts | BlockCounts:
    """Return what counts the blocks of orders up to this one; see `BlockCounts`."""
    return BlockCounts(order, memory=memory, spill=spill, alphabet=alphabet) if order else SymbolCounts()


def windowed(pieces: Iterable[Symbols], size: int, step: int, order: int) -> Iterator[tuple[int, Order]]:
    """Yield where each window of a stream begins, and its statistics at one order, as they come."""
    for begin, symbols in windows(pieces, size, step):
        yield begin, in_window(symbols, order)
