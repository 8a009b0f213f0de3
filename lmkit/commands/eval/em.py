"""`lmkit eval em`: exact match and token F1 of answers."""

from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import (
    Against,
    Bare,
    Gold,
    GoldField,
    Json,
    Level,
    Output,
    PredictionField,
    Predictions,
    Resamples,
    Run,
    Seed,
)
from lmkit.commands.records import predictions
from lmkit.commands.reports import metrics
from lmkit.io import streams
from lmkit.io.records import to_json

PREDICTED = ("text", "answer", "prediction", "label")


def em(
    run: Run,
    file: Predictions = streams.STDIN,
    gold: Gold = None,
    field: PredictionField = None,
    gold_field: GoldField = None,
    articles: Annotated[
        str,
        typer.Option("--articles", metavar="LIST", help="Words that do not count, parted by commas; empty: none."),
    ] = "a,an,the",
    against: Against = None,
    resamples: Resamples = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:  # fmt: skip
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
    from lmkit.metrics import bootstrap, exact_match

    opening.check_single_stdin(file, gold, against)
    normal = exact_match.Normal(tuple(word for word in articles.lower().split(",") if word))
    sampling = bootstrap.Sampling(seed, resamples, level)

    def scores(items: list[predictions.Item]) -> dict[str, list[float]]:
        pairs = list(zip((item.value for item in items), golds, strict=True))
        return {
            "exact_match": [float(exact_match.exact_match(one, right, normal)) for one, right in pairs],
            "f1": [exact_match.token_f1(one, right, normal) for one, right in pairs],
        }

    with streams.open_output(output, inputs=[file, gold, against]) as out:
        fields = predictions.Fields(PREDICTED, field)
        items = predictions.read(run, file, fields)
        wanted = predictions.Fields(("answers", *predictions.GOLD), gold_field, "--gold-field", several=True)
        golds = [one.values for one in predictions.gold_of(run, file, items, gold, wanted)]
        systems = [scores(items)]
        if against is not None:
            systems.append(scores(predictions.aligned(items, predictions.read(run, against, fields), file, against)))
        intervals = {
            name: bootstrap.interval(values, seed, 0 if bare else resamples, level)
            for name, values in systems[0].items()
        }
        if bare:
            out.line(repr(intervals["exact_match"].value))
            return
        record: dict[str, Any] = {name: one.value for name, one in intervals.items()}
        record |= {"n": len(items), "intervals": metrics.bounds(intervals)}
        rows = metrics.rows(intervals)
        if against is not None:
            values = {name: bootstrap.interval(one, resamples=0).value for name, one in systems[1].items()}
            differences = {
                name: bootstrap.paired_difference(one, systems[1][name], seed, resamples, level)
                for name, one in systems[0].items()
            }
            record |= {"against": values, "differences": metrics.apart(differences)}
            rows = metrics.rows(intervals, values, differences)
        signature = metrics.signature("em", sampling, {"normal": "squad", "articles": ",".join(normal.articles)})
        if json:
            out.line(to_json({**record, "signature": signature}))
        else:
            metrics.show(run, out, rows, signature)
