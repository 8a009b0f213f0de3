"""Options that commands of `lmkit data` share."""

from typing import Annotated

import typer

CorpusNormalize = Annotated[
    bool,
    typer.Option(
        "--normalize", help="Compare texts in normal form: NFKC, case-folded, each run of white space as one space."
    ),
]
Report = Annotated[
    str | None,
    typer.Option("--report", metavar="FILE", show_default=False, help="Write a report to FILE as JSON Lines."),
]
