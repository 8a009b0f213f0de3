r"""ARPA files: backoff models as text, log10, one n-gram a line. Knows bytes, not files.

Reads what lmplz, SRILM, OpenGrm and IRSTLM write: fields parted by tabs or spaces, `\r\n`,
text before `\data\`, backoffs left out, `<UNK>` for `<unk>`. -99 and below is probability 0.
Prefixes that a pruned model left out are put back with the probability they had by backoff, so
that the model stays the same.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmkit.counting.estimation import Logs, Table, precision
from lmkit.counting.lookup import evaluate, find_grams
from lmkit.counting.tables import SHIFT, words_of
from lmkit.errors import CheckpointError
from lmkit.protocols import F64, I32, I64, Ints
from lmkit.text.tokenizers import WordTokenizer
from lmkit.text.vocabulary import BOS, NAMES, UNK, Vocabulary
from lmkit.text.words import distinct, find

ZERO = -99.0
BATCH = 1 << 16
MOST_ORDERS = 100


def is_arpa(start: bytes) -> bool:
    r"""Whether text looks like an ARPA file: `\data\` on a line of its own near the beginning."""
    return re.search(rb"(^|\n)[ \t]*\\data\\[ \t\r]*\n", start) is not None


@dataclass(frozen=True)
class _Section:
    """One order's n-grams as in the file: words (M, k), log10 p and backoff (M,)."""

    words: I32
    log10: F64
    backoff: F64


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

    def section(self, order: int, count: int) -> tuple[int, bytes]:
        """The lines of one order, and where they begin."""
        match = re.compile(rb"\s*\\%d-grams:[ \t]*\n" % order).match(self.data, self.position)
        if match is None:
            raise self.fail(self.position, f"expected \\{order}-grams:")
        begin = match.end()
        end = self.data.find(b"\n\\", begin - 1)
        if end < 0:
            raise self.fail(len(self.data) - 1, "the file ends before \\end\\")
        self.position = end + 1
        lines = self.data[begin : end + 1]
        found = len(find(lines).line_ends) - len(re.findall(rb"(?m)^[ \t]*\n", lines))
        if found != count:
            raise self.fail(begin, f"{found} {order}-grams, {count} were announced")
        return begin, lines

    def end(self) -> None:
        if not self.data.startswith(b"\\end\\", self.position):
            raise self.fail(self.position, "expected \\end\\")


def read(data: bytes) -> tuple[list[Table], WordTokenizer]:
    """The model in an ARPA file. Raises CheckpointError, with the line, where it is malformed."""
    reader = _Reader(data)
    counts = reader.counts()
    begin, lines = reader.section(1, counts[0])
    vocabulary = _vocabulary(reader, begin, lines)
    sections = [_parse(reader, begin, lines, 1, vocabulary, highest=len(counts) == 1)]
    for order, count in enumerate(counts[1:], 2):
        begin, lines = reader.section(order, count)
        sections.append(_parse(reader, begin, lines, order, vocabulary, highest=order == len(counts)))
    reader.end()
    return _build(sections, vocabulary), WordTokenizer(vocabulary)


def _fields(lines: bytes) -> tuple[list[bytes], I64]:
    places = find(lines)
    return [lines[a:b] for a, b in zip(places.starts.tolist(), places.ends.tolist(), strict=True)], places.line_ends


def _vocabulary(reader: _Reader, begin: int, lines: bytes) -> Vocabulary:
    fields, ends = _fields(lines)
    begins = np.concatenate((np.zeros(1, np.int64), ends))[:-1]
    firsts: list[int] = begins[np.diff(ends, prepend=0) > 0].tolist()
    words: dict[bytes, None] = dict.fromkeys(NAMES)
    seen: set[bytes] = set()
    for first in firsts:
        if first + 1 >= len(fields):
            raise reader.fail(begin, "a unigram without a word")
        word = b"<unk>" if fields[first + 1] == b"<UNK>" else fields[first + 1]
        if word in seen:
            raise reader.fail(begin, f"unigram {word.decode(errors='replace')!r} stands twice")
        seen.add(word)
        words[word] = None
    return Vocabulary.of(words)


def _parse(reader: _Reader, begin: int, lines: bytes, order: int, vocabulary: Vocabulary, *, highest: bool) -> _Section:
    """One section's numbers and words, by columns."""
    places = find(lines)
    sizes = np.diff(places.line_ends, prepend=0)
    firsts = (places.line_ends - sizes)[sizes > 0]
    sizes = sizes[sizes > 0]
    if not len(sizes):
        empty = np.zeros(0)
        return _Section(np.zeros((0, order), np.int32), empty, empty)
    wrong = np.flatnonzero((sizes < order + 1) | (sizes > order + 2))
    if len(wrong):
        at = begin + int(places.starts[firsts[wrong[0]]])
        raise reader.fail(at, f"{sizes[wrong[0]]} fields, expected a log10 probability, {order} words, a backoff")
    unique = distinct(lines, places)
    ids = vocabulary.find(unique.hashes)
    names = [lines[a:b] for a, b in zip(unique.starts.tolist(), unique.ends.tolist(), strict=True)]
    columns = firsts[:, None] + np.arange(1, order + 1)
    kinds = unique.inverse[columns]
    words = ids[kinds]
    unknown = np.flatnonzero((words == UNK) & ~np.array([name in (b"<unk>", b"<UNK>") for name in names])[kinds])
    if len(unknown):
        place = columns.reshape(-1)[unknown[0]]
        word = names[unique.inverse[place]].decode(errors="replace")
        raise reader.fail(begin + int(places.starts[place]), f"{word!r} is not among the unigrams")
    numbers = _numbers(reader, begin, places.starts, names, unique.inverse)
    log10 = numbers(firsts)
    positive = np.flatnonzero(log10 > 1e-4)
    if len(positive):
        raise reader.fail(begin + int(places.starts[firsts[positive[0]]]), "a probability above 1")
    backoff = np.zeros(len(sizes))
    has = np.flatnonzero(sizes == order + 2)
    if not highest:
        backoff[has] = numbers(firsts[has] + order + 1)
    log10, backoff = (np.where(values <= ZERO, -np.inf, values) for values in (np.minimum(log10, 0), backoff))
    return _Section(words, log10, backoff)


def _numbers(reader: _Reader, begin: int, starts: I64, names: list[bytes], inverse: Ints) -> Callable[[I64], F64]:
    """A function from field places to their values; each distinct spelling is read once."""
    values = np.full(len(names), np.nan)

    def read_fields(places: I64) -> F64:
        kinds = inverse[places]
        for kind in np.unique(kinds).tolist():
            try:
                values[kind] = float(names[kind])
            except ValueError:
                values[kind] = np.nan
        bad = np.flatnonzero(np.isnan(values[kinds]))
        if len(bad):
            name = names[kinds[bad[0]]].decode(errors="replace")
            raise reader.fail(begin + int(starts[places[bad[0]]]), f"{name!r} is not a number")
        taken: F64 = values[kinds]
        return taken

    return read_fields


def _build(sections: Sequence[_Section], vocabulary: Vocabulary) -> list[Table]:
    """Sorted tables; missing prefixes inserted."""
    size = len(vocabulary)
    unigram = sections[0]
    log10, backoff = np.full(size, -np.inf), np.zeros(size)
    log10[unigram.words[:, 0]], backoff[unigram.words[:, 0]] = unigram.log10, unigram.backoff
    log10[BOS] = -np.inf
    sections = _with_prefixes(sections)
    dtype = precision(sum(len(section.log10) for section in sections))
    nothing = np.zeros(0, dtype)
    tables = [Table(np.zeros(0, np.int64), log10.astype(dtype), backoff.astype(dtype) if sections[1:] else nothing)]
    for order, section in enumerate(sections[1:], 2):
        contexts = find_grams([table.key for table in tables], section.words[:, :-1])
        key = (contexts << SHIFT) | section.words[:, -1]
        ranks = np.argsort(key, kind="stable")
        key = key[ranks]
        if (key[1:] == key[:-1]).any():
            twice = section.words[ranks[int(np.flatnonzero(key[1:] == key[:-1])[0])]]
            shown = b" ".join(vocabulary.piece(word) for word in twice.tolist()).decode(errors="replace")
            raise CheckpointError(f"{order}-gram {shown!r} stands twice")
        inserted = np.isnan(section.log10[ranks])
        values = section.log10[ranks].astype(dtype)
        weights = nothing if order == len(sections) else section.backoff[ranks].astype(dtype)
        table = Table(key, values, weights)
        if inserted.any():
            words = section.words[ranks][inserted]
            contexts = find_grams([t.key for t in tables], words[:, :-1])
            values[inserted] = tables[-1].backoff[contexts] + evaluate(tables, words[:, 1:])
        tables.append(table)
    return tables


def _with_prefixes(sections: Sequence[_Section]) -> list[_Section]:
    """Adds, from the highest order down, n-grams that are prefixes of others but not listed (NaN)."""
    closed = list(sections)
    for place in range(len(closed) - 2, 0, -1):
        section, needed = closed[place], closed[place + 1].words[:, :-1]
        rows = np.concatenate((section.words, needed))
        _, first = np.unique(rows, axis=0, return_index=True)
        extra = rows[np.sort(first[first >= len(section.words)])]
        if len(extra):
            nothing = np.full(len(extra), np.nan)
            closed[place] = _Section(
                np.concatenate((section.words, extra)),
                np.concatenate((section.log10, nothing)),
                np.concatenate((section.backoff, np.zeros(len(extra)))),
            )
    return closed


def write(tables: Sequence[Table], pieces: Sequence[bytes]) -> Iterator[bytes]:
    """An ARPA file, in pieces; numbers in the fewest digits that give the same values."""
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
    """The fewest digits that tell the number from others of its type; -99 for log 0.

    Each distinct value is spelled once.
    """
    unique, inverse = np.unique(values, return_inverse=True)
    spelled = [
        b"-99" if np.isneginf(value) else np.format_float_positional(value, trim="-").encode() for value in unique
    ]
    return [spelled[place] for place in inverse.tolist()]
