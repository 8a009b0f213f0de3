"""`lmkit finetune merge`: an adapter merged into its model."""

from typing import Annotated

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.adapted_models import open_adapted
from lmkit.commands.loading.provenance import checkpoint_bytes, origin
from lmkit.commands.options.standard import Output, Run
from lmkit.errors import UsageError
from lmkit.io import outputs


def merge(
    run: Run,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", show_default=False, help="Model that the adapter belongs to."),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option("--adapter", metavar="FILE", show_default=False, help="Adapter: a checkpoint.")
    ] = None,
    output: Output = None,
) -> None:
    """Merge an adapter into its model.

    W + (alpha / rank) B A replaces each adapted matrix W, so that the result needs no adapter any more and predicts
    the same. The adapter's head comes along. The model must be the one that the adapter was trained on: digests are
    compared.

    Examples:
      lmkit finetune merge -m base.lm --adapter adapter.lm -o clf.lm
      lmkit finetune merge -m base.lm --adapter adapter.lm | lmkit predict texts.txt
    """
    if model is None or adapter is None:
        raise UsageError("a model and an adapter are needed", hint="-m MODEL --adapter FILE")
    opening.check_single_stdin(model, adapter)
    with outputs.open_output(output, binary=True) as out:
        found, parents = open_adapted(model, adapter)
        for piece in checkpoint_bytes(found, {**origin("finetune merge", {}, []), "parents": parents}):
            out.write(piece)
