"""Exact duplicates for `lmkit data dedup`: records, or the lines or paragraphs in them, that were there before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from lmkit.commands.records.corpora import Chunk, Corpus, CorpusInput, RecordWriter, quiet_run, with_text
from lmkit.io import outputs, size_limits
from lmkit.io.text_sources import FIELD


@dataclass
class Counts:
    """How many units were read and dropped."""

    read: int = 0
    dropped: int = 0


@dataclass
class _Clusters:
    """Copies of each text, where they are to be reported: memory for every text that was read."""

    reported: bool
    _first: dict[int, str] = field(default_factory=dict)
    _copies: dict[int, list[str]] = field(default_factory=dict)

    def see(self, key: int, place: str) -> None:
        if key in self._first:
            self._copies.setdefault(key, []).append(place)
        else:
            self._first[key] = place

    def rows(self) -> list[dict[str, Any]]:
        """The rows of a report."""
        return [
            {"cluster": number, "size": 1 + len(copies), "kept": self._first[key], "dropped": place, "jaccard": 1.0}
            for number, (key, copies) in enumerate(self._copies.items(), 1)
            for place in copies
        ]


class _Seen:
    """Texts that were there before, by hashes."""

    def __init__(self, clusters: _Clusters, *, normalize: bool) -> None:
        import xxhash

        from lmkit.data.key_set import KeySet
        from lmkit.data.normal_form import normal_bytes

        self._normal: Callable[[bytes], bytes] | None = normal_bytes if normalize else None
        self._hash = xxhash.xxh3_64_intdigest
        self._keys, self._clusters = KeySet(), clusters
        self._empty = self._hash(b"")

    def keys(self, texts: Sequence[bytes]) -> Any:
        """The hash of each text."""
        import numpy as np

        forms = texts if self._normal is None else list(map(self._normal, texts))
        return np.array(list(map(self._hash, forms)), dtype=np.uint64)

    def new(self, texts: Sequence[bytes], place: Callable[[int], str], *, keep_empty: bool, keys: Any = None) -> Any:
        """Which texts were not there before; `keys` are their hashes, where these are known."""
        found = self.keys(texts) if keys is None else keys
        new = self._keys.add(found)
        if keep_empty:
            new |= found == self._empty
        if self._clusters.reported:
            for at, key in enumerate(found.tolist()):
                if not (keep_empty and key == self._empty):
                    self._clusters.see(key, place(at))
        return new


def write(
    corpus: Corpus, against: Corpus | None, out: outputs.Output, unit: str, *, normalize: bool, reported: bool,
    keys: Iterator[Any] | None = None,
) -> tuple[Counts, list[dict[str, Any]]]:  # fmt: skip
    """Write what is no duplicate; return the counts and the rows of a report.

    `keys`: of records, the hashes of those of each file, which tasks have made.
    """
    clusters, counts = _Clusters(reported), Counts()
    seen = _Seen(clusters, normalize=normalize)
    if against is not None:
        _read(against, seen, unit)
    writer = RecordWriter(out)
    if unit == "record" or (unit == "line" and corpus.expect_one_form() == "text"):
        known = None if keys is None else _Known(keys)
        for chunk in corpus.chunks():
            own = None if known is None else known.next(len(chunk.texts))
            new = seen.new(chunk.texts, chunk.place, keep_empty=chunk.fields is None, keys=own)
            counts.read += len(new)
            counts.dropped += len(new) - int(new.sum())
            if new.all():
                writer.write_chunk(chunk)
            else:
                writer.write(list(compress(chunk.raws, new.tolist())), chunk.header, chunk.name)
    elif corpus.expect_one_form() == "text":
        _write_paragraphs(corpus, seen, writer, counts)
    else:
        _write_shortened(corpus, seen, writer, counts, unit)
    return counts, clusters.rows()


def keys_of_file(piece: tuple[CorpusInput, str, bool]) -> Any:
    """The hashes of the records of a file: the task that an engine places."""
    import numpy as np

    stored, file, normalize = piece
    seen = _Seen(_Clusters(reported=False), normalize=normalize)
    parts = [seen.keys(chunk.texts) for chunk in Corpus(quiet_run("data dedup"), stored, [file]).chunks()]
    return np.concatenate([np.zeros(0, np.uint64), *parts])


class _Known:
    """Hashes that are there file by file, given out as many at a time as are asked for."""

    def __init__(self, arrays: Iterator[Any]) -> None:
        import numpy as np

        self._arrays, self._held = arrays, np.zeros(0, np.uint64)

    def next(self, size: int) -> Any:
        """The next hashes."""
        import numpy as np

        while len(self._held) < size:
            self._held = np.concatenate((self._held, next(self._arrays)))
        own, self._held = self._held[:size], self._held[size:]
        return own


def _read(against: Corpus, seen: _Seen, unit: str) -> None:
    """Have what another file holds count as seen."""
    for chunk in against.chunks():
        if unit == "record" or chunk.fields is None:
            texts = list(chunk.texts)
            if unit == "paragraph":
                for text, _, place in _paragraphs([chunk]):
                    seen.new([text], _always(place), keep_empty=True)
                continue
            seen.new(texts, chunk.place, keep_empty=chunk.fields is None)
        else:
            for at, text in enumerate(chunk.texts):
                pieces = [piece for piece, _ in _pieces(text, unit)]
                seen.new(pieces, _always(chunk.place(at)), keep_empty=True)


def _always(place: str) -> Callable[[int], str]:
    return lambda _: place


def _paragraphs(chunks: Iterator[Chunk] | Sequence[Chunk]) -> Iterator[tuple[bytes, int, str]]:
    """The paragraphs of plain text, how many blank lines follow each, and where each begins."""
    lines: list[bytes] = []
    blanks = size = 0
    place, name = "", ""
    for chunk in chunks:
        if chunk.name != name and (lines or blanks):  # a file ends a paragraph
            yield b"\n".join(lines), blanks, place
            lines, blanks, size = [], 0, 0
        name = chunk.name
        for at, line in enumerate(chunk.texts):
            if line.strip():
                if blanks:
                    yield b"\n".join(lines), blanks, place
                    lines, blanks, size = [], 0, 0
                if not lines:
                    place = chunk.place(at)
                lines.append(line)
                size += len(line)
                if size > size_limits.RECORD.size:
                    raise size_limits.RECORD.error(place)
            else:
                blanks += 1
    if lines or blanks:
        yield b"\n".join(lines), blanks, place


def _write_paragraphs(corpus: Corpus, seen: _Seen, writer: RecordWriter, counts: Counts) -> None:
    """Write the paragraphs of plain text that were not there before, with the blank lines behind them."""
    held: list[tuple[bytes, int, str]] = []

    def settle() -> None:
        new = seen.new([text for text, _, _ in held], lambda at: held[at][2], keep_empty=True)
        counts.read += len(held)
        counts.dropped += len(held) - int(new.sum())
        writer.write(
            [part for (text, blanks, _), kept in zip(held, new.tolist(), strict=True) if kept
             for part in ([text] if text else []) + [b""] * blanks]
        )  # fmt: skip
        held.clear()

    size = 0
    for paragraph in _paragraphs(corpus.chunks()):
        held.append(paragraph)
        size += len(paragraph[0]) + 64
        if size > 1 << 20:
            settle()
            size = 0
    if held:
        settle()


def _pieces(text: bytes, unit: str) -> list[tuple[bytes, bytes]]:
    """The lines or paragraphs of a text, and what is behind each."""
    lines = text.split(b"\n")
    if unit == "line":
        return [(line, b"\n" if at < len(lines) - 1 else b"") for at, line in enumerate(lines)]
    found: list[tuple[bytes, bytes]] = []
    held: list[bytes] = []
    blanks = 0
    for line in lines:
        if line.strip() and blanks:
            found.append((b"\n".join(held), b"\n" * (blanks + 1 if held else blanks)))
            held, blanks = [], 0
        if line.strip():
            held.append(line)
        else:
            blanks += 1
    found.append((b"\n".join(held), b"\n" * blanks))
    return found


def _write_shortened(corpus: Corpus, seen: _Seen, writer: RecordWriter, counts: Counts, unit: str) -> None:
    """Write records without the lines or paragraphs that were there before; one that loses all of them is dropped."""
    name = corpus.source.field or FIELD
    for chunk in corpus.chunks():
        assert chunk.fields is not None
        pieces = [_pieces(text, unit) for text in chunk.texts]
        owners = [at for at, own in enumerate(pieces) for _ in own]
        new = seen.new(
            [piece for own in pieces for piece, _ in own], lambda at: chunk.place(owners[at]), keep_empty=True  # noqa: B023
        ).tolist()  # fmt: skip
        counts.read += len(new)
        counts.dropped += new.count(False)
        raws, begin = [], 0
        for at, own in enumerate(pieces):
            kept = new[begin : begin + len(own)]
            begin += len(own)
            if all(kept):
                raws.append(chunk.raws[at])
                continue
            text = b"".join(piece + behind for (piece, behind), keep in zip(own, kept, strict=True) if keep).strip(
                b"\n"
            )
            if text.strip():
                raws.append(with_text(chunk, at, name, text.decode()))
        writer.write(raws, chunk.header, chunk.name)
