"""`lmkit predict`: labels and numbers from fine-tuned models."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.adapted_models import open_adapted_model
from lmkit.commands.loading.encoders import fine_tuned_backend
from lmkit.commands.options.finetuning import Windows
from lmkit.commands.options.standard import Json, ModelOption, Output, Run, choice
from lmkit.commands.records.labelled import GOLD, LABEL, Items, LabelledText
from lmkit.commands.records.sentences import CONLL
from lmkit.commands.reports.labelled_images import label_images
from lmkit.commands.reports.tagged_sentences import tag_files
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.record_reader import FORMS
from lmkit.io.records import Table, cell, to_json
from lmkit.protocols import Classifier, Regressor, is_classifier, is_image_classifier, is_regressor, is_tagger

Answer = Mapping[str, Any]
Answers = Callable[[Sequence[LabelledText]], list[Answer]]


def predict(
    run: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", show_default=False,
            help="Texts: lines, TSV (a pair is text, tab, text) or JSON Lines; `-` or none: stdin.",
        ),
    ] = None,
    model: ModelOption = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            "--adapter", metavar="FILE", show_default=False,
            help="Adapter of `finetune --train lora`, which MODEL was the base of.",
        ),
    ] = None,
    scores: Annotated[
        bool, typer.Option("--scores", help="Print the probability of every label as well.")
    ] = False,
    form: Annotated[
        str,
        typer.Option(
            "--input", metavar="FORMAT", callback=choice("auto", *FORMS, CONLL),
            help="Input format: `text`, `tsv`, `csv`, `jsonl` or `parquet`, for taggers `conll` too, or `auto`, by the "
            "file name, else lines.",
        ),
    ] = "auto",
    shape: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="FORM", callback=choice("spans", "bio", "conll"),
            show_default="bio; conll for such files",
            help="Output of taggers: `spans` (records), `bio` (the labels of a line's words), or `conll` columns.",
        ),
    ] = None,
    windows: Windows = False,
    json: Json = False,
    bare: Annotated[bool, typer.Option("--bare", "-b", help="Print only labels or numbers, one per line.")] = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Predict labels or numbers with a fine-tuned model.

    One line in, one line out: the label, or the number of a regressor; with --scores a table of labels and
    probabilities. --json prints records of `line` or `id`, `label` and `scores`, or `value`.

    Records pass through: JSON Lines (`text`, and `pair` for the second text) come out with the prediction added;
    what they call `label` becomes `gold`, as `lmkit eval` reads it. A further column of TSV is `gold` too.

    A tagger gives each word, between white space, a label: --as `bio` prints the labels of a line, `conll` columns,
    `spans` or --json records of `tokens`, `labels` and `spans` with character offsets. A vision transformer labels
    the images of JSON Lines (`image`) or .npz.

    Examples:
      lmkit predict -m clf.lm < texts.txt
      lmkit predict -m clf.lm --scores texts.txt
      lmkit predict -m clf.lm < texts.txt | lmkit eval classify --gold gold.txt
      lmkit predict -m clf.lm dev.jsonl | lmkit eval classify
      lmkit predict -m ner.lm --as conll dev.conll | lmkit eval tag
    """
    if bare and scores:
        raise UsageError("--bare and --scores exclude each other")
    (name,), texts = opening.sources([model] if model is not None else [], files)
    opening.check_single_stdin(name, adapter, *texts)
    opened = opening.open_any(name) if adapter is None else open_adapted_model(name, adapter)
    if is_tagger(opened):
        if scores or bare:
            raise UsageError("--scores and --bare are not for taggers", hint="choose a form with --as")
        tag_files(run, fine_tuned_backend(run, opened, name), texts, form, "spans" if json else shape, output)
        return
    if shape is not None or form == CONLL:
        raise UsageError("--as and --input conll are for taggers")
    opened = _in_windows(opened) if windows else opened
    if is_image_classifier(opened):
        label_images(run, opened, name, texts, scores=scores, as_json=json, bare=bare, output=output)
        return
    numbers = scores or json or not is_classifier(opened)  # digits do not depend on which lines came together
    model_for = (lambda _: opened) if numbers else fine_tuned_backend(run, opened, name)
    _answers(opened, name, scores=scores)
    with (
        outputs.open_output(output, live=True) as out,
        run.terminal.progress("predictions", None, "items") as progress,
    ):
        write = _Writer(out, opened, scores=scores, as_json=json, bare=bare)
        for items in Items(run, opened.sides, form).groups(texts):
            size = sum(len(text) for item in items for text in item.texts)
            write.group(items, _answers(model_for(size), name, scores=scores)(items))
            progress.advance(len(items))
    _warn_cut(run, opened)


def _in_windows(model: object) -> Any:
    """The same model, which reads long texts in windows. Raises UsageError for one without a context."""
    from lmkit.inference.fine_tuned import FineTunedModel

    if not isinstance(model, FineTunedModel):
        raise UsageError("--windows is for fine-tuned transformers and encoders, other models read texts of any length")
    return model.in_windows()


def _warn_cut(run: Run, model: object) -> None:
    """Says how many texts were longer than the model's context."""
    from lmkit.inference.fine_tuned import FineTunedModel

    for limit, count in model.cut.items() if isinstance(model, FineTunedModel) else ():
        run.terminal.notice(f"{count} texts are longer than {limit} tokens, cut there; --windows reads all of them")


def _answers(model: object, name: str, *, scores: bool) -> Answers:
    """What predicts for items. Raises CheckpointError for a model without a head for it, UsageError without labels."""
    if is_classifier(model):
        return lambda items: list(_labels(model, items))
    if scores:
        raise UsageError("--scores needs a classifier: other models have no labels with probabilities")
    if is_regressor(model):
        return lambda items: _values(model, items)
    kind = getattr(model, "kind", "unknown")
    raise CheckpointError(
        f"{streams.display(name)}: of kind {kind}, no fine-tuned model", hint="make one with `lmkit finetune classify`"
    )


def _labels(model: Classifier, items: Sequence[LabelledText]) -> Iterator[Answer]:
    """A label for each item, of equal ones the first, and the probabilities of all."""
    if not items:
        return
    found = model.label_probabilities([item.texts for item in items])
    for row in found:
        yield {LABEL: model.labels[int(row.argmax())], "scores": dict(zip(model.labels, row.tolist(), strict=True))}


def _values(model: Regressor, items: Sequence[LabelledText]) -> list[Answer]:
    found = model.predicted_values([item.texts for item in items]).tolist() if items else []
    return [{"value": value} for value in found]


class _Writer:
    """Writes predictions: as records, as a table of probabilities, or one per line."""

    def __init__(self, out: outputs.Output, model: object, *, scores: bool, as_json: bool, bare: bool) -> None:
        self._out, self._json, self._bare, self._scores = out, as_json, bare, scores
        self._number = 0
        labels = list(model.labels) if scores and is_classifier(model) else []
        self._table = Table(out, [LABEL, *labels], as_json=False)

    def group(self, items: Sequence[LabelledText], answers: Sequence[Answer]) -> None:
        """Writes the answers to items that came together."""
        lines, rows = [], []
        for item, answer in zip(items, answers, strict=True):
            self._number += 1
            if not self._bare and (self._json or item.record is not None):
                lines.append(to_json(self._record(item, answer)))
            elif self._scores:
                rows.append({**answer["scores"], LABEL: answer[LABEL]})
            else:
                value = answer[LABEL] if LABEL in answer else answer["value"]
                lines.append(repr(value) if isinstance(value, float) else cell(value))
        if lines:
            self._out.line("\n".join(lines))
        self._table.rows(rows)

    def _record(self, item: LabelledText, answer: Answer) -> dict[str, Any]:
        record = dict(item.record or {})
        known_by = {"id": record.pop("id")} if record.get("id") is not None else {"line": self._number}
        gold = record.pop(LABEL, item.label)
        right = {} if gold is None or GOLD in record else {GOLD: gold}
        own = {**known_by, **answer} if self._json or self._scores else {**known_by, **_without(answer, "scores")}
        return {**own, **right, **{key: value for key, value in record.items() if key not in own}}


def _without(answer: Answer, name: str) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != name}
