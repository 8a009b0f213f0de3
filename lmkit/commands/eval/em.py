"""`lmkit eval em`: exact match and token F1 of answers."""

from typing import Annotated

import typer

from lmkit.commands.options.evaluation import EvaluationOptions
from lmkit.commands.options.option_groups import Before, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records import predictions
from lmkit.commands.reports import metrics

PREDICTED = ("text", "answer", "prediction", "label")


@with_groups()
def em(
    run: Run,
    options: EvaluationOptions,
    articles: Annotated[
        str,
        typer.Option("--articles", metavar="LIST", help="Comma-separated words to remove from answers; empty: none."),
        Before("against"),
    ] = "a,an,the",
) -> None:
    """Compute exact match and token F1 of answers, as in SQuAD.

    Answers are normalised first: lower case, no ASCII punctuation, no --articles, single spaces (Rajpurkar et
    al. 2016). `exact_match` is the share of answers that equal a reference. `f1` is the mean token F1: 2 shared
    words / (words of the answer + words of the reference), counting repetitions; it is 1 if both are empty.
    Of several references (a list in JSON Lines, or the fields of TSV) the best counts. Scores are from 0 to 1;
    -b prints `exact_match`.

    Intervals and --against are as in `lmkit eval classify`.

    Examples:
      lmkit eval em --gold gold.tsv answers.txt
      lmkit sample -m model.lm questions.jsonl --stop "?" | lmkit eval em --gold gold.jsonl
      lmkit eval em --articles el,la,los,las,un,una --gold gold.txt answers.txt
    """
    from lmkit.metrics import comparison, exact_match

    normal = exact_match.Normal(tuple(word for word in articles.lower().split(",") if word))
    with metrics.open_report(run, "em", options, options.inputs) as report:
        found = predictions.read_judged(run, options, PREDICTED, ("answers", *predictions.GOLD), several=True)
        right = [one.values for one in found.gold]
        scores = [exact_match.scores([item.value for item in items], right, normal) for items in found.systems]
        how = {"normal": "squad", "articles": ",".join(normal.articles)}
        report.show(comparison.of_means(scores, options.sampling), len(right), how)
