"""`lmkit scaling`: sizes of models."""

from typing import Annotated

import typer

from lmkit.commands.options import Json, Output, Run
from lmkit.edge import streams
from lmkit.edge.records import Table
from lmkit.errors import UsageError


def plan(
    run: Run,
    ngram: Annotated[bool, typer.Option("--ngram", help="Full tables of n-grams.")] = False,
    vocab: Annotated[
        int | None, typer.Option("--vocab", metavar="V", min=1, help="Size of the vocabulary.", show_default=False)
    ] = None,
    max_order: Annotated[int, typer.Option("--max-order", metavar="N", min=0, max=20, help="Longest n-gram.")] = 3,
    json: Json = False,
    output: Output = None,
) -> None:
    """Parameter counts of models, exactly.

    A full table of n-grams over V words has V^n probabilities, of which V^(n-1) (V-1) are
    free. The 0-gram model is uniform.

    Examples:
      lmkit scaling plan --ngram --vocab 60000
      lmkit scaling plan --ngram --vocab 256 --max-order 6 --json
    """
    from lmkit.using import scaling

    if not ngram or vocab is None:
        raise UsageError("say what is planned: --ngram --vocab V")
    with streams.open_output(output) as out:
        table = Table(out, ("order", "parameters", "free_parameters"), as_json=json)
        for order in range(max_order + 1):
            free = scaling.ngram_free_parameters(vocab, order)
            table.row({"order": order, "parameters": scaling.ngram_parameters(vocab, order), "free_parameters": free})
