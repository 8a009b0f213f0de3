"""Several readers of one stream of blocks, none of which runs far ahead of the others. Knows no models."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import tee
from typing import TypeVar

Found = TypeVar("Found")
Reader = Callable[[Iterable[bytes]], Iterator[Found]]


def in_step(readers: Sequence[Reader[Found]], blocks: Iterable[bytes]) -> Iterator[tuple[int, Found]]:
    """What readers of the same blocks make of them, each with the reader's number, as it gets known.

    The reader that has taken the fewest blocks continues first; no more blocks are held than one reader takes
    before it says something.
    """
    taken = [0] * len(readers)

    def counted(number: int, copy: Iterator[bytes]) -> Iterator[bytes]:
        for block in copy:
            taken[number] += 1
            yield block

    copies = tee(blocks, len(readers))
    reading = {
        number: reader(counted(number, copy)) for number, (reader, copy) in enumerate(zip(readers, copies, strict=True))
    }
    del copies  # an unread copy would keep all blocks in memory
    while reading:
        number = min(reading, key=taken.__getitem__)
        for found in reading[number]:
            yield number, found
            break
        else:
            del reading[number]
