"""Near duplicates for `lmkit data dedup`: records wait in a temporary file until all clusters are known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

from lmkit.commands.data.exact_dedup import Counts
from lmkit.commands.options.standard import Run
from lmkit.commands.records.corpora import Chunk, Corpus, CorpusInput, RecordWriter, quiet_run, tell_skipped_in
from lmkit.errors import DataError
from lmkit.io import outputs

if TYPE_CHECKING:
    from lmkit.data.near_duplicates import ShingleSets


@dataclass(frozen=True)
class Settings:
    """What is a near duplicate, and which one of a cluster is kept."""

    threshold: float
    shingle: int
    best: str | None
    temp_dir: str | None
    reported: bool

    @property
    def fields(self) -> list[str]:
        """The fields that a record must have."""
        return [] if self.best is None else [self.best]


class Found(NamedTuple):
    """What is known of the records of a chunk, but their shingles."""

    raws: Sequence[bytes]
    places: list[bytes]
    """Where each is, where that is reported."""
    qualities: Any
    header: bytes | None


Done = tuple[tuple[Any, ...], list[Found], tuple[int, str]]
"""The shingles of the records of a file, what else is known of them, and the records that were skipped."""


def write(
    run: Run, corpus: Corpus, against: Corpus | None, out: outputs.Output, settings: Settings,
    parts: Iterator[Done] | None = None,
) -> tuple[Counts, list[dict[str, Any]]]:  # fmt: skip
    """Write one record of each cluster; return the counts and the rows of a report.

    `parts`: what tasks found in each file.
    """
    import numpy as np

    from lmkit.data.near_duplicates import ShingleSets, components
    from lmkit.io.spool import Spool
    from lmkit.io.temp_storage import Disk

    disk = Disk(settings.temp_dir)
    sets = ShingleSets(settings.threshold, settings.shingle, disk)
    places, spool = Spool(disk), Spool(disk)
    for found in _found(against, sets, replace(settings, best=None)) if against is not None else ():
        places.add(found.places)
    before = sets.added
    qualities, header = [np.full(before, np.inf)], None
    for found in _found(corpus, sets, settings) if parts is None else _joined(run, parts, sets):
        places.add(found.places)
        spool.add(found.raws)
        qualities.append(found.qualities)
        header = header or found.header
    sets.finish()
    roots = components(sets)
    kept = _kept(roots, np.concatenate(qualities) if settings.best is not None else None, before)
    writer, at = RecordWriter(out), before
    keep = kept == np.arange(len(kept))
    for raws in spool.chunks():
        writer.write(list(compress(raws, keep[at : at + len(raws)].tolist())), header)
        at += len(raws)
    counts = Counts(len(keep) - before, int(np.count_nonzero(~keep[before:])))
    return counts, _rows(sets, roots, kept, places) if settings.reported else []


def found_in_file(piece: tuple[CorpusInput, str, Settings]) -> Done:
    """What is found in one file: the task that an engine places."""
    from lmkit.array_storage import Memory
    from lmkit.data.near_duplicates import ShingleSets

    stored, file, settings = piece
    sets = ShingleSets(settings.threshold, settings.shingle, Memory())
    corpus = Corpus(quiet_run("data dedup"), stored, [file], fields=settings.fields)
    found = list(_found(corpus, sets, settings))
    sets.finish()
    return sets.parts(), found, corpus.skips


def _found(corpus: Corpus, sets: "ShingleSets", settings: Settings) -> Iterator[Found]:
    """Add the shingles of all records; yield the rest."""
    for chunk in corpus.chunks():
        sets.add([text.decode() for text in chunk.texts])
        places = [chunk.place(at) for at in range(len(chunk.texts))] if settings.reported else []
        qualities = _qualities(chunk, settings.best) if settings.best is not None else None
        yield Found(chunk.raws, [place.encode(errors="surrogateescape") for place in places], qualities, chunk.header)


def _joined(run: Run, done: Iterator[Done], sets: "ShingleSets") -> Iterator[Found]:
    """What tasks found, in order."""
    skips = []
    for own, found, skipped in done:
        sets.extend(*own)
        yield from found
        skips.append(skipped)
    tell_skipped_in(run, skips)


def _qualities(chunk: Chunk, field: str) -> Any:
    """The number in a field of each record. Raises DataError where there is no number."""
    import numpy as np

    def number(at: int) -> float:
        value = (chunk.fields or ())[at][field]
        try:
            found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else np.nan
        except (ValueError, OverflowError):
            found = np.nan
        if np.isnan(found):
            raise DataError(f"{chunk.place(at)}: the field {field!r} is not a number")
        return found

    return np.array([number(at) for at in range(len(chunk.texts))])


def _kept(roots: Any, qualities: Any, before: int) -> Any:
    """The record that is kept for each one: its cluster's first, or its best; those of --against before all others.

    A record of --against is kept for itself, whatever is connected to it.
    """
    import numpy as np

    kept = roots.copy()
    if qualities is not None:
        order = np.lexsort((np.arange(len(roots)), -qualities, roots))
        first = np.concatenate(([True], roots[order][1:] != roots[order][:-1]))[: len(order)]
        best = np.empty(len(roots), np.int64)
        best[roots[order[first]]] = order[first]
        kept = best[roots]
    kept[:before] = np.arange(before)
    return kept


def _rows(sets: Any, roots: Any, kept: Any, places: Any) -> list[dict[str, Any]]:
    """The rows of a report: a record that is dropped, the one that is kept, their similarity."""
    import numpy as np

    dropped = np.flatnonzero(kept != np.arange(len(kept)))
    needed = set(dropped.tolist()) | set(kept[dropped].tolist())
    names, at = dict[int, str](), 0
    for chunk in places.chunks():
        names.update(
            {at + n: place.decode(errors="surrogateescape") for n, place in enumerate(chunk) if at + n in needed}
        )
        at += len(chunk)
    sizes = np.bincount(roots, minlength=len(roots))
    numbers = {root: number for number, root in enumerate(np.unique(roots[dropped]).tolist(), 1)}
    ordered = dropped[np.argsort(roots[dropped], kind="stable")].tolist()
    return [
        {"cluster": numbers[int(roots[one])], "size": int(sizes[roots[one]]), "kept": names[int(kept[one])],
         "dropped": names[one], "jaccard": sets.similarity(one, int(kept[one]))}
        for one in ordered
    ]  # fmt: skip
