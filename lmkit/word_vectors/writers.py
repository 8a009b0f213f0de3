"""Word vectors as files of other tools: word2vec text and binary, GloVe, TensorFlow's projector. Knows no files.

Numbers of a text are the shortest that read back as the same float32.

Shapes: V words, D numbers in a vector.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import F32, I32
from lmkit.word_vectors.vector_space import VectorSpace
from lmkit.word_vectors.word_order import listed

FORMATS = TEXT, BINARY, GLOVE, PROJECTOR = ("text", "bin", "glove", "projector")
WHICH = CENTRE, CONTEXT, BOTH = ("centre", "context", "both")
ROWS = 1 << 12  # written at a time


class Export:
    """The words of a space in the order of its file, with a vector for each.

    `which` is the word's vector as `centre` or as `context`, or `both` as one vector of 2 D numbers,
    the centre's first. Raises CheckpointError where there are no context vectors.
    """

    def __init__(self, space: VectorSpace, which: str = CENTRE) -> None:
        self._tables: list[F32] = [] if which == CONTEXT else [space.centre]
        if which != CENTRE and space.context is not None:
            self._tables.append(space.context)
        elif which != CENTRE:
            raise CheckpointError("it has no context vectors", hint="those that were imported have none")
        self._space, self._ids = space, listed(space)
        self.width = sum(table.shape[1] for table in self._tables)

    def _blocks(self) -> Iterator[tuple[I32, F32]]:
        for start in range(0, len(self._ids), ROWS):
            ids = self._ids[start : start + ROWS]
            yield ids, np.concatenate([table[ids] for table in self._tables], axis=1)

    def _words(self, ids: Iterable[int], refused: bytes, what: str) -> list[bytes]:
        """Words of a format that has no place for some bytes in them. Raises DataError for such."""
        words = [self._space.tokenizer.piece(token) for token in ids]
        for word in words:
            if any(byte in word for byte in refused):
                raise DataError(f"the word {word.decode(errors='replace')!r} has {what}, for which there is no place")
        return words

    def _header(self) -> bytes:
        return b"%d %d\n" % (len(self._ids), self.width)

    def text(self, *, header: bool) -> Iterator[bytes]:
        """A line for each word, with a first line of V and D, as word2vec has it, or without, as GloVe."""
        if header:
            yield self._header()
        for ids, vectors in self._blocks():
            words = self._words(ids.tolist(), b"\n", "a line end")
            rows = zip(words, _decimals(vectors, b" "), strict=True)
            yield b"".join([b"%s %s\n" % row for row in rows])

    def binary(self) -> Iterator[bytes]:
        """The first line, then a word, a space, the numbers and a line feed for each, as word2vec has it.

        Raises DataError for a word with a space.
        """
        yield self._header()
        for ids, vectors in self._blocks():
            words = self._words(ids.tolist(), b" \n", "a space or line end")
            data, size = vectors.astype("<f4").tobytes(), 4 * self.width
            yield b"".join([b"%s %s\n" % (word, data[i * size : i * size + size]) for i, word in enumerate(words)])

    def projector(self) -> Mapping[str, Iterable[bytes]]:
        """`vectors.tsv`, numbers with tabs between, and `metadata.tsv`, the words without a header: a line for each.

        Raises DataError for a word with a tab.
        """
        self._words(self._ids.tolist(), b"\t\n\r", "a tab or line end")
        return {"metadata.tsv": self._metadata(), "vectors.tsv": self._rows()}

    def _metadata(self) -> Iterator[bytes]:
        for token in self._ids.tolist():
            yield self._space.tokenizer.piece(token) + b"\n"

    def _rows(self) -> Iterator[bytes]:
        for _, vectors in self._blocks():
            yield b"".join([row + b"\n" for row in _decimals(vectors, b"\t")])


def _decimals(vectors: F32, between: bytes) -> Iterator[bytes]:
    """Each row as the shortest decimals that round to its numbers."""
    for row in vectors.astype("S").tolist():
        yield between.join(row)
