"""A line as runs of tokens and raw bytes that spell it exactly, whatever the tokenizer. Knows no model."""

import re
from collections.abc import Callable, Iterator, Sequence

from lmkit.protocols import I32, Tokenizer
from lmkit.tokenization.tokenizers import SEPARATORS

RUN = 1 << 20
"""Maximum tokens of a run, so that decoding needs no more memory than that."""
_WINDOW = 1 << 16  # bytes within which a token is looked for behind what can't be spelled
_SHORT = 32  # bytes of a part that is not cut to find what of it tokens spell
_FRAGMENT = 3  # bytes; a piece of raw bytes is worth ending for as many bytes of tokens
_UNLIKELY = ("\ufffd", "\uffff", "\U0010ffff")
_NO_TEXT = re.compile("[\ud800-\udfff]")


class ByteFallbackSegmenter:
    """Finds runs and raw bytes of a line's parts in order.

    The rule that readers rely on: a line is its runs, each as `Tokenizer.decode` spells it, and
    the raw bytes between them. How well runs are found is this class's own business.
    """

    def __init__(self, tokenizer: Tokenizer, encode: Callable[[bytes], I32] | None = None) -> None:
        """`encode` takes the place of the tokenizer's, as for texts whose line ends are text."""
        self._tokenizer = tokenizer
        self._encode = encode or tokenizer.encode
        specials = tokenizer.specials
        named = specials.get("unk")
        self._named = named is not None
        self.unk = named if named is not None else tokenizer.size
        self._marks = frozenset(token for name, token in specials.items() if name in ("bos", "eos"))
        self._joint = self._find_joint()
        self._stand_in = self._find_stand_in()
        self._run = 0

    def _find_joint(self) -> bytes | None:
        """What `decode` puts between two tokens and two runs; None where that can't be known."""
        if self._tokenizer.separator is None:
            return None
        ordinary = [token for token in range(self._tokenizer.size) if token not in self._tokenizer.specials.values()][
            :1
        ]
        if not ordinary:
            return None
        piece, both = self._tokenizer.piece(ordinary[0]), self._tokenizer.decode(ordinary * 2)
        joint = both[len(piece) : len(both) - len(piece)]
        return joint if piece + joint + piece == both else None

    def _find_stand_in(self) -> str:
        """A character that the vocabulary lacks, to stand for bytes that are no text."""
        lacking = (text for text in _UNLIKELY if self.unk in self._tokenizer.encode(text.encode()).tolist())
        return next(lacking, _UNLIKELY[0])

    def decode(self, run: Sequence[int]) -> bytes:
        """What a run spells."""
        return self._tokenizer.decode(run) if run else b""

    def can_name(self, token: int) -> bool:
        """Whether a run may hold the token."""
        return token not in self._marks and (token != self.unk or self._named)

    def tokens(self, text: bytes) -> list[int]:
        """The tokens that a text encodes to, unknown ones for what is no text; marks of sentences left out."""
        try:
            ids = self._encode(text).tolist()
        except UnicodeDecodeError:
            readable = _NO_TEXT.sub(self._stand_in, text.decode(errors="surrogateescape"))
            ids = self._encode(readable.encode()).tolist()
        return [token for token in ids if token not in self._marks]

    def begin(self) -> None:
        """A new line."""
        self._run = 0

    def items(self, part: bytes) -> list[list[int] | bytes]:
        """Runs and raw bytes of the next part of the line; a first run may continue that of the part before."""
        before = self._run
        ids = self.tokens(part)
        joint = self._joint
        if joint is not None and before + len(ids) < RUN:
            spelled = self.decode(ids)
            if ids and (joint + spelled if before else spelled) == part:
                self._run += len(ids)
                return [ids]
        if joint is not None:
            items = list(self._aligned(part, ids, joint))
            raw = [len(item) + _FRAGMENT for item in items if isinstance(item, bytes)]
            if sum(raw) <= len(part) + _FRAGMENT and self._spelled(items, before, joint) == part:
                return items
            self._run = 0
            return [part] if part else []
        return self._apart(part)

    def _apart(self, part: bytes) -> list[list[int] | bytes]:
        """Runs that decode each on its own, no two of them in a row: raw bytes between them, or the end of none."""
        items: list[list[int] | bytes] = []
        for item in self._halved(part):
            if isinstance(item, bytes) and items and isinstance(items[-1], bytes):
                items[-1] += item
                continue
            if isinstance(item, list) and (isinstance(items[-1], list) if items else self._run):
                items.append(b"")
            items.append(item)
        if items:
            self._run = len(items[-1]) if isinstance(items[-1], list) else 0
        return items

    def _halved(self, part: bytes) -> Iterator[list[int] | bytes]:
        """A run that spells a part, or those of its halves; short ones that none spells are raw bytes."""
        ids = self.tokens(part)
        if ids and len(ids) < RUN and all(map(self.can_name, ids)) and self.decode(ids) == part:
            yield ids
        elif len(part) <= _SHORT:
            yield from [part] * bool(part)
        else:
            cut = _middle(part)
            yield from self._halved(part[:cut])
            yield from self._halved(part[cut:])

    def _spelled(self, items: Sequence[list[int] | bytes], before: int, joint: bytes) -> bytes:
        """What items spell, the first of them going on with a run of `before` tokens."""
        text = []
        run = before
        for item in items:
            if isinstance(item, bytes):
                text.append(item)
                run = 0
                continue
            while item:
                now, item = item[: RUN - run], item[RUN - run :]
                text.append((joint if run else b"") + self.decode(now))
                run = (run + len(now)) % RUN
        return b"".join(text)

    def _aligned(self, part: bytes, ids: Sequence[int], joint: bytes) -> Iterator[list[int] | bytes]:
        """Tokens where they are found in the text, and what lies between them."""
        place = 0
        run: list[int] = []
        for token in ids:
            piece = self._tokenizer.piece(token) if token != self.unk or self._named else b""
            going_on = joint + piece if self._run else piece
            if piece and part.startswith(going_on, place) and self._ends(part, place + len(going_on), joint):
                start = place + len(going_on) - len(piece)
            elif token == self.unk:
                continue
            else:
                start = self._find(part, piece, place, joint)
                if start < 0:
                    break
                if run:
                    yield run
                    run = []
                yield part[place:start]
                self._run = 0
            run.append(token)
            self._run = (self._run + 1) % RUN
            place = start + len(piece)
        if run:
            yield run
        if place < len(part):
            self._run = 0
            yield part[place:]

    def _find(self, part: bytes, piece: bytes, place: int, joint: bytes) -> int:
        """Where a piece begins next; -1 where it is not near. Pieces with a joint stand between separators."""
        until = place + _WINDOW
        while True:
            start = part.find(piece, place, until)
            if start < 0 or not joint:
                return start
            if (start == 0 or part[start - 1] in SEPARATORS) and self._ends(part, start + len(piece), joint):
                return start
            place = start + 1

    @staticmethod
    def _ends(part: bytes, place: int, joint: bytes) -> bool:
        """Whether a piece may end here."""
        return not joint or place == len(part) or part[place] in SEPARATORS


def _middle(part: bytes) -> int:
    """Where a part is cut in two: before a space near its middle, or at least before a character."""
    half = len(part) // 2
    space = part.rfind(b" ", half // 2, half)
    if space > 0:
        return space
    while half > 1 and part[half] & 0xC0 == 0x80:
        half -= 1
    return half
