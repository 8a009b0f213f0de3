"""`lmkit eval bleu`: BLEU and chrF of texts against references, by sacrebleu."""

from typing import Annotated

import typer

from lmkit.commands.options.evaluation import ComparisonOptions, PredictionField, Predictions
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Run, choice
from lmkit.commands.records import predictions
from lmkit.commands.reports import metrics
from lmkit.errors import DataError, UsageError
from lmkit.io import streams

TOKENIZERS = ("13a", "none", "intl", "char", "zh")
PREDICTED = ("text", "answer", "prediction")


@with_groups()
def bleu(
    run: Run,
    file: Predictions = streams.STDIN,
    references: Annotated[
        list[str] | None,
        typer.Option(
            "--references", metavar="FILE...", show_default=False,
            help="Files of reference texts, one per text.",
        ),
    ] = None,
    field: PredictionField = None,
    tokenize: Annotated[
        str,
        typer.Option(
            "--tokenize", metavar="NAME", callback=choice(*TOKENIZERS),
            help="Tokenization for BLEU: `13a` (as in WMT), `none` (white space only), `intl`, `char` or `zh`.",
        ),
    ] = "13a",
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case.")] = False,
    *,
    options: ComparisonOptions,
) -> None:  # fmt: skip
    """Compute BLEU and chrF of texts against references.

    One row each for `bleu`, `chrf` (chrF2) and `chrf++`, from 0 to 100: sacrebleu's corpus scores (Post 2018)
    with its signatures, equal to those of its own command. -b prints `bleu`. Texts and references are lines,
    or JSON Lines with a `text` (references also `gold`, `output` or `label`). Empty lines are texts.

    Intervals are bootstrap percentiles over segments. --against compares with a second system (paired
    bootstrap, Koehn 2004): `difference` is the first score minus the second; the two-sided `p` is at least
    2 / 2^n for n segments that differ. Needs sacrebleu, the extra `eval`.

    Examples:
      lmkit eval bleu translated.txt --references reference.txt
      lmkit eval bleu translated.txt --references one.txt two.txt --against baseline.txt
      lmkit sample -m model.lm prompts.jsonl | lmkit eval bleu -b --references reference.txt
    """
    from lmkit.metrics import bleu as bleu_scores

    if not references:
        raise UsageError("no references", hint="name them with --references FILE...")
    names = [file, *([options.against] if options.against is not None else [])]
    with metrics.open_report(run, "bleu", options, [*names, *references]) as report:
        fields = predictions.Fields(PREDICTED, field)
        systems = [[item.value for item in predictions.read(run, name, fields)] for name in names]
        wanted = predictions.Fields(("text", *predictions.GOLD))
        right = [[item.value for item in predictions.read(run, name, wanted)] for name in references]
        _check_lengths([*names, *references], [*systems, *right])
        found, signatures = bleu_scores.measure(
            systems, right, tokenize=tokenize, lowercase=lowercase, sampling=options.sampling
        )
        report.show(
            found, len(systems[0]), more={"signatures": signatures},
            signatures=[one.replace("|version:", "|sacrebleu:") for one in signatures.values()],
        )  # fmt: skip


def _check_lengths(names: list[str], texts: list[list[str]]) -> None:
    """Raises DataError where a file has more or fewer texts than the first."""
    for name, found in zip(names[1:], texts[1:], strict=True):
        if len(found) != len(texts[0]):
            first, other = streams.display(names[0]), streams.display(name)
            lines = "text" if len(texts[0]) == 1 else "texts"
            raise DataError(f"{first} has {len(texts[0])} {lines} but {other} has {len(found)}: expected one per text")
