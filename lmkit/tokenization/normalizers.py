"""What is done to text before the tokenizers library sees it, where the library would lose characters of it.

Two normalizers: a SentencePiece model's own, and the Precompiled step of any other tokenizer.json.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from lmkit.tokenization.charsmap import Charsmap

META = "\u2581"
_SPACES = re.compile(" {2,}")
_JOINING = re.compile("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff\u200c\u200d\uff9e\uff9f\U0001f3fb-\U0001f3ff]")
_Chunk = tuple[str, bool]
"""A piece of normal text, and whether it is one replacement or piece, whose inner spaces stay."""


class Normalizer(Protocol):
    """Puts text into the form that a model was trained on."""

    def normalize(self, text: str) -> str:
        """The form of a line, or of what lies between two special tokens."""


class SentencePieceNormalizer:
    """SentencePiece's `Normalizer::Normalize`; spaces become U+2581.

    charsmap      what characters are replaced by, if anything
    user_defined  pieces that stay as they are
    prefix        whether a space is put in front
    tidy          whether spaces at both ends, and all but one in a row, are dropped
    """

    def __init__(self, charsmap: Charsmap | None, user_defined: Sequence[str], *, prefix: bool, tidy: bool) -> None:
        self._charsmap, self._prefix, self._tidy = charsmap, prefix, tidy
        pieces = sorted(user_defined, key=len, reverse=True)
        self._piece = re.compile("|".join(map(re.escape, pieces)) if pieces else r"(?!)")
        inner = charsmap.inner if charsmap else frozenset()
        self._one_by_one = (charsmap is not None and charsmap.spaced) or any(piece[0] in inner for piece in pieces)
        """Whether a key may reach into a piece, or a replacement keep two spaces."""

    def normalize(self, text: str) -> str:
        """See `Normalizer.normalize`."""
        if not text:
            return ""
        chunks = self._matches(text) if self._one_by_one else self._stretches(text)
        spelled = _tidied(chunks) if self._tidy else "".join(chunk for chunk, _ in chunks)
        marked = (META if self._prefix else "") + spelled.replace(" ", META)
        return marked.rstrip(META) if self._tidy else marked

    def _stretches(self, text: str) -> Iterator[_Chunk]:
        """Pieces, and what lies between them."""
        done = 0
        for found in self._piece.finditer(text):
            yield self._mapped(text[done : found.start()]), False
            yield found.group(), True
            done = found.end()
        yield self._mapped(text[done:]), False

    def _mapped(self, text: str) -> str:
        return text if self._charsmap is None else self._charsmap.apply(text)

    def _matches(self, text: str) -> Iterator[_Chunk]:
        """What is at each place: a piece, the replacement of the longest key, or the character."""
        place = 0
        while place < len(text):
            found = self._piece.match(text, place)
            length, chunk = (len(found.group()), found.group()) if found else self._longest(text, place)
            yield (chunk, True) if length else (text[place], True)
            place += max(1, length)

    def _longest(self, text: str, place: int) -> tuple[int, str]:
        return (0, "") if self._charsmap is None else self._charsmap.longest(text, place)


def _tidied(chunks: Iterator[_Chunk]) -> str:
    """The chunks end to end, no space behind another nor in front."""
    parts = []
    spaced = True
    for chunk, whole in chunks:
        part = chunk if whole else _SPACES.sub(" ", chunk)
        if spaced:
            part = part.lstrip(" ")
        if part:
            parts.append(part)
            spaced = part.endswith(" ")
    return "".join(parts)


class PrecompiledNormalizer:
    """The Precompiled step of a tokenizer.json: as the library does it, but nothing is lost.

    The library replaces a whole grapheme where the character map has a key of several characters
    for its beginning, and loses the rest of it; there, the longest key is replaced, as
    SentencePiece does, and the rest stays. Elsewhere the library's way is kept, also where it
    leaves alone what SentencePiece would compose (two characters of 6 bytes or more, such as
    Hangul in single letters). `before`: what the steps in front of it make of a text.
    """

    def __init__(
        self, charsmap: Charsmap, library: Callable[[str], str], before: Callable[[str], str] | None = None
    ) -> None:
        self._charsmap, self._library, self._before = charsmap, library, before

    def normalize(self, text: str) -> str:
        """See `Normalizer.normalize`."""
        if self._before is not None:
            text = self._before(text)
        charsmap = self._charsmap
        parts = []
        done = place = 0
        while (place := charsmap.find(text, place)) >= 0:
            if charsmap.longest(text, place)[0] < 2:
                place += 1
                continue
            begin, end = self._cluster(text, place, done)
            cluster = text[begin:end]
            alone = cluster.translate(charsmap.single)
            kept = alone if self._library(cluster) == alone else charsmap.apply(cluster)
            parts += [text[done:begin].translate(charsmap.single), kept]
            done = place = end
        parts.append(text[done:].translate(charsmap.single))
        return "".join(parts)

    def _cluster(self, text: str, place: int, least: int) -> tuple[int, int]:
        """Where the graphemes around a place begin and end at the latest, no earlier than `least`."""
        begin, end = place, place + 1
        while begin > least and self._joins(text[begin]):
            begin -= 1
        while end < len(text) and self._joins(text[end]):
            end += 1
        return begin, end

    def _joins(self, character: str) -> bool:
        """Whether a character may be of the grapheme of the one before it."""
        return (
            unicodedata.category(character)[0] == "M"
            or character in self._charsmap.inner
            or _JOINING.match(character) is not None
        )
