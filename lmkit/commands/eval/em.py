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
        typer.Option("--articles", metavar="LIST", help="Words that do not count, parted by commas; empty: none."),
        Before("against"),
    ] = "a,an,the",
) -> None:
    """Exact match and token F1 of answers, as SQuAD has them.

    Answers are compared in a normal form: lower case; then ASCII punctuation is taken out;
    then the words of --articles; white space is one blank (Rajpurkar et al. 2016).
    `exact_match` is the share of answers that equal a right one, `f1` the mean of 2 shared
    words / (words of the answer + words of the right one), each word as often as it occurs;
    of two texts without words it is 1. Of several right answers, a list in JSON Lines or
    the fields of TSV, the best counts. Both are from 0 to 1; -b prints `exact_match`.

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
