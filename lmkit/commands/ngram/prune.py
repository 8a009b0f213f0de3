"""`lmkit ngram prune`: a smaller model."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import checkpoint_bytes, origin
from lmkit.commands.options.standard import ModelOption, Output, Run
from lmkit.errors import UsageError
from lmkit.io import outputs, streams


def prune(
    run: Run,
    file: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="N-gram model. No MODEL reads stdin.", show_default=False)
    ] = None,
    model: ModelOption = None,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            metavar="X",
            min=0.0,
            help="Threshold: drop n-grams whose removal changes perplexity by a smaller share.",
        ),
    ] = 1e-8,
    output: Output = None,
) -> None:
    """Prune a model: drop n-grams with little effect on perplexity.

    Relative-entropy pruning (Stolcke 1998) drops an n-gram if backing off instead raises the model's
    perplexity by less than --threshold, as a share of it. N-grams that longer ones extend are kept. To prune by
    count, use --prune of `lmkit ngram fit`.

    Examples:
      lmkit ngram prune model.lm --threshold 1e-7 -o small.lm
      lmkit ngram fit train.txt | lmkit ngram prune --threshold 1e-8 | lmkit ppl test.txt
    """
    if file is not None and model is not None:
        raise UsageError("the model is named twice")
    name = file or model or streams.STDIN
    with outputs.open_output(output, binary=True) as out:
        for piece in _pruned(run, name, threshold):
            out.write(piece)


def _pruned(run: Run, name: str, threshold: float) -> Iterator[Any]:
    """The bytes of the smaller model."""
    from lmkit.ngram.backoff_model import NGram
    from lmkit.ngram.probability_sums import excess
    from lmkit.ngram.pruning import prune as prune_tables

    opened = opening.open_distribution(name)
    before = sum(len(table.log10) for table in opened.tables)
    tables = prune_tables(opened.tables, threshold)
    after = sum(len(table.log10) for table in tables)
    run.terminal.notice(f"{before} n-grams before, {after} after")
    settings = {"threshold": threshold}
    config = {**opened.config, "order": len(tables), "pruned": settings, "suffix_closed": False}
    if not opened.normalised and not excess(tables).contexts:
        del config["normalised"]
    smaller = NGram(tables, opened.tokenizer, config)
    parent = {"model": opened.digest}
    return checkpoint_bytes(smaller, origin("ngram prune", settings, [parent]))
