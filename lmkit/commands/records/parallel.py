"""Pairs of source and target out of two files, a line each."""

from collections.abc import Iterator
from itertools import zip_longest

from lmkit.commands.loading import running_text
from lmkit.commands.options.standard import Run
from lmkit.commands.records.corpora import Pair
from lmkit.errors import DataError
from lmkit.io import streams


def read_parallel(run: Run, source: str, target: str, encoding_errors: str) -> Iterator[Pair]:
    """Yield the pairs of lines of two files. Raises DataError, with both counts, where one has more lines."""
    names = (source, target)
    readers = [running_text.text_reader(encoding_errors) for _ in names]
    sides = [
        (
            line
            for block in running_text.warn_if_no_text(run, name, reader.blocks(name))
            for line in block[:-1].split(b"\n")
        )
        for name, reader in zip(names, readers, strict=True)
    ]
    counts = [0, 0]
    shown = streams.display(source)
    for one, other in zip_longest(*sides):
        counts = [count + (line is not None) for count, line in zip(counts, (one, other), strict=True)]
        if one is not None and other is not None:
            yield Pair(f"{shown}:{counts[0]}", b"", one.decode(), other.decode())
    if counts[0] != counts[1]:
        raise DataError(
            f"{shown} has {counts[0]:,} lines, {streams.display(target)} has {counts[1]:,}: expected as many"
        )
    for reader in readers:
        running_text.warn_replaced_bytes(run, reader)
