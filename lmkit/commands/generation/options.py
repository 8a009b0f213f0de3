"""Options of `lmkit sample` alone, by the sections of its help."""

from typing import Annotated

import typer

from lmkit.commands.generation.inputs import FORMS
from lmkit.commands.options import choice

TEXTS = "Input and output"
WAYS = "Search and sampling"
SPEED = "Speed"

Prompts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...", show_default=False,
        help="Prompts, one a line, or JSON Lines with a `prompt` in each; `-` is stdin. None: the one of --prompt.",
    ),
]  # fmt: skip
InputForm = Annotated[
    str,
    typer.Option(
        "--input", metavar="FORM", callback=choice(*FORMS), rich_help_panel=TEXTS,
        help="What FILEs hold: `text`, `jsonl`, or `auto`: JSON Lines where the name ends in .jsonl or .ndjson.",
    ),
]  # fmt: skip
Number = Annotated[
    int,
    typer.Option("--number", "-n", metavar="N", min=1, help="Texts for each prompt.", rich_help_panel=TEXTS),
]
MaxTokens = Annotated[
    int,
    typer.Option(
        "--max-tokens", metavar="N", min=1, help="Longest continuation, in tokens.", rich_help_panel=TEXTS
    ),
]  # fmt: skip
Stop = Annotated[
    list[str] | None,
    typer.Option(
        "--stop", metavar="TEXT", show_default=False, rich_help_panel=TEXTS,
        help="End before this text; may be repeated.",
    ),
]  # fmt: skip
Echo = Annotated[
    bool, typer.Option("--echo", help="Print the prompt in front of each continuation.", rich_help_panel=TEXTS)
]
Separator = Annotated[
    str | None,
    typer.Option(
        "--separator", metavar="TEXT", show_default=False, rich_help_panel=TEXTS,
        help="A line between texts, whose own line ends then stay as they are.",
    ),
]  # fmt: skip
Greedy = Annotated[
    bool, typer.Option("--greedy", help="Always the most probable token; ties: lowest id.", rich_help_panel=WAYS)
]
Ancestral = Annotated[
    bool,
    typer.Option(
        "--ancestral", help="Draw from the model's own distribution (the default).", rich_help_panel=WAYS
    ),
]  # fmt: skip
Unknown = Annotated[bool, typer.Option("--unknown", help="Let the unknown word be drawn too.", rich_help_panel=WAYS)]
Batch = Annotated[
    int,
    typer.Option(
        "--batch", metavar="N", min=1, rich_help_panel=SPEED,
        help="Texts that are run at once, where the model can; the result does not depend on it.",
    ),
]  # fmt: skip
