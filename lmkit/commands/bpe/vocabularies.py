"""Lists of pieces in files: with ids, to spell words with; with counts, to say which pieces may appear."""

from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.errors import DataError
from lmkit.io import streams, text_files


def _listed(name: str) -> list[tuple[bytes, int | None]]:
    """Each line's piece, and its number if it has one. Raises DataError naming file and line."""
    entries = []
    for number, line in enumerate(text_files.TextReader().lines(name), 1):
        piece, _, figure = line.rpartition(b"\t") if b"\t" in line else line.rpartition(b" ")
        if not piece:
            piece, figure = line, b""
        if not piece or (figure and not figure.isdigit()) or len(figure) > 9:
            raise DataError(
                f"{streams.display(name)}:{number}: expected a piece and its number, "
                f"got {line[:60].decode(errors='replace')!r}"
            )
        entries.append((piece, int(figure) if figure else None))
    if not entries:
        raise DataError(f"{streams.display(name)}: no pieces")
    return entries


def read_vocabulary(name: str, marker: str | None, unknown: str | None) -> Any:
    """A tokenizer over a list of pieces and ids; ids are line numbers from 0 where there are none."""
    from lmkit.tokenization.wordpiece import ListedTokenizer

    entries: dict[bytes, int] = {}
    for number, (piece, token) in enumerate(_listed(name)):
        value = number if token is None else token
        if piece in entries:
            raise DataError(f"{streams.display(name)}:{number + 1}: {piece.decode(errors='replace')!r} is listed twice")
        entries[piece] = value
    if len(set(entries.values())) < len(entries):
        raise DataError(f"{streams.display(name)}: two pieces have the same id")
    with opening.error_context(name):
        return ListedTokenizer(entries, marker or "##", unknown.encode() if unknown is not None else None)


def allowed_pieces(name: str, threshold: int, tokenizer: Any, marker: str) -> Any:
    """Which ids may appear: those whose spelling under the marker is listed with a count of `threshold` or more.

    A piece that is spelled in two ways, inside a word and elsewhere, may appear if either is listed.
    """
    import numpy as np

    from lmkit.tokenization.bpe.piece_markers import Display

    wanted = {piece for piece, count in _listed(name) if count is None or count >= threshold}
    display = Display(tokenizer.vocabulary.pieces(), tokenizer.names.values(), marker, ends_words=tokenizer.ends_words)
    listed = np.array([string in wanted for string in display.strings], dtype=np.bool_)
    return listed[: tokenizer.size] | listed[tokenizer.size :]
