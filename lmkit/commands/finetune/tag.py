"""`lmkit finetune tag`: a tagger of words, such as named entities."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import typer

from lmkit.commands.finetune.linear_run import train_linear
from lmkit.commands.finetune.neural_run import Labelled, Task, check_group, fine_tune
from lmkit.commands.loading import models as opening
from lmkit.commands.options.finetuning import TAG_METRICS, Examples, sections, select_by
from lmkit.commands.options.neural_finetuning import NAMES, Base, NeuralFinetuning
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import UNRECORDED, Run, choice
from lmkit.commands.records.tagged import TaggedSentence, described, read_sentences
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams

SelectBy = select_by(*TAG_METRICS)


LINEAR = ("min_count", "l2")
"""The options of the linear tagger."""


@in_sections(sections("scheme", "crf", linear=LINEAR))
@with_groups()
def tag(
    run: Run,
    file: Annotated[
        str,
        typer.Argument(
            metavar="[FILE]", show_default=False,
            help="Sentences: CoNLL columns (first the token, last the label) between blank lines, or JSON Lines of "
            "`tokens` and `labels`; `-` or none: stdin.",
        ),
        UNRECORDED,
    ] = streams.STDIN,
    model: Base = None,
    *,
    examples: Examples,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme", metavar="NAME", callback=choice("keep", "bio", "bioes"),
            help="Labelling scheme to train with: `keep` that of the file, or convert its spans to `bio` or `bioes`.",
        ),
    ] = "keep",
    crf: Annotated[
        bool,
        typer.Option(
            "--crf", help="Conditional random field on the head: scores of label after label, labels by exact Viterbi."
        ),
    ] = False,
    select_by: SelectBy = "f1",  # type: ignore[valid-type]
    min_count: Annotated[
        int,
        typer.Option(
            "--min-count", metavar="N", min=1, help="Drop features of a linear tagger that fewer than N words have."
        ),
    ] = 2,
    l2: Annotated[
        float,
        typer.Option(
            "--l2", metavar="L", min=1e-9, max=1e9,
            help="L2 regularisation strength of a linear tagger: L/2 times the squared weights (crfsuite's 2 c2).",
        ),
    ] = 0.1,
    neural: NeuralFinetuning,
) -> None:  # fmt: skip
    """Train a tagger on sentences whose words have labels.

    Without -m it is a conditional random field over hashed features of each word and its neighbours (spelling,
    affixes, shape), trained by 100 steps of L-BFGS as in crfsuite: the baseline of neural taggers.

    With -m, a head on the model's states gives each word a label: from its first piece where the model reads both
    ways (encoders), from its last piece where it reads from left to right. With --valid, `f1` is that of spans as in
    `lmkit eval tag`, and the weights of the best epoch by --select-by are kept. Labels of no scheme, such as parts
    of speech, have an accuracy only. Sentences beyond the context are read in overlapping windows.

    Examples:
      lmkit finetune tag train.conll --valid dev.conll -o crf.lm
      lmkit finetune tag -m enc.lm train.conll --valid dev.conll -o ner.lm
      lmkit finetune tag -m bert-folder/ train.conll --valid dev.conll --train lora --rank 8 -o ner.lm
      lmkit predict -m ner.lm --as conll dev.conll | lmkit eval tag
    """
    check_group(run, model, LINEAR, (*NAMES, "crf"), "the linear tagger")
    opening.check_single_stdin(file, examples.valid)
    outputs.expect_output(examples.output, binary=True)
    if crf and neural.label_smoothing:
        raise UsageError("--crf and --label-smoothing exclude each other")
    data = read_tagged(run, file, examples.valid, scheme)
    task = Task("tag", data.names, 1, measure_of(run, str(select_by), data.names), crf=crf)
    if model is None:
        train_linear(run, examples, task, data.found, data.held_out, data.inputs, l2=l2, min_count=min_count)
        return
    fine_tune(run, model, examples, neural, task, data.found, data.held_out, data.inputs)


class TaggedData(NamedTuple):
    """Sentences to train on and to validate on, the labels, and what an origin says of both."""

    found: Labelled
    held_out: Labelled | None
    names: tuple[str, ...]
    inputs: list[dict[str, Any]]


def read_tagged(run: Run, file: str, valid: str | None, scheme: str) -> TaggedData:
    """Read sentences, labels in a scheme. Raises DataError for what makes no tagger."""
    found = read_sentences(run, file)
    held_out = None if valid is None else read_sentences(run, valid)
    labels = _converted(found, scheme)
    others = None if held_out is None else _converted(held_out, scheme)
    names = tuple(sorted({label for own in labels for label in own}))
    if len(names) < 2:
        raise DataError(f"{streams.display(file)}: all labels are {names[0]!r}, expected two or more different ones")
    if held_out is not None and others is not None:
        _warn_unseen(run, others, names)
    right = None if held_out is None or others is None else _labelled(held_out, others, names)
    inputs = [described(one) for one in (found, held_out) if one is not None]
    return TaggedData(_labelled(found, labels, names), right, names, inputs)


def _converted(found: Sequence[TaggedSentence], scheme: str) -> list[tuple[str, ...]]:
    """The labels of sentences in a scheme. Raises DataError, with the place, for labels of none."""
    from lmkit.metrics import span_extraction

    if scheme == "keep":
        return [sentence.labels for sentence in found]
    made = []
    own = span_extraction.scheme_of([sentence.labels for sentence in found])
    for sentence in found:
        with opening.error_context(sentence.place):
            spans = span_extraction.lenient_spans(sentence.labels, own)
        made.append(tuple(span_extraction.labels_of(spans, len(sentence.labels), scheme)))
    return made


def _labelled(found: Sequence[TaggedSentence], labels: Sequence[Sequence[str]], names: Sequence[str]) -> Labelled:
    numbers = {name: number for number, name in enumerate(names)}
    targets = [[numbers.get(label, -1) for label in own] for own in labels]
    return Labelled([sentence.tokens for sentence in found], targets, labels)


def measure_of(run: Run, select_by: str, names: Sequence[str]) -> str:
    """The measure of the best weights: accuracy in place of F1 where labels are of no scheme."""
    from lmkit.metrics import span_extraction

    if select_by != "f1" or span_extraction.is_scheme(names):
        return select_by
    run.terminal.notice("the labels belong to no scheme of spans: measuring accuracy instead of F1")
    return "accuracy"


def _warn_unseen(run: Run, labels: Sequence[Sequence[str]], names: Sequence[str]) -> None:
    unseen = Counter(label for own in labels for label in own if label not in set(names))
    if unseen:
        run.terminal.notice(
            f"{sum(unseen.values())} validation labels are of kinds that training lacks, such as "
            f"{unseen.most_common(1)[0][0]!r}; they count as wrong"
        )
