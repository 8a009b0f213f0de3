"""Predictions of taggers: labels of lines, CoNLL columns, or records with spans."""

from collections.abc import Callable, Sequence
from typing import Any

from lmkit.commands.options.standard import Run
from lmkit.commands.records.sentences import Sentence, sentence_groups
from lmkit.io import outputs
from lmkit.io.records import to_json
from lmkit.protocols import Tagger


def tag_files(
    run: Run, model_for: Callable[[int], Tagger], files: Sequence[str], form: str, shape: str | None, output: str | None
) -> None:  # fmt: skip
    """Tag the sentences of files; `shape` is `spans`, `bio` or `conll`, None: as the sentences came.

    `model_for` gives the model for so many characters more.
    """
    with (
        outputs.open_output(output, live=True) as out,
        run.terminal.progress("predictions", None, "sentences") as progress,
    ):
        number = 0
        for group in sentence_groups(run, files, form):
            lines = []
            model = model_for(sum(len(one.text) for one in group))
            for sentence, labels in zip(group, model.word_labels([one.words for one in group]), strict=True):
                number += 1
                lines.append(_shown(sentence, labels, number, shape))
            if lines:
                out.line("\n".join(lines))
            progress.advance(len(group))


def _shown(sentence: Sentence, labels: Sequence[str], number: int, shape: str | None) -> str:
    if shape is None:
        shape = "conll" if sentence.rows else "bio" if sentence.record is None else "spans"
    if shape == "spans":
        return to_json(_record(sentence, labels, number))
    if shape == "bio":
        return " ".join(labels)
    rows = sentence.rows or [(word,) for word in sentence.words]
    return "".join("\t".join((*row, label)) + "\n" for row, label in zip(rows, labels, strict=True))


def _record(sentence: Sentence, labels: Sequence[str], number: int) -> dict[str, Any]:
    record = dict(sentence.record or {})
    known_by = {"id": record.pop("id")} if record.get("id") is not None else {"line": number}
    gold = record.pop("labels", [row[-1] for row in sentence.rows if len(row) > 1] or None)
    right = {} if gold is None or "gold" in record else {"gold": gold}
    own = {**known_by, "tokens": list(sentence.words), "labels": list(labels), "spans": spans_of(sentence, labels)}
    return {**own, **right, **{key: value for key, value in record.items() if key not in own}}


def spans_of(sentence: Sentence, labels: Sequence[str]) -> list[dict[str, Any]]:
    """The spans of labels, as character offsets; none where the labels are of no scheme."""
    from lmkit.metrics import span_extraction

    if not span_extraction.is_scheme(labels):
        return []
    found = []
    for kind, first, last in span_extraction.lenient_spans(labels, span_extraction.BIOES):
        start, end = sentence.starts[first], sentence.starts[last - 1] + len(sentence.words[last - 1])
        found.append({"type": kind, "start": start, "end": end, "text": sentence.text[start:end]})
    return found
