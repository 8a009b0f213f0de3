"""Substring duplicates for `lmkit data dedup`: stretches of words that occurred before are cut out of the records."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lmkit.commands.data.exact_dedup import Counts
from lmkit.commands.records.corpora import Chunk, Corpus, CorpusInput, RecordWriter, number_of, quiet_run, with_text
from lmkit.io import outputs
from lmkit.io.text_sources import FIELD

if TYPE_CHECKING:
    from lmkit.data.repeated_substrings import Repeat, SubstringIndex


@dataclass(frozen=True)
class Settings:
    """What a substring duplicate is, and where work is done."""

    least_words: int
    temp_dir: str | None
    reported: bool


@dataclass
class CutCounts(Counts):
    """The same, with the stretches that were cut out and their words."""

    spans: int = 0
    words: int = 0


def write(
    corpus: Corpus,
    against: Corpus | None,
    out: outputs.Output,
    settings: Settings,
    parts: Iterator[Any] | None = None,
) -> tuple[Counts, list[dict[str, Any]], str]:
    """Write the records without what occurred before; return the counts, the rows of a report, and what was cut out.

    `parts`: the n-grams of the records of each file, where tasks found them.
    """
    from lmkit.data.repeated_substrings import SubstringIndex
    from lmkit.io.spool import Spool
    from lmkit.io.temp_storage import Disk

    disk = Disk(settings.temp_dir)
    index, places, raws = SubstringIndex(settings.least_words, disk), Spool(disk), Spool(disk)
    before = 0
    for chunk in against.chunks() if against is not None else ():
        index.add(chunk.texts)
        before += len(chunk.texts)
        if settings.reported:
            _keep_places(chunk, places)
    forms = list[Chunk]()
    for chunk in corpus.chunks():
        (index.add if parts is None else index.add_texts)(chunk.texts)
        raws.add(chunk.raws)
        forms.append(
            replace(chunk, raws=(), texts=(), fields=None if chunk.fields is None else (), places=0, block=None)
        )
        if settings.reported:
            _keep_places(chunk, places)
    for part in parts or ():
        index.add_grams(*part)
    index.finish()
    counts, found = CutCounts(), list["Repeat"]()
    writer, name = RecordWriter(out), corpus.source.field or FIELD
    for form, lines in zip(forms, raws.chunks(), strict=True):
        chunk = replace(form, raws=lines)
        own = list(_repeats(index, before + counts.read, len(lines), counts))
        kept = list(_without(chunk, own, before + counts.read, name))
        counts.read += len(lines)
        counts.dropped += len(lines) - len(kept)
        writer.write(kept, chunk.header, chunk.name)
        found += own if settings.reported else ()
    cut = f", {number_of(counts.spans, 'span')} of {number_of(counts.words, 'word')} cut out"
    return counts, _rows(found, places), cut


def grams_of_file(piece: tuple[CorpusInput, str, int]) -> Any:
    """The n-grams of the records of a file: the task that an engine places."""
    import numpy as np

    from lmkit.data.repeated_substrings import grams_of

    stored, file, n = piece
    sizes, keys, places, words = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], 0
    for chunk in Corpus(quiet_run("data dedup"), stored, [file]).chunks():
        own_sizes, own_keys, own_places = grams_of(chunk.texts, n)
        sizes.append(own_sizes)
        keys.append(own_keys)
        places.append(own_places + words)
        words += int(own_sizes.sum())
    return np.concatenate(sizes), np.concatenate(keys), np.concatenate(places)


def _keep_places(chunk: Chunk, places: Any) -> None:
    places.add([chunk.place(at).encode(errors="surrogateescape") for at in range(len(chunk.texts))])


def _repeats(index: "SubstringIndex", first: int, size: int, counts: CutCounts) -> Iterator["Repeat"]:
    for repeat in index.repeats(first, first + size):
        counts.spans += 1
        counts.words += repeat.words
        yield repeat


def _without(chunk: Chunk, repeats: Sequence["Repeat"], first: int, name: str) -> Iterator[bytes]:
    """Yield the records of a chunk without some stretches; those of which nothing is left are left out."""
    from lmkit.data.repeated_substrings import without

    cuts = dict[int, list[tuple[int, int]]]()
    for repeat in repeats:
        cuts.setdefault(repeat.text - first, []).append(repeat.cut)
    for at, raw in enumerate(chunk.raws):
        if at not in cuts:
            yield raw
            continue
        fields = _fields(raw, chunk)
        text = without(raw.decode() if fields is None else fields[name], cuts[at])
        if text:
            yield with_text(replace(chunk, fields=None if fields is None else [fields]), 0, name, text)


def _fields(raw: bytes, chunk: Chunk) -> dict[str, Any] | None:
    """The fields of a record that was kept as it goes out; None: a line of plain text."""
    if chunk.fields is None:
        return None
    if chunk.header is not None:
        return dict(zip(chunk.header.decode().split("\t"), raw.decode().split("\t"), strict=True))
    found: dict[str, Any] = json.loads(raw)
    return found


def _rows(repeats: Sequence["Repeat"], places: Any) -> list[dict[str, Any]]:
    """The rows of a report: each stretch that was cut out, and its first occurrence, which makes a cluster."""
    needed = {repeat.text for repeat in repeats} | {repeat.first for repeat in repeats}
    names, at = dict[int, str](), 0
    for chunk in places.chunks() if needed else ():
        names.update(
            {at + n: place.decode(errors="surrogateescape") for n, place in enumerate(chunk) if at + n in needed}
        )
        at += len(chunk)
    numbers, sizes = dict[tuple[Any, ...], int](), dict[tuple[Any, ...], int]()
    for repeat in repeats:
        key = (repeat.first, repeat.first_span)
        numbers.setdefault(key, len(numbers) + 1)
        sizes[key] = sizes.get(key, 1) + 1
    return [
        {"cluster": numbers[key], "size": sizes[key], "kept": names[repeat.first], "kept_span": list(repeat.first_span),
         "dropped": names[repeat.text], "span": list(repeat.span), "words": repeat.words}
        for repeat in repeats
        for key in [(repeat.first, repeat.first_span)]
    ]  # fmt: skip
