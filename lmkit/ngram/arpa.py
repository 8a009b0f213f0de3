r"""ARPA files: backoff models as text, log10, one n-gram a line. Knows bytes, not files.

Reads what lmplz, SRILM, OpenGrm and IRSTLM write: fields separated by tabs or spaces, `\r\n`,
text before `\data\`, backoffs left out, `<UNK>` for `<unk>`. -99 and below is probability 0.
Prefixes that a pruned model left out are put back with the probability they had by backoff, so
that the model stays the same.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.ngram.backoff_estimation import Logs, Precision, Table, precision
from lmkit.ngram.ngram_lookup import evaluate
from lmkit.ngram.tables import SHIFT, find_keys, make_key, sorting, words_of
from lmkit.protocols import F64, I32, I64
from lmkit.tokenization.tokenizers import WordTokenizer
from lmkit.tokenization.vocabulary import BOS, NAMES, UNK, Vocabulary
from lmkit.tokenization.words import distinct, find

ZERO = -99.0
BATCH = 1 << 16
LONGEST = 1 << 20  # bytes of a line, in files that are read as they come
WORD = 1 << 10  # bytes of a word on average, at most, in such files
PIECE = 8 << 20
MOST_ORDERS = 100
MOST_LOG10 = 1e30  # of a backoff weight; sums over all orders fit into float32 then
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|-inf(inity)?", re.IGNORECASE)


def is_arpa(start: bytes) -> bool:
    r"""Whether text looks like an ARPA file: `\data\` on a line of its own near the beginning."""
    return re.search(rb"(^|\n)[ \t]*\\data\\[ \t\r]*\n", start) is not None


def extent(start: bytearray) -> int:
    """How many bytes to read, at most, of a file that begins so: a piece more while its lines and counts allow that.

    Raises CheckpointError for a line longer than LONGEST, and for more than words of WORD bytes take.
    """
    if b"\n" not in start[-LONGEST:]:
        raise CheckpointError(f"line {start.count(10) + 1}: longer than {LONGEST >> 20} MiB, which no n-gram is")
    reader = _Reader(bytes(start[:LONGEST]))
    try:
        most = LONGEST + sum(count * (64 + order * WORD) for order, count in enumerate(reader.counts(), 1))
    except CheckpointError:
        return 0  # what is read will say the same
    if len(start) > most:
        raise CheckpointError(f"longer than {most} bytes, the most that its counts of n-grams allow")
    return min(most + 1, len(start) + PIECE)


@dataclass(frozen=True)
class _Section:
    """One order's n-grams as in the file: words (M, k), log10 p and backoff (M,)."""

    words: I32
    log10: F64
    backoff: F64
    begin: int = 0
    """Where its first line begins in the file."""


class _Reader:
    """Reads section after section; errors name the line."""

    def __init__(self, data: bytes) -> None:
        self.data = data if data.endswith(b"\n") else data + b"\n"
        if b"\r\n" in self.data:
            self.data = self.data.replace(b"\r\n", b"\n")
        self.position = 0

    def fail(self, position: int, message: str) -> CheckpointError:
        line = self.data.count(b"\n", 0, position) + 1
        return CheckpointError(f"line {line}: {message}")

    def row(self, begin: int, number: int) -> int:
        """Where a row of a section begins, blank lines not counted."""
        rows = re.compile(rb"[^\n]*\S[^\n]*").finditer(self.data, begin)
        return next(islice(rows, number, None)).start()

    def counts(self) -> list[int]:
        """The `ngram k=count` lines."""
        mark = re.search(rb"(^|\n)[ \t]*\\data\\[ \t]*\n", self.data)
        if mark is None:
            raise CheckpointError("not an ARPA file: no \\data\\ line")
        self.position = mark.end()
        counts: list[int] = []
        while match := re.compile(rb"\s*ngram[ \t]+(\d{1,9})[ \t]*=[ \t]*(\d{1,18})[ \t]*\n").match(
            self.data, self.position
        ):
            if int(match[1]) != len(counts) + 1:
                raise self.fail(match.end(1), f"expected the count of {len(counts) + 1}-grams")
            counts.append(int(match[2]))
            self.position = match.end()
        if not counts or len(counts) > MOST_ORDERS:
            raise self.fail(self.position, "expected `ngram 1=COUNT`")
        return counts

    def section(self, order: int) -> Iterator[tuple[int, bytes]]:
        """The lines of one order in pieces, and where each begins."""
        match = re.compile(rb"\s*\\%d-grams:[ \t]*\n" % order).match(self.data, self.position)
        if match is None:
            raise self.fail(self.position, f"expected \\{order}-grams:")
        end = self.data.find(b"\n\\", match.end() - 1) + 1
        if not end:
            raise self.fail(len(self.data) - 1, "the file ends before \\end\\")
        self.position = match.end()
        while self.position < end:
            begin = self.position
            cut = self.data.rfind(b"\n", begin, min(begin + PIECE, end)) + 1 or self.data.find(b"\n", begin, end) + 1
            self.position = cut
            yield begin, self.data[begin:cut]

    def end(self) -> None:
        """Checks that nothing is missing."""
        if not self.data.startswith(b"\\end\\", self.position):
            raise self.fail(self.position, "expected \\end\\")


def read(data: bytes) -> tuple[list[Table], WordTokenizer]:
    """The model in an ARPA file. Raises CheckpointError, with the line, where it is malformed."""
    reader = _Reader(data)
    counts = reader.counts()
    pieces = list(reader.section(1))
    vocabulary = _vocabulary(reader, pieces)
    sections = [_section(reader, iter(pieces), 1, counts[0], vocabulary, highest=len(counts) == 1)]
    for order, count in enumerate(counts[1:], 2):
        highest = order == len(counts)
        sections.append(_section(reader, reader.section(order), order, count, vocabulary, highest=highest))
    reader.end()
    return _build(reader, sections, vocabulary), WordTokenizer(vocabulary)


def _vocabulary(reader: _Reader, pieces: Sequence[tuple[int, bytes]]) -> Vocabulary:
    """The words of the unigrams, special tokens in front."""
    words: dict[bytes, None] = dict.fromkeys(NAMES)
    seen: set[bytes] = set()
    for begin, lines in pieces:
        places = find(lines)
        sizes = np.diff(places.line_ends, prepend=0)
        seconds = (places.line_ends - sizes)[sizes > 1] + 1
        for start, end in zip(places.starts[seconds].tolist(), places.ends[seconds].tolist(), strict=True):
            word = b"<unk>" if lines[start:end] == b"<UNK>" else lines[start:end]
            if word in seen:
                raise reader.fail(begin + start, f"unigram {word.decode(errors='replace')!r} occurs twice")
            seen.add(word)
            words[word] = None
    return Vocabulary.of(words)


def _section(
    reader: _Reader,
    pieces: Iterator[tuple[int, bytes]],
    order: int,
    count: int,
    vocabulary: Vocabulary,
    *,
    highest: bool,
) -> _Section:
    """One order's n-grams."""
    parsed = [_Lines(reader, begin, lines).section(order, vocabulary, highest=highest) for begin, lines in pieces]
    first = parsed[0].begin if parsed else reader.position
    parsed.append(_Section(np.zeros((0, order), dtype=np.int32), np.zeros(0), np.zeros(0)))
    whole = _Section(
        np.concatenate([one.words for one in parsed]),
        np.concatenate([one.log10 for one in parsed]),
        np.concatenate([one.backoff for one in parsed]),
        first,
    )
    if len(whole.log10) != count:
        raise reader.fail(reader.position, f"{len(whole.log10)} {order}-grams, {count} were announced")
    return whole


class _Lines:
    """Some lines of a section, by fields."""

    def __init__(self, reader: _Reader, begin: int, lines: bytes) -> None:
        self._reader, self._begin, self._lines = reader, begin, lines
        self._places = find(lines)
        self._unique = distinct(lines, self._places)
        sizes = np.diff(self._places.line_ends, prepend=0)
        self._firsts = (self._places.line_ends - sizes)[sizes > 0]
        self._sizes = sizes[sizes > 0]

    def section(self, order: int, vocabulary: Vocabulary, *, highest: bool) -> _Section:
        """The lines' numbers and words."""
        wrong = np.flatnonzero((self._sizes < order + 1) | (self._sizes > order + 2))
        if len(wrong):
            found = f"{self._sizes[wrong[0]]} fields"
            raise self._fail(self._firsts[wrong[0]], f"{found}, expected a log10 probability, {order} words, a backoff")
        words = self._words(self._firsts[:, None] + np.arange(1, order + 1), vocabulary)
        log10 = self._numbers(self._firsts)
        positive = np.flatnonzero(log10 > 1e-4)
        if len(positive):
            raise self._fail(self._firsts[positive[0]], "a probability above 1")
        backoff = np.zeros(len(log10))
        has = np.flatnonzero(self._sizes == order + 2)
        if not highest:
            backoff[has] = self._numbers(self._firsts[has] + order + 1)
            large = np.flatnonzero(backoff > MOST_LOG10)
            if len(large):
                raise self._fail(
                    self._firsts[large[0]] + order + 1, f"a backoff above {MOST_LOG10:g}, expected a log10"
                )
        log10 = np.minimum(log10, 0)
        log10, backoff = (np.where(values <= ZERO, -np.inf, values) for values in (log10, backoff))
        return _Section(words, log10, backoff, self._begin)

    def _fail(self, field: int, message: str) -> CheckpointError:
        return self._reader.fail(self._begin + int(self._places.starts[field]), message)

    def _spelled(self, kind: int) -> bytes:
        return self._lines[self._unique.starts[kind] : self._unique.ends[kind]]

    def _words(self, columns: I64, vocabulary: Vocabulary) -> I32:
        kinds = self._unique.inverse[columns]
        words = vocabulary.find(self._unique.hashes)[kinds]
        for row, column in np.argwhere(words == UNK).tolist():
            word = self._spelled(kinds[row, column])
            if word not in (b"<unk>", b"<UNK>"):
                raise self._fail(columns[row, column], f"{word.decode(errors='replace')!r} is not among the unigrams")
        return words

    def _numbers(self, fields: I64) -> F64:
        """The values of fields; each distinct spelling is read once."""
        kinds = self._unique.inverse[fields]
        wanted = np.zeros(len(self._unique.starts), dtype=np.bool_)
        wanted[kinds] = True
        values = np.full(len(wanted), np.nan)
        for kind in np.flatnonzero(wanted).tolist():
            spelled = self._spelled(kind)
            if NUMBER.fullmatch(spelled):
                values[kind] = float(spelled)
        bad = np.flatnonzero(np.isnan(values[kinds]) | (values[kinds] == np.inf))
        if len(bad):
            name = self._spelled(kinds[bad[0]]).decode(errors="replace")
            raise self._fail(fields[bad[0]], f"{name!r} is not a number")
        read: F64 = values[kinds]
        return read


def _build(reader: _Reader, sections: Sequence[_Section], vocabulary: Vocabulary) -> list[Table]:
    """Sorted tables, order by order; prefixes that only longer n-grams have are inserted on the way."""
    size = len(vocabulary)
    unigram = sections[0]
    log10, backoff = np.full(size, -np.inf), np.zeros(size)
    log10[unigram.words[:, 0]], backoff[unigram.words[:, 0]] = unigram.log10, unigram.backoff
    log10[BOS] = -np.inf
    dtype = precision(sum(len(section.log10) for section in sections))
    nothing = np.zeros(0, dtype)
    tables = [Table(np.zeros(0, np.int64), log10.astype(dtype), backoff.astype(dtype) if sections[1:] else nothing)]
    grams = [section.words[:, 0].astype(np.int64) for section in sections]  # the prefix found so far
    for order in range(2, len(sections) + 1):
        keys = [make_key(grams[at], sections[at].words[:, order - 1]) for at in range(order - 1, len(sections))]
        table = _table(reader, sections[order - 1], keys[0], dtype)
        tables.append(_with_prefixes(tables, table, keys[1:], order))
        grams[order:] = [find_keys(tables[-1].key, key) for key in keys[1:]]
    tables[-1] = tables[-1]._replace(backoff=nothing)
    return tables


def _table(reader: _Reader, section: _Section, key: I64, dtype: Precision) -> Table:
    ranks = sorting(key)
    key = key[ranks]
    twice = np.flatnonzero(key[1:] == key[:-1])
    if len(twice):
        raise reader.fail(reader.row(section.begin, int(ranks[twice + 1].min())), "an n-gram that stood before")
    return Table(key, section.log10[ranks].astype(dtype), section.backoff[ranks].astype(dtype))


def _with_prefixes(tables: Sequence[Table], table: Table, prefixes: Sequence[I64], order: int) -> Table:
    """The table with the prefixes that it lacks, each at the probability that it has by backoff."""
    missing = [key[find_keys(table.key, key) < 0] for key in prefixes]
    lost = np.unique(np.concatenate(missing)) if missing else np.zeros(0, np.int64)
    if not len(lost):
        return table
    words = words_of([*(below.key for below in tables), lost], order, np.arange(len(lost)))
    log10 = tables[-1].backoff[lost >> SHIFT] + evaluate(tables, words[:, 1:])
    places = np.searchsorted(table.key, lost)
    return Table(
        np.insert(table.key, places, lost), np.insert(table.log10, places, log10), np.insert(table.backoff, places, 0.0)
    )


def write(tables: Sequence[Table], pieces: Sequence[bytes]) -> Iterator[bytes]:
    """An ARPA file, in pieces; numbers in digits enough to give the same values."""
    sizes = [len(table.log10) for table in tables]
    yield b"\\data\\\n" + b"".join(b"ngram %d=%d\n" % item for item in enumerate(sizes, 1))
    keys = [table.key for table in tables]
    for order, table in enumerate(tables, 1):
        yield b"\n\\%d-grams:\n" % order
        for begin in range(0, sizes[order - 1], BATCH):
            ids = np.arange(begin, min(begin + BATCH, sizes[order - 1]))
            yield _lines(table, ids, words_of(keys, order, ids), pieces, order)
    yield b"\n\\end\\\n"


def _lines(table: Table, ids: I64, words: I32, pieces: Sequence[bytes], order: int) -> bytes:
    log10 = table.log10[ids].copy()
    if order == 1 and ids[0] <= BOS <= ids[-1]:
        log10[BOS - ids[0]] = 0  # never predicted; lmplz writes 0 too
    columns = [_digits(log10), [b" ".join([pieces[word] for word in row]) for row in words.tolist()]]
    if len(table.backoff):
        columns.append(_digits(table.backoff[ids]))
    return b"\n".join(map(b"\t".join, zip(*columns, strict=True))) + b"\n"


def _digits(values: Logs) -> list[bytes]:
    """Digits that tell each number from all others of its type; -99 for log 0."""
    spelling = b"%.9g" if values.dtype == np.float32 else b"%.17g"
    return list(map(spelling.__mod__, np.where(values == -np.inf, ZERO, values).tolist()))
