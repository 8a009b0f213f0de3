"""`lmkit scaling flops`: what training costs."""

from typing import Annotated

import typer

from lmkit.commands.options.quantities import Factor, Flops, Parameters, TokenCount
from lmkit.commands.options.standard import Json, ModelsOption, Output, Run
from lmkit.commands.scaling import architectures
from lmkit.commands.scaling.architectures import Context, Presets
from lmkit.errors import UsageError
from lmkit.io import outputs
from lmkit.io.records import Table


def flops(
    run: Run,
    parameters: Parameters = None,
    tokens: TokenCount = None,
    compute: Flops = None,
    factor: Factor = 6.0,
    preset: Presets = None,
    model: ModelsOption = None,
    context: Context = None,
    causal: Annotated[
        bool,
        typer.Option(
            "--causal", help="Count attention over visible positions only, as kernels that skip the others compute it."
        ),
    ] = False,
    json: Json = False,
    output: Output = None,
) -> None:
    """Count the FLOPs of training: 6 N D, or exactly.

    Of --params, --tokens and --flops two are given, and the third follows from F = 6 N D: a forward pass takes 2
    FLOPs per parameter and token, the backward pass 4.

    --preset and --model count an architecture exactly, forward and backward, for --tokens tokens (1 if not given).
    `forward` and `backward` are per token; `layers`, `attention` and `head` are parts of `forward`: products with
    weights, of queries with keys and of weights with values, and the logits. `factor` is K of F = K N D, with all
    parameters. The numbers are those of torch's FLOP counter: no lookups, norms or softmax.

    Examples:
      lmkit scaling flops --params 70B --tokens 1.4T
      lmkit scaling flops --params 70B --flops 5.88e23
      lmkit scaling flops --preset gpt2 --preset llama-7b --tokens 300B
      lmkit scaling flops -m gpt.lm --tokens 10M --context 32 --json
    """
    if preset or model:
        if parameters is not None or compute is not None or "factor" in run.given:
            raise UsageError("--preset and --model take --tokens, not --params, --flops or --factor")
        _exact(run, preset or [], model or [], tokens or 1.0, context, causal, json, output)
        return
    if context is not None or causal:
        raise UsageError("--context and --causal need --preset or --model")
    given = {"--params": parameters, "--tokens": tokens, "--flops": compute}
    if sum(value is not None for value in given.values()) != 2:
        raise UsageError("expected two of --params, --tokens and --flops, or --preset or --model")
    if compute is None:
        compute = factor * (parameters or 0) * (tokens or 0)
    elif parameters is None:
        parameters = compute / factor / (tokens or 1)
    else:
        tokens = compute / factor / parameters
    with outputs.open_output(output) as out:
        record = {"flops": compute, "parameters": parameters, "tokens": tokens, "factor": factor}
        Table(out, tuple(record), as_json=json).row(run.signed(record))


def _exact(
    run: Run, presets: list[str], models: list[str], tokens: float, context: int | None, causal: bool, json: bool,
    output: str | None,
) -> None:  # fmt: skip
    from lmkit.scaling import flops as counts

    rows = []
    for name, settings in architectures.named(presets, models):
        forward = counts.forward(settings, context, causal=causal)
        backward = counts.backward(settings, context, causal=causal)
        each = forward.total + backward.total
        rows.append(
            {
                "model": name, "flops": each * tokens, "parameters": settings.parameters, "tokens": tokens,
                "factor": each / settings.parameters, "forward": forward.total, "backward": backward.total,
                **forward._asdict(),
            }
        )  # fmt: skip
    with outputs.open_output(output) as out:
        Table(out, tuple(rows[0]), as_json=json).rows(map(run.signed, rows))
