r"""Pre-tokens: the stretches of text that merges never cross. Found by numpy in a block of bytes.

Four patterns, as regular expressions over characters (L letters, N numbers, S white space):

    gpt2         '(?:[sdmt]|ll|ve|re)| ?L+| ?N+| ?[^SLN]+|S+(?!S)|S+
    gpt4         '(?i:[sdmt]|ll|ve|re)|[^\r\nLN]?L+|N{1,3}| ?[^SLN]+[\r\n]*|S*[\r\n]+|S+(?!S)|S+
    whitespace    ?[^S]+|S+(?!S)|S+
    none         everything up to the end of the line

and any other regular expression, by which the tokenizers library splits the text (`expressions`). The patterns
are those published with GPT-2 and GPT-4 (tiktoken). Instead of trying alternatives character by
character, runs of one class are found for the whole block, and only where runs meet is it
decided which of them a character belongs to. Bytes that are not UTF-8 count as punctuation.

Pre-tokens cover the block without gaps. One of more than LONGEST bytes is cut there, so that
text without any boundary costs bounded memory.
"""

import unicodedata
from functools import cache
from itertools import pairwise

import numpy as np

from lmkit.protocols import I64, U8, Bool
from lmkit.tokenization.bpe.expressions import splitter
from lmkit.tokenization.bpe.scheme import PATTERNS

LONGEST = 1 << 16
SPACE, LETTER, NUMBER, OTHER, WALL = range(5)
_BLANKS = frozenset(
    [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
)
_UNSEEN = 255
_FEED, _RETURN, _BLANK, _APOSTROPHE = 10, 13, 32, 39

WALLS, INSIDE, JOINED = "walls", "inside", "joined"
"""What line feeds are: walls between lines, the last byte of their line, or white space like any other."""


def _class_of(point: int) -> int:
    """The class of a character."""
    if point in _BLANKS:
        return SPACE
    return {"L": LETTER, "N": NUMBER}.get(unicodedata.category(chr(point))[0], OTHER)


@cache
def _ascii_classes(wall: bool) -> bytes:
    """A translation table from ASCII to classes; other bytes are OTHER until looked at."""
    table = bytearray([_class_of(byte) if byte < 128 else OTHER for byte in range(256)])
    if wall:
        table[_FEED] = WALL
    return bytes(table)


@cache
def _classes_seen() -> U8:
    """Class of each code point, filled in as they are met."""
    return np.full(0x110000, _UNSEEN, dtype=np.uint8)


def _classes(block: bytes, text: U8, *, wall: bool) -> U8:
    """Class of each byte's character, (len(block),)."""
    classes = np.frombuffer(block.translate(_ascii_classes(wall)), dtype=np.uint8)
    if block.isascii():
        return classes
    classes = classes.copy()
    table = _classes_seen()
    for starts, length, points in _multibyte(text):
        found = table[points]
        unseen = np.unique(points[found == _UNSEEN])
        if len(unseen):
            table[unseen] = [_class_of(point) for point in unseen.tolist()]
            found = table[points]
        for offset in range(length):
            classes[starts + offset] = found
    return classes


def _multibyte(text: U8) -> list[tuple[I64, int, I64]]:
    """Valid characters of 2, 3 and 4 bytes: where they start, how long they are, their code points."""
    leads = np.flatnonzero(text >= 0xC2)
    first = text[leads]
    padded = np.append(text, np.zeros(4, dtype=np.uint8))
    found = []
    for length, low, high, least in ((2, 0xC2, 0xDF, 0x80), (3, 0xE0, 0xEF, 0x800), (4, 0xF0, 0xF4, 0x10000)):
        starts = leads[(first >= low) & (first <= high)]
        points = padded[starts].astype(np.int64) & (0x7F >> length)
        valid = np.ones(len(starts), dtype=np.bool_)
        for offset in range(1, length):
            byte = padded[starts + offset]
            valid &= (byte & 0xC0) == 0x80
            points = points << 6 | (byte & 0x3F)
        valid &= (points >= least) & (points < 0x110000) & ~((points >= 0xD800) & (points < 0xE000))
        found.append((starts[valid], length, points[valid]))
    return found


def find(block: bytes, pattern: str, digits: int, feeds: str, walls: tuple[I64, I64] | None = None) -> tuple[I64, I64]:
    """Starts and ends, (N,) each, of the pre-tokens of a block; they cover it in order.

    `feeds` says what line feeds are. `walls`: starts and ends of stretches, such as special
    tokens, that stand alone; text ends before them and begins anew behind.
    """
    if not block:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    cut = (
        _own(block, pattern, feeds, walls) if pattern not in PATTERNS else _named(block, pattern, digits, feeds, walls)
    )
    starts = np.flatnonzero(cut)
    ends = np.append(starts[1:], len(block))
    if (ends - starts).max() > LONGEST:
        return _shortened(block, starts, ends)
    return starts, ends


def _named(block: bytes, pattern: str, digits: int, feeds: str, walls: tuple[I64, I64] | None) -> Bool:
    """Where pre-tokens of a named pattern start, (len(block),)."""
    text = np.frombuffer(block, dtype=np.uint8)
    if pattern == "none":
        cut = np.zeros(len(text), dtype=np.bool_)
        classes = None
    else:
        classes = _classes(block, text, wall=feeds == WALLS)
        if pattern == "whitespace":
            classes = np.where((classes == LETTER) | (classes == NUMBER), np.uint8(OTHER), classes)
        if walls is not None:
            classes = classes.copy()
            classes[_filled(*walls)] = WALL
        cut = np.empty(len(text), dtype=np.bool_)
        np.not_equal(classes[1:], classes[:-1], out=cut[1:])
    cut[0] = True
    if feeds != JOINED or pattern == "none":
        lines = np.flatnonzero(text == _FEED)
        if feeds == WALLS:
            cut[lines] = True
        cut[lines[lines + 1 < len(text)] + 1] = True
    if walls is not None:
        for edge in walls:
            cut[edge[edge < len(text)]] = True
    if classes is not None:
        runs = _Runs(text, classes, cut, feeds)
        runs.join_gpt4(digits) if pattern == "gpt4" else runs.join_gpt2(contractions=pattern == "gpt2")
    return cut


def _filled(starts: I64, ends: I64) -> I64:
    """All positions of the given stretches."""
    lengths = ends - starts
    return np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())


class _Runs:
    """Runs of characters of one class, and which of their first bytes start a pre-token (`cut`, changed in place)."""

    def __init__(self, text: U8, classes: U8, cut: Bool, feeds: str) -> None:
        self.text, self.cut = text, cut
        self.starts = np.flatnonzero(cut)
        self.ends = np.append(self.starts[1:], len(text))
        self.kinds = classes[self.starts]
        self.following = np.append(self.kinds[1:], np.uint8(WALL))
        if feeds == INSIDE:  # a line's white space meets no text of the next line
            self.following[self.text[self.ends - 1] == _FEED] = WALL

    def _last_characters(self, runs: I64) -> I64:
        """Where the last character of each run starts."""
        places = self.ends[runs] - 1
        for _ in range(3):
            inside = (self.text[places] & 0xC0) == 0x80
            if not inside.any():
                break
            places = places - inside
        return places

    def join_gpt2(self, *, contractions: bool) -> None:
        """A single blank goes with what follows it; other white space stays apart."""
        spaces = np.flatnonzero((self.kinds == SPACE) & (self.following != WALL))
        last = self._last_characters(spaces)
        self.cut[last] = True
        self.cut[self.ends[spaces][self.text[last] == _BLANK]] = False
        if contractions:
            self._contract(fold=False)

    def join_gpt4(self, digits: int) -> None:
        """Line ends go with punctuation before them, one character that is no number goes with letters after it."""
        begin = self._line_ends()
        spaces = np.flatnonzero((self.kinds == SPACE) & (self.following != WALL) & (begin < self.ends))
        last = self._last_characters(spaces)
        self.cut[last] = True
        following = self.following[spaces]
        joined = (following == LETTER) | ((following == OTHER) & (self.text[last] == _BLANK))
        self.cut[self.ends[spaces][joined]] = False
        contracted = self._contract(fold=True)
        self._join_letters(contracted)
        self._part_numbers(digits)

    def _line_ends(self) -> I64:
        """Parts white space behind its last line end; where what is left of each run begins, (runs,)."""
        begin = self.starts.copy()
        feeds = np.flatnonzero((self.text == _FEED) | (self.text == _RETURN))
        owners = np.searchsorted(self.starts, feeds, side="right") - 1
        own = self.kinds[owners] == SPACE
        feeds, owners = feeds[own], owners[own]
        if not len(feeds):
            return begin
        firsts = np.flatnonzero(np.append(True, np.diff(feeds) != 1) | np.append(True, np.diff(owners) != 0))
        stretch_start, stretch_owner = feeds[firsts], owners[firsts]
        stretch_end = feeds[np.append(firsts[1:], len(feeds)) - 1] + 1
        after = (stretch_owner > 0) & (stretch_start == self.starts[stretch_owner])
        after &= self.kinds[stretch_owner - 1] == OTHER
        self.cut[stretch_start[after]] = False
        self._cut_before(stretch_end[after])
        begin[owners] = feeds + 1
        self._cut_before(begin[owners])
        return begin

    def _cut_before(self, places: I64) -> None:
        self.cut[places[places < len(self.cut)]] = True

    def _contract(self, *, fold: bool) -> I64:
        """Makes 's, 't, 'd, 'm, 'll, 've and 're pre-tokens; the runs of their apostrophes."""
        runs = np.flatnonzero((self.kinds == OTHER) & (self.following == LETTER) & (self.ends - self.starts == 1))
        places = self.starts[runs]
        chosen = (self.text[places] == _APOSTROPHE) & self.cut[places]
        runs, places = runs[chosen], places[chosen]
        first, second = (self._letter(places + offset, fold=fold) for offset in (1, 2))
        length = np.zeros(len(places), dtype=np.int64)
        for letter in b"sdmt":
            length[first == letter] = 1
        for pair in (b"ll", b"ve", b"re"):
            length[(first == pair[0]) & (second == pair[1])] = 2
        long_s = fold & (first == 0xC5) & (second == 0xBF)  # folds to s
        length[long_s] = 2
        found = length > 0
        places, length = places[found], length[found]
        self.cut[places + 1] = False
        self._cut_before(places + 1 + length)
        contracted: I64 = runs[found]
        return contracted

    def _letter(self, places: I64, *, fold: bool) -> U8:
        """The bytes at the given places, ASCII capitals as small letters if `fold`; 0 behind the end."""
        letters = self.text[np.minimum(places, len(self.text) - 1)]
        letters = np.where(places < len(self.text), letters, np.uint8(0))
        return np.where((letters >= 65) & (letters <= 90), letters | np.uint8(32), letters) if fold else letters

    def _join_letters(self, contracted: I64) -> None:
        """One character of punctuation in front of letters goes with them."""
        runs = np.flatnonzero((self.kinds == OTHER) & (self.following == LETTER) & self.cut[self.starts])
        runs = runs[~np.isin(runs, contracted)]
        self.cut[self.ends[runs[self._single(runs)]]] = False

    def _single(self, runs: I64) -> Bool:
        """Which of the runs are one character, or one byte that is not UTF-8."""
        lengths = self.ends[runs] - self.starts[runs]
        single: Bool = lengths == 1
        first = np.zeros((len(runs), 4), dtype=np.uint8)
        for offset in range(4):
            longer = lengths > offset
            first[longer, offset] = self.text[self.starts[runs[longer]] + offset]
        for places, length, _ in _multibyte(first.reshape(-1)):
            whole = places[places % 4 == 0] // 4
            single[whole[lengths[whole] == length]] = True
        return single

    def _part_numbers(self, digits: int) -> None:
        """Cuts numbers into pieces of at most `digits` characters."""
        runs = np.flatnonzero((self.kinds == NUMBER) & (self.ends - self.starts > digits))
        if not len(runs):
            return
        places = _filled(self.starts[runs], self.ends[runs])
        owner = np.repeat(np.arange(len(runs)), self.ends[runs] - self.starts[runs])
        whole = (self.text[places] & 0xC0) != 0x80
        places, owner = places[whole], owner[whole]
        first = np.searchsorted(owner, np.arange(len(runs)))
        self.cut[places[(np.arange(len(places)) - first[owner]) % digits == 0]] = True


def _shortened(block: bytes, starts: I64, ends: I64) -> tuple[I64, I64]:
    """No pre-token longer than LONGEST; characters stay whole."""
    cuts = [starts]
    for index in np.flatnonzero(ends - starts > LONGEST).tolist():
        place, end = int(starts[index]), int(ends[index])
        while end - place > LONGEST:
            place += LONGEST
            place -= next((back for back in range(4) if block[place - back] & 0xC0 != 0x80), 0)
            cuts.append(np.array([place]))
    starts = np.sort(np.concatenate(cuts))
    return starts, np.append(starts[1:], len(block))


def _own(block: bytes, pattern: str, feeds: str, walls: tuple[I64, I64] | None) -> Bool:
    """Where pre-tokens of a regular expression start; it sees one line, or what is between walls, at a time."""
    cut = np.zeros(len(block), dtype=np.bool_)
    stretches = _stretches(block, feeds, walls)
    cut[[start for start, _, _ in stretches]] = True
    seen = [(start, end) for start, end, wall in stretches if not wall]
    done = 0
    for count, places in splitter(pattern).cuts([block[start:end] for start, end in seen]):
        starts, ends = np.array(seen[done : done + count], dtype=np.int64).T
        laid = np.cumsum(ends - starts) - (ends - starts)
        found = np.frombuffer(places, dtype=np.int64)
        owners = np.searchsorted(laid, found, side="right") - 1
        cut[found - laid[owners] + starts[owners]] = True
        done += count
    return cut


def _stretches(block: bytes, feeds: str, walls: tuple[I64, I64] | None) -> list[tuple[int, int, bool]]:
    """What a regular expression sees at once, and the walls between."""
    lines = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == _FEED)
    starts = lines if feeds == WALLS else np.zeros(0, dtype=np.int64)
    edges = np.concatenate([[0, len(block)], starts, lines + 1, *(walls or ())])
    edges = np.unique(edges[edges <= len(block)]).tolist()
    closed = set((walls[0] if walls else starts).tolist()) | set(starts.tolist())
    return [(start, end, start in closed) for start, end in pairwise(edges)]
