"""Labels that a vision transformer gives images, as records, a table of probabilities, or one per line."""

from collections.abc import Iterator, Sequence
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.commands.records import image_records
from lmkit.commands.records.image_records import LABEL, ImageRecord
from lmkit.commands.records.labelled import GOLD
from lmkit.errors import DataError
from lmkit.io import outputs
from lmkit.io.records import Table, to_json
from lmkit.protocols import ImageClassifier


def label_images(
    run: Run, model: ImageClassifier, name: str, files: Sequence[str], *, scores: bool, as_json: bool, bare: bool,
    output: str | None,
) -> None:  # fmt: skip
    """Write the label of each image of files; records get `label` and `scores`, and their own label is `gold`."""
    with opening.error_context(name):
        names = list(model.labels)
    with (
        outputs.open_output(output, live=True) as out,
        run.terminal.progress("predictions", None, "images") as progress,
    ):
        table = Table(out, [LABEL, *names], as_json=False) if scores and not as_json else None
        for number, record in enumerate(_single(run, files), 1):
            found = model.image_probabilities(record.images)[0]
            label = names[int(found.argmax())]
            values = dict(zip(names, found.tolist(), strict=True))
            if table is not None:
                table.rows([{LABEL: label, **values}])
            elif bare or (not as_json and LABEL not in record.fields):
                out.line(label)
            else:
                out.line(to_json(_record(record, number, label, values if as_json else None)))
            progress.advance(1)


def _single(run: Run, files: Sequence[str]) -> Iterator[ImageRecord]:
    for file in files:
        for record in image_records.read(run, file):
            if len(record.images) != 1:
                raise DataError(f"{record.place}: {len(record.images)} images, expected one to label")
            yield record


def _record(record: ImageRecord, number: int, label: str, scores: dict[str, float] | None) -> dict[str, Any]:
    fields = dict(record.fields)
    known_by = {"id": fields.pop("id")} if fields.get("id") is not None else {"line": number}
    gold = fields.pop(LABEL, None)
    own = {**known_by, LABEL: label, **({} if scores is None else {"scores": scores})}
    right = {} if gold is None or GOLD in fields else {GOLD: gold}
    return {**own, **right, **{key: value for key, value in fields.items() if key not in own}}
