"""Files of word vectors of other tools, read to the bit as gensim reads them. Knows no files: who calls has the bytes.

    text    a first line `V D`, then for each word a line of it and D numbers, single spaces between
    glove   the same without the first line
    bin     the first line, then for each word its bytes, a space, D float32 (little-endian), maybe a line feed

Numbers are read as float64 and rounded to float32. A word may have spaces in it (gensim writes such), since its line's
last D fields are the numbers; but what precedes these must not be a number too, or the row is too long.

Shapes: V words, D numbers in a vector, N words of a block.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import F32, I64, U8
from lmkit.word_vectors.float_parsing import parse
from lmkit.word_vectors.word_order import WordOrder

FORMATS = TEXT, BINARY, GLOVE = ("text", "bin", "glove")
SNIFF = 1 << 20
WIDEST = 1 << 20
LONGEST = 1 << 20  # bytes of a word in a binary file
_HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*")
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")
_SPACE, _FEED = 32, 10
_OTHERS = (
    (b"\x80", "a pickle, such as gensim's own format: reading it could run code", "save_word2vec_format of gensim"),
    (b"PK\x03\x04", "a zip", "unpack it"),
    (b"\xba\x16\x4f\x2f", "a model of fastText", "the file .vec beside it has its words' vectors"),
    (b"\x93NUMPY", "an array without words", None),
)


def detect(start: bytes) -> str:
    """The format of a file by its first bytes. Raises DataError for what has no word vectors."""
    if not start.strip():
        raise DataError("empty: no word vectors")
    for magic, what, hint in _OTHERS:
        if start.startswith(magic):
            raise DataError(f"{what}, not a file of word vectors", hint=hint)
    first, _, rest = start.partition(b"\n")
    header = _HEADER.fullmatch(first)
    if header is None:
        if not _is_number(first.rstrip().rpartition(b" ")[2]):
            raise DataError("line 1: no word with numbers after it, and no `V D`", hint="--format says what it is")
        return GLOVE
    row, width = rest.partition(b"\n")[0].rstrip(), int(header[2])
    fields = row.rsplit(b" ", width)[1:]
    if len(fields) == width and all(map(_is_number, fields)):
        return TEXT
    return BINARY if _CONTROL.search(rest) or not _is_text(rest) else TEXT


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return b"_" not in field


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(data) - 3  # a character that is cut off
    return True


def _sizes(line: bytes) -> tuple[int, int]:
    """V and D of a first line. Raises DataError where it does not have them."""
    found = _HEADER.fullmatch(line)
    if found is None:
        raise DataError(f"line 1: expected `V D`, found {_shown(line)}")
    count, width = map(int, found.groups())
    if not 0 < width <= WIDEST:
        raise DataError(f"line 1: vectors of {width} numbers")
    if not count:
        raise DataError("line 1: 0 words")
    return count, width


def _shown(data: bytes) -> str:
    return repr(data[:40].decode(errors="replace")) + ("…" if len(data) > 40 else "")


# Text.


def read_text(blocks: Iterable[bytes], *, header: bool) -> WordOrder:
    """Words and vectors of a text in blocks of whole lines, of `text` with a header or else `glove`.

    Empty lines are passed over. Raises DataError that names the line: rows too short or too
    long, what is no number or not finite, another number of words than the header says.
    """
    count, width, line, blocks = _begin(iter(blocks), header)
    listing, met = WordOrder(width), 0
    for block in blocks:
        words, vectors = _Block(block, line).rows(width)
        met += len(words)
        if count is not None and met > count:
            raise DataError(f"{met} words or more, but line 1 says {count}")
        listing.add(words, vectors)
        line += block.count(b"\n")
    if count is not None and met < count:
        raise DataError(f"line {line}: the end after {met} words, but line 1 says {count}")
    if not met:
        raise DataError("no word vectors")
    return listing


def _begin(blocks: Iterator[bytes], header: bool) -> tuple[int | None, int, int, Iterator[bytes]]:
    """How many words are announced, D, the number of the first line that is left, and what is left."""
    block = next(blocks, b"\n")
    if header:
        first, _, rest = block.partition(b"\n")
        return *_sizes(first), 2, chain([rest] if rest else [], blocks)
    lengths = Counter(row.count(b" ") for row in map(bytes.rstrip, block[:SNIFF].split(b"\n", 100)[:100]) if row)
    width = lengths.most_common(1)[0][0] if lengths else 0
    if not 0 < width <= WIDEST:
        raise DataError("line 1: no word with numbers after it")
    return None, width, 1, chain([block], blocks)


class _Block:
    """Whole lines of a text, and what numpy finds in them.

    line     number of the first
    numbers  (N,) of the lines that are not empty
    starts, ends  (N,) where these lie, white space at their ends left out
    """

    def __init__(self, block: bytes, line: int) -> None:
        self.block = block
        self.text: U8 = np.frombuffer(block, dtype=np.uint8)
        feeds = np.flatnonzero(self.text == _FEED)
        starts = np.concatenate((np.zeros(1, dtype=np.int64), feeds[:-1] + 1))
        ends = self._trimmed(starts, feeds)
        kept = np.flatnonzero(ends > starts)
        self.numbers: I64 = line + kept
        self.starts: I64 = starts[kept]
        self.ends: I64 = ends[kept]

    def _trimmed(self, starts: I64, ends: I64) -> I64:
        """Ends of lines without the white space there: one space in word2vec's files, seldom more."""
        ends = ends - ((ends > starts) & (self.text[ends - 1] == _SPACE))
        last = self.text[ends - 1]
        for index in np.flatnonzero((ends > starts) & ((last == _SPACE) | ((last >= 9) & (last <= 13)))).tolist():
            ends[index] = starts[index] + len(self.block[starts[index] : ends[index]].rstrip())
        return ends

    def rows(self, width: int) -> tuple[list[bytes], F32]:
        """Words and their vectors, (N, D). Raises DataError."""
        if not len(self.starts):
            return [], np.zeros((0, width), dtype=np.float32)
        starts = self._number_starts(width)
        ends = np.concatenate((starts[:, 1:] - 1, self.ends[:, None]), axis=1)
        numbers = parse(self.block, starts.ravel(), ends.ravel())
        if numbers is None:
            raise self._no_number(starts[:, 0] - 1, width)
        vectors = numbers.reshape(-1, width)
        if not np.isfinite(vectors).all():
            raise self._error(_not_finite(vectors)[0], "its numbers are not all finite float32")
        bounds = zip(self.starts.tolist(), (starts[:, 0] - 1).tolist(), strict=True)
        words = [self.block[start:end] for start, end in bounds]
        if b"\0" in self.block:
            raise self._error(next(i for i, word in enumerate(words) if b"\0" in word), "a NUL byte")
        return words, vectors

    def _number_starts(self, width: int) -> I64:
        """Where each number begins: behind the last D spaces of its line, (N, D)."""
        spaces = np.flatnonzero(self.text == _SPACE)
        last = np.searchsorted(spaces, self.ends)
        counts = last - np.searchsorted(spaces, self.starts)
        if (counts < width).any():
            index = int(np.argmax(counts < width))
            raise self._error(index, f"{counts[index]} numbers, expected {width}")
        starts: I64 = spaces[(last - width)[:, None] + np.arange(width)] + 1
        for index in np.flatnonzero(counts > width).tolist():
            last_part = self.block[self.starts[index] : starts[index, 0] - 1].rpartition(b" ")[2]
            if not last_part or _is_number(last_part):
                raise self._error(index, f"more numbers than {width}" if last_part else "two spaces behind it")
        return starts

    def _no_number(self, ends: I64, width: int) -> DataError:
        """What is wrong with the first line whose last D fields are not numbers."""
        for index, (start, end) in enumerate(zip(ends.tolist(), self.ends.tolist(), strict=True)):
            for field in self.block[start + 1 : end].split(b" "):
                if not _is_number(field) or field.strip() != field:
                    return self._error(index, f"{_shown(field)} is not a number")
        return self._error(0, f"something from here on is no row of a word and {width} numbers")

    def _error(self, index: int, message: str) -> DataError:
        word = self.block[self.starts[index] : self.ends[index]].partition(b" ")[0]
        return DataError(f"line {self.numbers[index]}, word {_shown(word)}: {message}")


# Binary.


def read_binary(chunks: Iterable[bytes], *, replace: bool = False) -> WordOrder:
    """Words and vectors of a binary file in pieces of any size; `replace`: bytes that are not UTF-8, by U+FFFD.

    Raises DataError that names the word by its number: a file that ends before its last word or goes
    on after it, numbers that are not finite, words that are not UTF-8.
    """
    chunks = iter(chunks)
    data = next(chunks, b"")
    while b"\n" not in data and len(data) < SNIFF and (piece := next(chunks, b"")):
        data += piece
    first, _, data = data.partition(b"\n")
    count, width = _sizes(first)
    listing, met = WordOrder(width), 0
    for piece in chain([b""], chunks):
        data += piece
        words, vectors, data = _unpacked(data, width, count - met)
        _check(words, vectors, met)
        if not _is_text(b"\n".join([*words, b"\n\n\n"])):
            words, replaced = _valid(words, met, replace)
            listing.replaced += replaced
        listing.add(words, vectors)
        met += len(words)
        if met == count and data.strip(b"\n"):
            raise DataError(f"more behind word {count}, the last that line 1 says")
        if len(data) > LONGEST + 4 * width:
            raise DataError(f"word {met + 1}: no end of it")
    if met < count:
        where = f"in word {met + 1}" if data.strip(b"\n") else f"after {met} words"
        raise DataError(f"the end {where}, but line 1 says {count} words")
    return listing


def _unpacked(data: bytes, width: int, most: int) -> tuple[list[bytes], F32, bytes]:
    """The words that are whole, at most so many, their vectors, and what is left."""
    words, places, position, size = [], [], 0, 4 * width
    for _ in range(most):
        space = data.find(b" ", position)
        if space < 0 or space + 1 + size > len(data):
            break
        words.append(data[position:space].lstrip(b"\n"))
        places.append(space + 1)
        position = space + 1 + size
    if not words:
        return [], np.zeros((0, width), dtype=np.float32), data
    windows: U8 = np.ndarray((len(data) - size + 1, size), dtype=np.uint8, buffer=data, strides=(1, 1))
    vectors: F32 = windows[places].view("<f4")
    return words, vectors, data[position:]


def _valid(words: list[bytes], before: int, replace: bool) -> tuple[list[bytes], int]:
    """Words as UTF-8, and how many bytes or sequences had to be replaced for that."""
    replaced = 0
    for index, word in enumerate(words):
        try:
            word.decode()
        except UnicodeDecodeError as error:
            if not replace:
                raise DataError(
                    f"word {before + index + 1}, {_shown(word)}: not UTF-8 (byte 0x{word[error.start]:02x})",
                    hint="--encoding-errors replace substitutes U+FFFD",
                ) from None
            text = word.decode(errors="replace")
            replaced += text.count("\ufffd") - word.count("\ufffd".encode())
            words[index] = text.encode()
    return words, replaced


def _check(words: list[bytes], vectors: F32, before: int) -> None:
    """Raises DataError for a word with a NUL byte or line end in it, and for numbers that are not finite."""
    odd, joined = set(_not_finite(vectors)), b" ".join(words)
    for index, word in enumerate(words if odd or b"\0" in joined or b"\n" in joined else []):
        if index in odd:
            raise DataError(f"word {before + index + 1}, {_shown(word)}: its numbers are not all finite")
        if b"\0" in word or b"\n" in word:
            raise DataError(f"word {before + index + 1}, {_shown(word)}: a NUL byte or line end in it")


def _not_finite(vectors: F32) -> list[int]:
    """Which rows have a number that is not finite."""
    rows: list[int] = np.unique(np.nonzero(~np.isfinite(vectors))[0]).tolist()
    return rows
