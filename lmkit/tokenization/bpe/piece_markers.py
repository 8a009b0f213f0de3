"""Pieces as people read them, with a mark that says where words begin, continue or end.

    Ġ, ▁        before a piece that begins a word
    #, ##       before a piece inside a word (BERT)
    @@          after a piece that does not end its word (subword-nmt)
    </w>        after a piece that ends a word (Sennrich et al. 2016)

With Ġ every byte has a character of its own, as in GPT-2's vocabulary; with ▁ every space of
byte-level text shows: these two keep any text exactly. The others keep words and lose all white
space but that between them. What could be taken for a mark, and bytes that are no visible
text, are written <0xNN>, so that no text can forge a mark.
"""

import re
from collections.abc import Collection, Sequence

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import I32, I64, Bool
from lmkit.tokenization.bpe.byte_characters import from_visible, visible
from lmkit.tokenization.bpe.scheme import BEFORE_WORD, END_OF_WORD, GOES_ON, UNFINISHED

_ESCAPED = re.compile(rb"<0x([0-9A-F]{2})>")


class Display:
    """Strings of pieces under a marker.

    `strings` has two for each id, the second one for pieces inside a word (markers in
    front) or that end one (markers behind).
    """

    def __init__(self, pieces: Sequence[bytes], specials: Collection[int], marker: str, *, ends_words: bool) -> None:
        self._marker = marker
        self._behind = marker in (UNFINISHED, END_OF_WORD)
        self._size = len(pieces)
        self._ends_words = ends_words
        self._hides = marker != END_OF_WORD if ends_words else marker not in BEFORE_WORD
        """Whether pieces of nothing but spaces are left out, since the pieces around them imply them."""
        self._special = np.zeros(self._size, dtype=np.bool_)
        self._special[list(specials)] = True
        self._opens = np.array([piece.startswith(b" ") for piece in pieces], dtype=np.bool_)
        self._closes = np.array([piece.endswith(b" ") for piece in pieces], dtype=np.bool_)
        self._alone = np.array([bool(piece) and not piece.strip(b" ") for piece in pieces], dtype=np.bool_)
        both = [self._spelled(token, piece) for token, piece in enumerate(pieces)]
        self.strings = [plain.encode() for plain, _ in both] + [marked.encode() for _, marked in both]

    def _spelled(self, token: int, piece: bytes) -> tuple[str, str]:
        """A piece in its two forms."""
        if self._special[token]:
            name = piece.decode(errors="backslashreplace")
            return name, name
        marker = self._marker
        if marker in BEFORE_WORD:
            shown = visible if marker == "Ġ" else _spaces_shown
            if not self._ends_words:
                return shown(piece), shown(piece)
            word = piece.removesuffix(b" ")
            return shown(b" " + word), shown(word)
        body = _escaped(piece.removesuffix(b" ") if self._ends_words else piece.removeprefix(b" "), marker)
        if marker in GOES_ON:
            return body, marker + body
        if marker == UNFINISHED:
            return body + marker, body
        if self._ends_words:  # the piece itself says whether a word ends with it
            return (body + marker,) * 2 if self._closes[token] else (body, body)
        return body, body + marker

    def ids(self, ids: I32, line_ends: I64) -> tuple[I32, I64]:
        """Indices into `strings` for the pieces of whole lines, and where the lines end in them."""
        goes_on = self._goes_on(ids, line_ends)
        flag = np.append(~goes_on[1:], True) if self._behind else goes_on
        if self._ends_words and self._marker in BEFORE_WORD:
            flag[_line_starts(ids, line_ends)] = True  # as nothing precedes them in the text
        shown = np.where(flag, ids + np.int32(self._size), ids).astype(np.int32)
        hidden = self._alone[ids] & self._hides
        if not hidden.any():
            return shown, line_ends
        before = np.append(0, np.cumsum(hidden))
        return shown[~hidden], line_ends - before[line_ends]

    def _goes_on(self, ids: I32, line_ends: I64) -> Bool:
        """Which pieces continue a word begun before."""
        goes_on = np.ones(len(ids), dtype=np.bool_)
        if self._ends_words:
            goes_on[1:] = ~self._closes[ids[:-1]]
            if self._hides:  # a mark of its own is shown with the piece before it
                goes_on[self._alone[ids]] = False
        else:
            goes_on = ~self._opens[ids]
            goes_on[1:] &= ~self._alone[ids[:-1]]
        special = self._special[ids]
        goes_on[special] = False
        goes_on[1:][special[:-1]] = False
        goes_on[_line_starts(ids, line_ends)] = False
        return goes_on


def _line_starts(ids: I32, line_ends: I64) -> I64:
    """Where lines that have pieces start."""
    starts = np.append(0, line_ends)
    return starts[starts < len(ids)]


def _escaped(body: bytes, marker: str) -> str:
    """A piece's text; what is no visible text or could be a mark becomes <0xNN>."""
    body = body.replace(b"<0x", b"<0x3C>0x")
    mark = marker.encode()
    begun = b"%b(?=%b)" % (re.escape(mark[:1]), re.escape(mark[1:]))  # also where marks overlap, as in @@@
    body = re.sub(begun, b"<0x%02X>" % mark[0], body)
    text = body.decode(errors="surrogateescape")
    return "".join(
        character if character.isprintable() and not character.isspace() else _hexadecimal(character)
        for character in text
    )  # fmt: skip


def _spaces_shown(piece: bytes) -> str:
    return "▁".join(_escaped(part, "▁") for part in piece.split(b" "))


def readable(pieces: Sequence[bytes], specials: Collection[int]) -> list[bytes]:
    """Return the pieces of any tokenizer in UTF-8: spaces as ▁, and <0xNN> for bytes of an incomplete character.

    No two pieces of different bytes look alike: a piece spelled like a special token is escaped.
    """
    names = {pieces[token] for token in specials}
    shown = []
    for token, piece in enumerate(pieces):
        if token in specials:
            shown.append(piece)
        elif piece in names:
            shown.append(b"<0x%02X>%b" % (piece[0], _spaces_shown(piece[1:]).encode()))
        else:
            shown.append(_spaces_shown(piece).encode())
    return shown


def _hexadecimal(character: str) -> str:
    return "".join(f"<0x{byte:02X}>" for byte in character.encode(errors="surrogateescape"))


def text_of(line: bytes, marker: str) -> bytes:
    """The text that a line of pieces spells. Raises DataError for a piece that can't be one."""
    pieces = line.split()
    if marker == "Ġ":
        try:
            return b"".join(from_visible(piece.decode()) for piece in pieces)
        except (KeyError, UnicodeDecodeError):
            raise DataError("holds a character that represents no byte under the marker Ġ") from None
    mark = marker.encode()
    if marker == "▁":
        return b"".join(_unescaped(piece.replace(mark, b" ")) for piece in pieces)
    text = bytearray()
    for index, piece in enumerate(pieces):
        if marker in GOES_ON:
            text += b"" if not index or piece.startswith(mark) else b" "
            text += _unescaped(piece.removeprefix(mark))
        else:
            text += _unescaped(piece.removesuffix(mark))
            ends_word = piece.endswith(mark) == (marker == END_OF_WORD)
            text += b" " if ends_word and index + 1 < len(pieces) else b""
    return bytes(text)


def _unescaped(text: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), text)
