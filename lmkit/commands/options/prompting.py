r"""Options that several `lmkit prompt` commands share: one name, one type and one help text each."""

import re
from typing import Annotated

import typer

from lmkit.commands.options.standard import choice
from lmkit.io import streams
from lmkit.io.record_reader import FORMS

WAYS = ("first", "random", "balanced", "similar", "fixed")
ARRANGEMENTS = ("selected", "reversed", "random")
SECTIONS = {
    "Input": ("shots", "files", "form", "shots_form", "input_field", "output_field", "encoding_errors"),
    "Examples": ("count", "select", "ids", "similar_by", "per_item", "arrange", "seed"),
    "Length": ("model", "max_tokens", "room"),
}
"""What the parameters of commands that show examples are about, but for the layout, which each has its own of."""

Shots = Annotated[
    str, typer.Argument(metavar="SHOTS", help="Examples: an input, a tab, an output; or JSON Lines; `-`: stdin.")
]
Items = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...", show_default=False,
        help="Items to ask about: text, one a line, TSV or JSON Lines; `-` or none: stdin.",
    ),
]  # fmt: skip
ItemsForm = Annotated[
    str,
    typer.Option(
        "--input", metavar="FORM", callback=choice("auto", *FORMS),
        help="What FILEs hold: `text`, `tsv`, `jsonl`, or `auto`: by the name, .tsv, .jsonl or .ndjson; else text.",
    ),
]  # fmt: skip
ShotsForm = Annotated[
    str,
    typer.Option(
        "--shots-input", metavar="FORM", callback=choice("auto", "tsv", "jsonl"),
        help="What SHOTS holds: `tsv`, `jsonl`, or `auto`: by the name, .jsonl or .ndjson.",
    ),
]  # fmt: skip
InputField = Annotated[
    str | None,
    typer.Option(
        "--input-field", metavar="NAME", show_default="input, text or question", help="The field that is the text."
    ),
]
OutputField = Annotated[
    str | None,
    typer.Option(
        "--output-field", metavar="NAME", show_default="output, label or answer", help="The field that is right for it."
    ),
]
Select = Annotated[
    str,
    typer.Option(
        "--select", metavar="WAY", callback=choice(*WAYS),
        help="How examples are chosen: the `first`, at `random`, `balanced` over outputs, most `similar` first, or "
        "`fixed` by --ids.",
    ),
]  # fmt: skip
Ids = Annotated[
    str | None,
    typer.Option(
        "--ids", metavar="LIST", show_default=False,
        help="With --select fixed: ids or line numbers of examples, in their order, such as `3,17,5`.",
    ),
]  # fmt: skip
SimilarBy = Annotated[
    str | None,
    typer.Option(
        "--similar-by", metavar="MODEL", show_default="shared words, BM25",
        help="With --select similar: by the cosine of mean vectors of this model's tokens.",
    ),
]  # fmt: skip
PerItem = Annotated[
    bool, typer.Option("--per-item", help="Draw at random for each item, by its id, instead of once for all.")
]
Arrange = Annotated[
    str,
    typer.Option(
        "--arrange", metavar="WAY", callback=choice(*ARRANGEMENTS),
        help="Order in the prompt: as `selected`, `reversed` (the most similar last), or `random`.",
    ),
]  # fmt: skip
CountedBy = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", show_default=False,
        help="Checkpoint or folder whose tokens --max-tokens counts.",
    ),
]  # fmt: skip
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens", metavar="N", min=1, show_default=False,
        help="Most tokens of a prompt, as MODEL counts: whole examples are left out, the last chosen first.",
    ),
]  # fmt: skip
Room = Annotated[int, typer.Option("--room", metavar="N", min=0, help="Tokens of --max-tokens kept for the answer.")]
Instruction = Annotated[
    str,
    typer.Option(
        "--instruction", metavar="TEXT", show_default=False,
        help=r"Stands first, on lines of its own; `\n`, `\t` and `\\` are read in this and other texts.",
    ),
]  # fmt: skip
Sep = Annotated[str, typer.Option("--sep", metavar="TEXT", help="Between input and output.")]
ExampleSep = Annotated[str, typer.Option("--example-sep", metavar="TEXT", help="Between examples.")]

Count = Annotated[
    int | None,
    typer.Option(
        "--shots", "-k", metavar="K", min=0, show_default="4, or all of --ids", help="Examples in each prompt."
    ),
]
EXAMPLES = 4
"""In each prompt, where nothing says how many."""

_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\"}


def unescaped(text: str) -> str:
    r"""A text as typed with `\n`, `\t` and `\\` read; other backslashes are themselves. Raises UsageError: no UTF-8."""
    whole = streams.argument_text(text)
    return re.sub(r"\\([nt\\])", lambda found: _ESCAPES[found[1]], whole)
