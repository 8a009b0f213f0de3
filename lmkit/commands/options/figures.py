"""The options that draw a result: `--plot` into a file, `--term` in the terminal."""

from typing import Annotated

import typer

from lmkit.commands.options.standard import UNRECORDED

Plot = Annotated[
    str | None,
    typer.Option(
        "--plot", metavar="FILE", show_default=False,
        help="Draw the result as FILE: a .png (needs matplotlib), .svg or .html.",
    ),
    UNRECORDED,
]  # fmt: skip
Term = Annotated[bool, typer.Option("--term", help="Draw the result with characters, as wide as the terminal.")]
