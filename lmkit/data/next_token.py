"""Examples to learn from, made of a text itself: a context and the token that follows it. Knows no files."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from lmkit.protocols import Tokenizer
from lmkit.tokenization.words import split

LINE_END = None
"""The token of a line end."""


class Spelling(NamedTuple):
    """How a line becomes tokens, and tokens a line."""

    cut: Callable[[bytes], Sequence[Any]]
    join: Callable[[Sequence[Any]], bytes]


SPELLINGS = {
    "word": Spelling(split, b" ".join),
    "char": Spelling(lambda line: line.decode(), lambda tokens: "".join(tokens).encode()),
    "byte": Spelling(lambda line: line, bytes),
}
"""Tokens that need no vocabulary."""


def spelling_of(tokenizer: Tokenizer) -> Spelling:
    """Tokens are the ids of a tokenizer."""
    return Spelling(lambda line: tokenizer.encode(line).tolist(), tokenizer.decode)


def next_tokens(
    lines: Iterable[bytes], cut: Callable[[bytes], Sequence[Any]], context: int, *, across: bool
) -> Iterator[tuple[list[Any], Any]]:
    """Every token that has `context` tokens before it, with these, in order.

    They are of the same line; or, `across` lines, of the whole text, with LINE_END at the end of each line.
    """
    held: deque[Any] = deque(maxlen=context)
    for line in lines:
        if not across:
            held.clear()
        for token in [*cut(line), LINE_END] if across else cut(line):
            if len(held) == context:
                yield list(held), token
            held.append(token)


def text_of(tokens: Iterable[Any], join: Callable[[Sequence[Any]], bytes]) -> bytes:
    """The text of tokens, line ends among them."""
    lines: list[list[Any]] = [[]]
    for token in tokens:
        if token is LINE_END:
            lines.append([])
        else:
            lines[-1].append(token)
    return b"\n".join(map(join, lines))
