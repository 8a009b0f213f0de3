"""The page of a report: figures and tables of collected runs, and how to repeat them."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from lmkit.commands.reports.collected_runs import Collection, TrainingLog, ends_of, flat
from lmkit.io.figures import charts, page
from lmkit.io.figures.charts import Axis, Bars, Figure, Line, Panel
from lmkit.io.figures.style import SOLID
from lmkit.io.figures.training_curve import training_curve

DRAWN = ("perplexity", "bits_per_byte", "accuracy", "macro_f1", "f1", "exact_match", "bleu", "pearson", "matthews")
"""Measures that get a figure, at most two for each command."""
HIDDEN = ("signature",)
MOST_BARS, MOST_TABLES, COLORED = 40, 4, 6


def run_page(title: str, found: Collection, inputs: Sequence[tuple[str, str]], words: str) -> bytes:
    """The page; `inputs` are names of files and their SHA-256, `words` the command line of the report itself."""
    sections = [*_training(found.logs)]
    for kind, entries in found.groups.items():
        sections.append(f"<section><h2>{page.text(kind)}</h2>{''.join(_group(kind, entries))}</section>")
    sections.append(_provenance(found, inputs, words))
    return page.page(title, sections, heading=True).encode(errors="replace")


def _training(logs: dict[str, TrainingLog]) -> Iterator[str]:
    """Curves of training runs, and where they ended."""
    logs = {name: log for name, log in logs.items() if log.steps or log.evaluations}
    if not logs:
        return
    parts = [page.figure_section(_curves(logs))]
    rows = [{"from": name, **log.last} for name, log in logs.items()]
    parts.append(_table(rows))
    yield f"<section><h2>training</h2>{''.join(parts)}</section>"


def _curves(logs: dict[str, TrainingLog]) -> Figure:
    """One run as its training curve; several as the losses that are compared, the best ones in colour."""
    if len(logs) == 1:
        ((name, log),) = logs.items()
        steps, nats, rates = ([entry[place] for entry in log.steps] for place in range(3))
        return training_curve(name, (steps, nats), _columns(log.evaluations), (steps, rates))
    validated = all(log.evaluations for log in logs.values())
    curves = {name: log.evaluations if validated else [entry[:2] for entry in log.steps] for name, log in logs.items()}
    curves = {name: curve for name, curve in curves.items() if curve}
    best = sorted(curves, key=lambda name: curves[name][-1][1])[:COLORED]
    lines = [Line("", *_columns(curve), faint=True, color=SOLID) for name, curve in curves.items() if name not in best]
    lines += [Line(name, *_columns(curves[name]), color=place) for place, name in enumerate(best)]
    what = "validation" if validated else "training"
    title = f"{len(logs)} runs" + (f", the best {len(best)} in colour" if len(curves) > len(best) else "")
    return Figure(title, (Panel(lines, Axis("step"), Axis(f"{what} loss, nats a token")),))


def _columns(pairs: Sequence[tuple[int, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in pairs], [y for _, y in pairs]


def _group(kind: str, entries: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """Figures and the table of one command's records."""
    measures = [key for key in DRAWN if sum(_is_number(record.get(key)) for _, record in entries) > 1][:2]
    for measure in measures if len(entries) <= MOST_BARS else ():
        yield page.figure_section(_bars(kind, measure, entries))
    for name, record in list(entries)[:MOST_TABLES]:
        yield from map(page.figure_section, _details(name, record))
    yield _table([{"from": name, **flat(record)} for name, record in entries])


def _bars(kind: str, measure: str, entries: Sequence[tuple[str, dict[str, Any]]]) -> Figure:
    """A bar for each record, with its interval."""
    shown = [(name, record) for name, record in entries if _is_number(record.get(measure))]
    values = [float(record[measure]) for _, record in shown]
    ends = [
        ends_of(record.get("intervals"), measure) or (value, value)
        for (_, record), value in zip(shown, values, strict=True)
    ]
    known = any(low < high for low, high in ends)
    low, high = ([end[side] for end in ends] if known else [] for side in (0, 1))
    names = [_label(name, record, shown) for name, record in shown]
    return charts.bars(f"{kind}: {measure}", names, [Bars("", values, low, high)], y=measure, flat=True)


def _label(name: str, record: dict[str, Any], shown: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """What tells a record from the others: its file, and its model or text where files repeat."""
    if sum(other == name for other, _ in shown) == 1:
        return name
    more = [str(record[key]) for key in ("model", "file", "id", "name") if isinstance(record.get(key), str)]
    return " ".join([name, *more])


def _details(name: str, record: dict[str, Any]) -> Iterator[Figure]:
    """A confusion matrix and a reliability diagram, where a record has what they need."""
    confusion = record.get("confusion")
    if isinstance(confusion, dict) and _is_table(confusion.get("table"), confusion.get("labels")):
        labels = list(map(str, confusion["labels"]))
        yield charts.matrix(f"{name}: confusion", labels, labels, confusion["table"], x="predicted", y="gold", digits=0)
    bins = record.get("reliability")
    if isinstance(bins, list) and bins and all(_is_bin(one) for one in bins):
        columns = ([one[key] for one in bins] for key in ("confidence", "accuracy", "items"))
        yield charts.reliability(f"{name}: calibration", *columns)


def _is_table(table: object, labels: object) -> bool:
    if not isinstance(table, list) or not isinstance(labels, list) or not labels or len(table) != len(labels):
        return False
    return all(isinstance(row, list) and len(row) == len(labels) and all(map(_is_number, row)) for row in table)


def _is_bin(one: object) -> bool:
    return isinstance(one, dict) and all(_is_number(one.get(key)) for key in ("confidence", "accuracy", "items"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """A table with a column for each key that any row has."""
    header = list(dict.fromkeys(key for row in rows for key in row if key not in HIDDEN))
    return page.table(header, ([_cell(row.get(key)) for key in header] for row in rows))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _provenance(found: Collection, inputs: Sequence[tuple[str, str]], words: str) -> str:
    """Commands to repeat, signatures, and the files that were read."""
    parts = ["<section><h2>How to repeat it</h2>"]
    if found.commands:
        parts.append(f"<pre>{page.text(chr(10).join(found.commands))}</pre>")
    parts.append(f"<p>This page:</p><pre>{page.text(words)}</pre>")
    if found.signatures:
        listed = "".join(f"<li><code>{page.text(one)}</code></li>" for one in found.signatures)
        parts.append(f"<details><summary>Signatures: {len(found.signatures)}</summary><ul>{listed}</ul></details>")
    files = page.table(("file", "SHA-256"), inputs)
    parts.append(f"<details><summary>Files: {len(inputs)}</summary>{files}</details></section>")
    return "".join(parts)
