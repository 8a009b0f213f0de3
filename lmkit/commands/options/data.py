"""Options that commands of `lmkit data` share."""

from typing import Annotated, get_args

import typer

from lmkit.commands.options.standard import Tokens

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
OptionalTokens = Annotated[str | None, get_args(Tokens)[1]]
"""--tokens where there may be no tokenizer."""
Epoch = Annotated[
    int,
    typer.Option("--epoch", metavar="N", min=0, help="Epoch: another one has other masks or noise for the same text."),
]
Pairs = Annotated[
    bool,
    typer.Option(
        "--pairs", help="Pairs of a source and a target: TSV `source<TAB>target`, or records with these fields."
    ),
]
