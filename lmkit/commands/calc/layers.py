"""`lmkit calc layernorm` and `posenc`: norms and positional encodings of transformers."""

from typing import Annotated, Any

import typer

from lmkit.commands.calc.json_arrays import Fields, Values, answer, each, numbers
from lmkit.commands.options.standard import Json, Output, Run, choice
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs
from lmkit.io.records import to_json


def layernorm(
    run: Run,
    values: Values = None,
    epsilon: Annotated[
        float,
        typer.Option(
            "--epsilon",
            metavar="E",
            min=0.0,
            help="Epsilon, added to the variance or to the mean square.",
        ),
    ] = 1e-5,
    normalisation: Annotated[
        str,
        typer.Option(
            "--normalisation",
            metavar="KIND",
            callback=choice("layernorm", "rmsnorm"),
            help="Norm: `rmsnorm` or `layernorm`.",
        ),
    ] = "layernorm",
    json: Json = False,
    output: Output = None,
) -> None:
    """Compute layer normalization or RMSNorm.

    `layernorm` is weight (x - mean) / sqrt(variance + E) + bias, with the mean of squared deviations as
    variance. `rmsnorm` is weight x / sqrt(mean of x^2 + E). Each input is an array x, or an object of `x` with
    `weight` and, for `layernorm`, `bias`. Input and output are one JSON value per line.

    Examples:
      lmkit calc layernorm '[1, 2, 3, 4]'
      lmkit calc layernorm --normalisation rmsnorm '{"x": [3, 4], "weight": [1, 2]}'
    """
    import numpy as np

    from lmkit.inference import functional

    def normed(value: Any) -> Any:
        if not isinstance(value, dict):
            x, weight, bias = numbers(value), None, None
        else:
            fields = Fields(value, ("x",), ("weight", "bias") if normalisation == "layernorm" else ("weight",))
            x = fields.vector("x")
            weight, bias = fields.vector("weight", len(x)), fields.vector("bias", len(x))
        layer = normalisation == "layernorm"
        if not epsilon and not (x.var() if layer else x.any()):
            what = "variance" if layer else "mean square"
            raise DataError(f"the {what} is 0, and --epsilon 0 leaves a division by 0", hint="a positive --epsilon")
        found = functional.layer_norm(x, weight, bias, epsilon) if layer else functional.rms_norm(x, weight, epsilon)
        return answer({"x": found})["x"]

    with np.errstate(all="ignore"):  # `answer` reports what is too large
        each(values, output, normed)


def posenc(
    run: Run,
    dimensions: Annotated[
        int, typer.Option("--dimensions", "--d", metavar="D", min=1, max=1 << 20, help="Dimension of the encoding.")
    ],
    position: Annotated[int, typer.Option("--position", "--pos", metavar="N", min=0, help="Position, counted from 0.")],
    variant: Annotated[
        str,
        typer.Option(
            "--variant", metavar="NAME", callback=choice("vaswani", "slide"),
            help="Variant: `vaswani` counts k from 0; `slide` counts from 1, without the fastest wave.",
        ),
    ] = "vaswani",
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Compute the sinusoidal encoding of a position.

    A JSON array of sin(N / 10000^(2k/D)) and cos(N / 10000^(2k/D)) in turn, for k from 0 up.

    Examples:
      lmkit calc posenc --dimensions 4 --position 1
      lmkit calc posenc --dimensions 4 --position 1 --variant slide
    """
    import numpy as np

    from lmkit.architectures.positions import sinusoidal

    if position >= 1 << 53:
        raise UsageError(f"position {position} is above 2^53, beyond which floats don't tell positions apart")
    with outputs.open_output(output) as out:
        table = sinusoidal(np.array([float(position)]), dimensions, first=0 if variant == "vaswani" else 1)
        out.line(to_json(table[0].tolist()))
