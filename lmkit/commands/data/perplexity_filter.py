"""`lmkit data filter --ppl`: records between two percentiles of perplexity under a model, as in CCNet."""

import math
from collections.abc import Iterator
from typing import Any

from lmkit.commands.data.record_filter import Counts, Judged
from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.data.filter_rules import Failure
from lmkit.errors import UsageError

RULE = "perplexity"


def percentiles(text: str) -> tuple[float, float]:
    """The two percentiles of --keep. Raises UsageError."""
    low, dash, high = text.partition("-")
    try:
        found = float(low), float(high)
    except ValueError:
        found = math.nan, math.nan
    if not dash or not 0 <= found[0] < found[1] <= 100:
        raise UsageError(f"--keep {text!r} is not two percentiles", hint="--keep 30-70")
    return found


def judged(
    run: Run, chunks: Iterator[Judged], model: str, keep: str, temp_dir: str | None, counts: Counts
) -> Iterator[Judged]:
    """The records once the perplexity of each is known; until then they wait in a temporary file."""
    import numpy as np

    from lmkit.io.records import from_json, to_json
    from lmkit.io.spool import Spool
    from lmkit.io.temp_storage import Disk

    low, high = percentiles(keep)
    opening.use_threads(None, model)
    opened = opening.open_language_model(model)
    opening.tell_not_probabilities(run, model, opened)
    spool, values, waiting = Spool(Disk(temp_dir)), list[float](), list[tuple[str, bytes | None, int]]()
    for chunk in chunks:
        for text, failure in zip(chunk.texts, chunk.failures, strict=True):
            values.append(_perplexity(opened, text) if failure is None else math.nan)
        lines = list[bytes]()
        for raw, fields, failure in zip(chunk.raws, chunk.fields, chunk.failures, strict=True):
            lines += [raw, to_json({"f": fields, "w": None if failure is None else _pair(failure)}).encode()]
        spool.add(lines)
        waiting.append((chunk.name, chunk.header, len(chunk.raws)))
    scores = np.array(values)
    ranked = np.sort(scores[~np.isnan(scores)])
    least, most = _bounds(ranked, low, high)
    at = 0
    for (name, header, size), lines in zip([one for one in waiting if one[2]], spool.chunks(), strict=True):
        own = scores[at : at + size]
        at += size
        records = [from_json(line, "a temporary file", constants=True) for line in lines[1::2]]
        failures: list[Failure | None] = [None if one["w"] is None else Failure(*one["w"]) for one in records]
        for place, value in enumerate(own.tolist()):
            if failures[place] is None and not least <= value <= most:
                failures[place] = Failure(RULE, value)
                counts.kept -= 1
                counts.dropped[RULE] = counts.dropped.get(RULE, 0) + 1
        yield Judged(name, header, lines[::2], [], [one["f"] for one in records], failures)


def _pair(failure: Failure) -> tuple[str, float]:
    return failure.rule, failure.value


def _bounds(ranked: Any, low: float, high: float) -> tuple[float, float]:
    """The perplexities between which records are kept: of N in order those from floor(N low) to ceil(N high)."""
    if not len(ranked):
        return -math.inf, math.inf
    first = min(len(ranked) - 1, math.floor(len(ranked) * low / 100))
    last = max(0, math.ceil(len(ranked) * high / 100) - 1)
    return float(ranked[first]), float(ranked[last])


def _perplexity(model: Any, text: str) -> float:
    """The perplexity of a record, with the ends of its lines; infinite where it has no tokens."""
    from lmkit.evaluation.perplexity import evaluate_all

    (totals,) = evaluate_all([model], [text.encode() + b"\n"])
    return totals.perplexity if totals.tokens else math.inf
