"""Ids of a text as it is, line ends and all. Knows no files."""

from collections.abc import Iterable, Iterator

from lmkit.protocols import I32, Tokenizer


def ids_of(tokenizer: Tokenizer, blocks: Iterable[bytes]) -> Iterator[I32]:
    """Ids of the blocks of one text, as if it were encoded at once."""
    raise NotImplementedError
