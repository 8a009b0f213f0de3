"""`lmkit eval tag`: predicted labels of tokens against gold labels."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.options.evaluation import ComparisonOptions, Predictions
from lmkit.commands.options.option_groups import Before, with_groups
from lmkit.commands.options.standard import Run, choice
from lmkit.commands.records.tagged import TaggedSentence, read_sentences
from lmkit.commands.reports import metrics
from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.io.records import write_rows

NONE = "none"
"""The scheme of labels that make no spans."""


@with_groups()
def tag(
    run: Run,
    file: Predictions = streams.STDIN,
    *,
    gold: Annotated[
        str | None,
        typer.Option(
            "--gold", metavar="FILE", show_default="the column before the last, or `gold` of each record",
            help="Gold labels: CoNLL columns or JSON Lines, the same sentences in the same order.",
        ),
    ] = None,
    options: ComparisonOptions,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme", metavar="NAME", callback=choice("auto", "bio", "bioes", NONE),
            help="Labelling scheme: `bio`, `bioes`, `none` (accuracy alone), or `auto`, `bioes` where gold labels "
            "begin with E- or S-.",
        ),
        Before("resamples"),
    ] = "auto",
    lenient: Annotated[
        bool,
        typer.Option("--lenient", help="Find spans as conlleval does, also where labels break the scheme."),
        Before("resamples"),
    ] = False,
    types: Annotated[
        bool,
        typer.Option("--types", help="Print precision, recall and F1 of each type."),
        Before("resamples"),
    ] = False,
) -> None:  # fmt: skip
    """Score predicted labels of tokens against gold labels.

    Precision, recall and F1 are of spans: one is right if its type and both ends are. `accuracy` is that of tokens.
    Spans must keep to the scheme, as in seqeval's strict mode: B-X I-X ..., with BIOES S-X or B-X ... E-X. 0 / 0
    counts as 0. -b prints `f1`. Labels without spans, such as parts of speech, are --scheme none: accuracy alone.

    Sentences are CoNLL columns (first the token, last the label) between blank lines, or records of `tokens` and
    `labels`. Without --gold the column before the last has the gold labels, as in conlleval's input. Intervals are
    bootstrap percentiles over sentences; --against is as in `lmkit eval classify`, and `sign_test` of --json is
    McNemar's exact test of sentences that only one system labels all right.

    Examples:
      lmkit eval tag --gold dev.conll predicted.conll
      lmkit eval tag --types --gold dev.conll predicted.conll
      lmkit eval tag --json < both.conll
    """
    from lmkit.metrics import span_extraction, tagging

    if scheme == NONE and (types or lenient):
        raise UsageError("--scheme none has no spans: leave out --types and --lenient")
    if options.bare and types:
        raise UsageError("--bare cannot be combined with --types, which prints a table")
    with metrics.open_report(run, "tag", options, (file, gold, options.against)) as report:
        first = read_sentences(run, file)
        right = _gold(first, None if gold is None else read_sentences(run, gold), gold)
        systems = [[sentence.labels for sentence in first]]
        if options.against is not None:
            others = read_sentences(run, options.against)
            _check_tokens(first, others, file, options.against)
            systems.append([sentence.labels for sentence in others])
        used = span_extraction.scheme_of(right) if scheme == "auto" else scheme
        find = span_extraction.lenient_spans if lenient else span_extraction.strict_spans
        if used != NONE:
            _check_labels(first, [right, *systems], used)
        found = [
            tagging.count(right, labels, lambda labels: [] if used == NONE else find(labels, used))
            for labels in systems
        ]  # fmt: skip
        rows = [vars(one) for one in tagging.types(found[0])]
        if types and not options.json:
            header = ("type", "precision", "recall", "f1", "support")
            write_rows(report.out, header, [tuple(row.values()) for row in rows])
            return
        differing = sum(map(tuple.__ne__, systems[0], systems[-1]))
        measured = tagging.compare(
            found, options.sampling, differing, (tagging.ACCURACY,) if used == NONE else tagging.MEASURES
        )
        if options.bare:
            report.out.line(repr(measured.values[tagging.ACCURACY if used == NONE else "f1"]))
            return
        how = {"scheme": used} if used == NONE else {"scheme": used, "spans": "lenient" if lenient else "strict"}
        counts = {"spans": int(found[0].gold.sum()), "tokens": int(found[0].tokens.sum())}
        report.show(
            measured, len(first), how, counts=counts, tables={"types": rows},
            more=_sign_test(right, systems) if options.against is not None else {},
        )  # fmt: skip


def _sign_test(right: Sequence[Any], systems: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """McNemar's exact test of the sentences that are right as a whole in one system alone."""
    from lmkit.metrics import bootstrap

    hits = [[tuple(own) == tuple(gold) for own, gold in zip(system, right, strict=True)] for system in systems]
    better = sum(one and not other for one, other in zip(*hits, strict=True))
    worse = sum(other and not one for one, other in zip(*hits, strict=True))
    return {"sign_test": {"only_first": better, "only_second": worse, "p": bootstrap.sign_test(better, worse)}}


def _gold(
    found: Sequence[TaggedSentence], others: Sequence[TaggedSentence] | None, name: str | None
) -> list[tuple[str, ...]]:
    """The gold labels of each sentence. Raises DataError where there are none, or of other tokens."""
    if others is not None and name is not None:
        _check_tokens(found, others, "", name)
        return [other.labels for other in others]
    right = []
    for sentence in found:
        if sentence.gold is None:
            raise DataError(f"{sentence.place}: no gold labels", hint="give them with --gold FILE")
        right.append(sentence.gold)
    return right


def _check_tokens(
    found: Sequence[TaggedSentence], others: Sequence[TaggedSentence], name: str, other_name: str
) -> None:
    if len(found) != len(others):
        raise DataError(
            f"{streams.display(other_name)}: {len(others)} sentences, but the predictions have {len(found)}"
        )
    for sentence, other in zip(found, others, strict=True):
        if sentence.tokens != other.tokens:
            raise DataError(
                f"{other.place}: other tokens than the predictions at {sentence.place}",
                hint="both files have the same sentences in the same order",
            )


def _check_labels(found: Sequence[TaggedSentence], columns: Sequence[Any], scheme: str) -> None:
    """Raises DataError, with the place, for a label of no scheme."""
    from lmkit.metrics import span_extraction

    for sentence, *several in zip(found, *columns, strict=True):
        for label in {label for labels in several for label in labels}:
            try:
                span_extraction.split(label, scheme)
            except DataError as error:
                hint = f"{error.hint}; --scheme none measures accuracy alone"
                raise DataError(f"{sentence.place}: {error}", hint=hint) from None
