"""Options of denoising: spans that sentinels replace, and BART's noises."""

from typing import Annotated

import typer

from lmkit.errors import UsageError

KINDS = ("mask", "delete", "infill", "permute", "rotate")
"""Those of `data.denoising`, which help does not load."""

CorruptionRate = Annotated[
    float,
    typer.Option("--rate", metavar="P", min=0.0, max=1.0, help="Corruption rate: share of the tokens that is changed."),
]
MeanLength = Annotated[
    float, typer.Option("--mean-length", metavar="X", min=1.0, help="Mean span length, in tokens, of the spans.")
]
Sentinels = Annotated[
    int,
    typer.Option(
        "--sentinels", metavar="N", min=0, max=10_000,
        help="Number of sentinels for span corruption, special tokens `<extra_id_0>`, `<extra_id_1>`, ... T5 has 100.",
    ),
]  # fmt: skip
NoiseKinds = Annotated[
    str,
    typer.Option(
        "--kind", metavar="LIST",
        help="Kinds of noise in the order in which they are applied, of `mask`, `delete`, `infill`, `permute` and "
        "`rotate`.",
    ),
]  # fmt: skip


def noise_kinds(text: str) -> tuple[str, ...]:
    """Return the kinds that are listed. Raises UsageError."""
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise UsageError(f"--kind {text!r}: {unknown[0]!r} is not one of {', '.join(KINDS)}", hint="--kind infill")
    return names
