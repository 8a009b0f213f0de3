"""`lmkit scaling check`: whether data suit the size of a model."""

from typing import Annotated

import typer

from lmkit.commands.options.quantities import Flops, Parameters, TokenCount, quantity
from lmkit.commands.options.standard import Json, Output, Run, suggested
from lmkit.errors import UsageError
from lmkit.io import outputs
from lmkit.io.records import Table

MIXES = ("gpt3",)


def check(
    run: Run,
    parameters: Parameters = None,
    tokens: TokenCount = None,
    compute: Flops = None,
    ratio: Annotated[
        float, typer.Option("--ratio", metavar="R", parser=quantity, help="Tokens per parameter of a balanced model.")
    ] = 20.0,
    mix: Annotated[
        str | None,
        typer.Option(
            "--mix", metavar="MIX", callback=suggested(*MIXES), show_default=False,
            help="Sources of the training data as NAME=TOKENS:WEIGHT, separated by commas, or `gpt3` for those of "
            "Brown et al. (2020): print how many epochs of each are seen.",
        ),
    ] = None,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Check whether a model's training data suit its size.

    Prints tokens per parameter and a verdict: `balanced` within a factor of 2 of 20 tokens per parameter
    (Hoffmann et al. 2022), else `under-trained` or `over-trained`. Over-training is no mistake where a model
    is served much. Two of --params, --tokens and --flops are given; without them published models are listed.

    --mix prints the epochs of each source: weight times training tokens, over the tokens that the source has.
    Weights are taken as given, with a warning if their sum is not 1. Up to about 4 epochs are nearly as good as new
    data (Muennighoff et al. 2023).

    Examples:
      lmkit scaling check
      lmkit scaling check --params 8B --tokens 15T
      lmkit scaling check --mix gpt3
      lmkit scaling check --mix web=1T:0.8,books=20B:0.2 --tokens 300B
    """
    if mix is not None:
        if parameters is not None or compute is not None or "ratio" in run.given:
            raise UsageError("--mix takes --tokens, not --params, --flops or --ratio")
        _mix(run, mix, tokens, json, output)
        return
    from lmkit.scaling import allocation
    from lmkit.scaling.flops import FACTOR, training

    models = list(allocation.PUBLISHED)
    given = sum(value is not None for value in (parameters, tokens, compute))
    if given:
        if given != 2:
            raise UsageError("expected two of --params, --tokens and --flops")
        size = parameters if parameters is not None else (compute or 1) / FACTOR / (tokens or 1)
        models = [allocation.TrainedModel("model", size, tokens or (compute or 1) / FACTOR / size)]
    with outputs.open_output(output) as out:
        table = Table(out, ("model", "parameters", "tokens", "flops", "tokens_per_parameter", "verdict"), as_json=json)
        for model in models:
            found = model.tokens / model.parameters
            table.row(run.signed(
                {
                    "model": model.name, "parameters": model.parameters, "tokens": model.tokens,
                    "flops": training(model.parameters, model.tokens), "tokens_per_parameter": found,
                    "verdict": allocation.verdict(found, ratio),
                }
            ))  # fmt: skip


def _mix(run: Run, mix: str, tokens: float | None, json: bool, output: str | None) -> None:
    from lmkit.scaling import allocation

    if mix in allocation.MIXES:
        own, sources = allocation.MIXES[mix]
        tokens = own if tokens is None else tokens
    else:
        sources = [allocation.Source(*_source(part)) for part in mix.split(",")]
    if tokens is None:
        raise UsageError("--mix needs --tokens, the tokens of training")
    total = sum(source.weight for source in sources)
    if abs(total - 1) > 1e-6:
        run.terminal.notice(f"weights sum to {total:.6g}, taken as given")
    with outputs.open_output(output) as out:
        table = Table(out, ("source", "tokens", "weight", "epochs"), as_json=json)
        for source in sources:
            record = {"source": source.name, "tokens": source.tokens, "weight": source.weight}
            table.row(run.signed({**record, "epochs": allocation.epochs(source, tokens)}))


def _source(text: str) -> tuple[str, float, float]:
    """Return name, tokens and weight. Raises UsageError."""
    name, _, numbers = text.strip().rpartition("=")
    size, _, weight = numbers.partition(":")
    try:
        found = name, quantity(size), quantity(weight)
    except typer.BadParameter as error:
        raise UsageError(f"--mix {text!r}: expected NAME=TOKENS:WEIGHT, such as books=12B:0.08 ({error})") from None
    if not name:
        raise UsageError(f"--mix {text!r}: expected NAME=TOKENS:WEIGHT, such as books=12B:0.08")
    return found
