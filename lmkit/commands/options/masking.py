"""Options of masked language modelling: which tokens are predicted."""

from typing import Annotated

import typer

MaskRate = Annotated[
    float,
    typer.Option(
        "--mask-rate", metavar="P", min=0.0, max=1.0,
        help="Mask rate: probability that a token is selected to be predicted. Of these 80 % become the mask token, "
        "10 % a random token, 10 % stay.",
    ),
]  # fmt: skip
WholeWord = Annotated[
    bool, typer.Option("--whole-word", help="Whole-word masking: select all tokens of a word together.")
]
