"""Near duplicates for `lmkit data dedup`: records wait in a temporary file until all clusters are known."""

from dataclasses import dataclass
from itertools import compress
from typing import Any

from lmkit.commands.data.exact_dedup import Counts
from lmkit.commands.options.engine import in_tasks
from lmkit.commands.records.corpora import Chunk, Corpus, CorpusInput, RecordWriter, quiet_run
from lmkit.errors import DataError
from lmkit.io import outputs


@dataclass(frozen=True)
class Settings:
    """What is a near duplicate, and which one of a cluster is kept."""

    threshold: float
    shingle: int
    best: str | None
    temp_dir: str | None
    reported: bool
    engine: str | None = None
    scheduler: str | None = None


def write(
    stored: CorpusInput, corpus: Corpus, against: Corpus | None, out: outputs.Output, settings: Settings
) -> tuple[Counts, list[dict[str, Any]]]:
    """Write one record of each cluster; return the counts and the rows of a report."""
    import numpy as np

    from lmkit.data.near_duplicates import ShingleSets, components
    from lmkit.io.spool import Spool
    from lmkit.io.temp_storage import Disk

    disk = Disk(settings.temp_dir)
    sets = ShingleSets(settings.threshold, settings.shingle, disk)
    places = Spool(disk)
    for chunk in against.chunks() if against is not None else ():
        _add(chunk, sets, places)
    before = sets.added
    spool, qualities, header = Spool(disk), [np.full(before, np.inf)], None
    if settings.engine is not None:
        pieces = [(stored, file, settings.threshold, settings.shingle) for file in corpus.files]
        for parts in in_tasks(sets_of_file, pieces, settings.scheduler):
            sets.extend(*parts)
    for chunk in corpus.chunks():
        _add(chunk, None if settings.engine is not None else sets, places)
        spool.add(chunk.raws)
        header = header or chunk.header
        if settings.best is not None:
            qualities.append(_qualities(chunk, settings.best))
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


def sets_of_file(piece: tuple[CorpusInput, str, float, int]) -> Any:
    """The shingles of the records of a file and the keys of their bands: the task that an engine places."""
    from lmkit.array_storage import Memory
    from lmkit.data.near_duplicates import ShingleSets

    stored, file, threshold, shingle = piece
    sets = ShingleSets(threshold, shingle, Memory())
    for chunk in Corpus(quiet_run("data dedup"), stored, [file]).chunks():
        sets.add([text.decode() for text in chunk.texts])
    sets.finish()
    return sets.parts()


def _add(chunk: Chunk, sets: Any, places: Any) -> None:
    """Keep the place of each record, and its shingles unless tasks had them."""
    if sets is not None:
        sets.add([text.decode() for text in chunk.texts])
    places.add([chunk.place(at).encode(errors="surrogateescape") for at in range(len(chunk.texts))])


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
