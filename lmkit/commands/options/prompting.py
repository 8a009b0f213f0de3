r"""Options that several `lmkit prompt` commands share: one name, one type and one help text each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import EncodingErrors, Run, Seed, choice
from lmkit.commands.records.examples import Fields, examples, fields_of, items
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import streams
from lmkit.io.record_reader import FORMS, form_of
from lmkit.prompting.examples import Example

if TYPE_CHECKING:
    from lmkit.prompting.demonstrations import DemonstrationSelector, Vector
    from lmkit.prompting.token_budget import Budget

WAYS = ("first", "random", "balanced", "similar", "fixed")
ARRANGEMENTS = ("selected", "reversed", "random")
SECTIONS = {
    "Input": ("shots", "files", "form", "shots_form", "input_field", "output_field", "encoding_errors"),
    "Examples": ("count", "select", "ids", "similar_by", "per_item", "arrange", "seed"),
    "Length": ("model", "max_tokens", "room"),
}
"""Sections of commands that show examples; each adds its own one for the layout."""

Shots = Annotated[
    str, typer.Argument(metavar="SHOTS", help="Examples: lines of input, tab, output; or JSON Lines; `-`: stdin.")
]
Items = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...", show_default=False,
        help="Items: text (one per line), TSV or JSON Lines; `-` or none: stdin.",
    ),
]  # fmt: skip
ItemsForm = Annotated[
    str,
    typer.Option(
        "--input", metavar="FORM", callback=choice("auto", *FORMS),
        help="Format of FILEs: `text`, `tsv`, `csv`, `jsonl`, `parquet`, or `auto` (by the name, such as .jsonl; else "
        "text).",
    ),
]  # fmt: skip
ShotsForm = Annotated[
    str,
    typer.Option(
        "--shots-input", metavar="FORM", callback=choice("auto", "tsv", "jsonl"),
        help="Format of SHOTS: `tsv`, `jsonl`, or `auto` (JSON Lines if the name ends in .jsonl or .ndjson).",
    ),
]  # fmt: skip
InputField = Annotated[
    str | None,
    typer.Option(
        "--input-field", metavar="NAME", show_default="input, text or question", help="Field of the input text."
    ),
]
OutputField = Annotated[
    str | None,
    typer.Option(
        "--output-field", metavar="NAME", show_default="output, label or answer", help="Field of the correct output."
    ),
]
CountedBy = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", show_default=False,
        help="Checkpoint or folder whose tokenizer counts for --max-tokens.",
    ),
]  # fmt: skip
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens", metavar="N", min=1, show_default=False,
        help="Token budget of a prompt, counted by MODEL: examples that do not fit are dropped, the last chosen first.",
    ),
]  # fmt: skip
Instruction = Annotated[
    str,
    typer.Option(
        "--instruction", metavar="TEXT", show_default=False,
        help=r"Text before the examples, on lines of its own; `\n`, `\t` and `\\` are escapes here and in separators.",
    ),
]  # fmt: skip
Sep = Annotated[str, typer.Option("--sep", metavar="TEXT", help="Separator between input and output.")]
ExampleSep = Annotated[str, typer.Option("--example-sep", metavar="TEXT", help="Separator between examples.")]

EXAMPLES = 4
"""Examples in each prompt by default."""


@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """The options that select and order examples."""

    count: Annotated[
        int | None,
        typer.Option(
            "--shots",
            "-k",
            metavar="K",
            min=0,
            show_default="4, or all of --ids",
            help="Number of examples in each prompt.",
        ),
    ] = None
    select: Annotated[
        str,
        typer.Option(
            "--select",
            metavar="METHOD",
            callback=choice(*WAYS),
            help="Selection of examples: the `first`, `random`, `balanced` over outputs, the most `similar`, or "
            "`fixed` by --ids.",
        ),
    ] = "first"
    ids: Annotated[
        str | None,
        typer.Option(
            "--ids",
            metavar="LIST",
            show_default=False,
            help="Ids or line numbers of examples for --select fixed, in order, such as `3,17,5`.",
        ),
    ] = None
    similar_by: Annotated[
        str | None,
        typer.Option(
            "--similar-by",
            metavar="MODEL",
            show_default="shared words, BM25",
            help="Model for --select similar: similarity is the cosine of mean token vectors.",
        ),
    ] = None
    per_item: Annotated[
        bool, typer.Option("--per-item", help="Draw examples for each item (by its id) instead of once for all.")
    ] = False
    arrange: Annotated[
        str,
        typer.Option(
            "--arrange",
            metavar="ORDER",
            callback=choice(*ARRANGEMENTS),
            help="Order of examples in the prompt: as `selected`, `reversed` (the most similar last), or `random`.",
        ),
    ] = "selected"
    seed: Seed = 0

    def check(self) -> None:
        """Raises UsageError for options that cannot be combined."""
        if (self.ids is not None) != (self.select == "fixed"):
            raise UsageError("--select fixed and --ids need each other", hint="use --select fixed --ids 3,17,5")
        if self.similar_by is not None and self.select != "similar":
            raise UsageError("--similar-by needs --select similar")
        if self.per_item and self.select not in ("random", "balanced") and self.arrange != "random":
            raise UsageError(
                f"--per-item needs random choices, but --select {self.select} makes none", hint="use --select random"
            )

    def selector(self, run: Run, shots: str, examples: Sequence[Example], count: int | None) -> "DemonstrationSelector":
        """The selector of `count` examples of SHOTS (None: all of --ids). Raises DataError where there are too few."""
        from lmkit.prompting.demonstrations import DemonstrationSelector, Selection

        names = [] if self.ids is None else [name.strip() for name in self.ids.split(",")]
        vectors = None if self.similar_by is None else partial(_vectors, self.similar_by)
        selection = Selection(count, self.select, names, vectors, self.per_item, self.arrange, self.seed)
        return DemonstrationSelector(selection, examples, streams.display(shots), run.terminal.notice)


@dataclass(frozen=True, kw_only=True)
class LengthOptions:
    """The options that limit the length of a prompt."""

    model: CountedBy = None
    max_tokens: MaxTokens = None
    room: Annotated[
        int,
        typer.Option("--room", metavar="N", min=0, help="Number of tokens of --max-tokens reserved for the answer."),
    ] = 0

    def check(self) -> None:
        """Raises UsageError for options that cannot be combined."""
        if (self.model is None) != (self.max_tokens is None):
            raise UsageError("--max-tokens and --model need each other: the model's tokenizer counts the tokens")
        if self.max_tokens is None and self.room:
            raise UsageError("--room needs --max-tokens")
        if self.max_tokens is not None and self.room >= self.max_tokens:
            raise UsageError(f"--room {self.room} leaves nothing of --max-tokens {self.max_tokens}")

    def budget(self) -> "Budget | None":
        """The token budget; None where any length will do."""
        from lmkit.prompting.token_budget import Budget
        from lmkit.prompting.token_counts import size_in

        if self.model is None or self.max_tokens is None:
            return None
        if opening.is_folder(self.model):
            size = size_in(opening.open_tokenizer(self.model), None)
        else:
            opened = opening.open_any(self.model)
            size = size_in(opening.tokenizer_of(opened, self.model), getattr(opened, "form", None))
        return Budget(self.max_tokens - self.room, size)

    @staticmethod
    def report(run: Run, kept: Mapping[tuple[int, int], int]) -> None:
        """Reports how many examples fitted into how many prompts, most examples first."""
        parts: list[str] = []
        for (count, asked), prompts in sorted(kept.items(), reverse=True):
            nouns = ("", "") if parts else (" examples", " prompt" if prompts == 1 else " prompts")
            parts.append(f"{count} of {asked}{nouns[0]} in {prompts}{nouns[1]}")
        if parts:
            run.terminal.notice(f"kept {', '.join(parts)}")


@dataclass(frozen=True, kw_only=True)
class ExampleOptions:
    """The options for reading files of items and examples."""

    form: ItemsForm = "auto"
    shots_form: ShotsForm = "auto"
    input_field: InputField = None
    output_field: OutputField = None
    encoding_errors: EncodingErrors = "strict"

    @property
    def fields(self) -> Fields:
        """The named fields, or the default ones."""
        return fields_of(self.input_field, self.output_field)

    def items(self, run: Run, files: Sequence[str], otherwise: str = "text") -> Iterator[Example]:
        """The items of FILEs as they come; `otherwise` is the form of files whose names say none. Raises DataError."""
        return items(run, files, self.form, fields=self.fields, errors=self.encoding_errors, otherwise=otherwise)

    def examples(self, run: Run, shots: str) -> list[Example]:
        """The examples of SHOTS. Raises DataError for one without an output."""
        form = form_of(shots, self.shots_form, "tsv")
        form = "tsv" if form == "text" else form  # lines of a .txt file have their outputs behind a tab
        return list(examples(run, shots, form, labelled=True, fields=self.fields, errors=self.encoding_errors))


def _vectors(name: str) -> "Vector":
    """From a text to its mean vector. Raises CheckpointError where the model has none."""
    from lmkit.evaluation.pooling import text_vector
    from lmkit.protocols import F64, has_embeddings

    model = opening.open_any(name)
    if not has_embeddings(model):
        raise CheckpointError(f"{streams.display(name)}: a model of kind {model.kind} has no vectors")

    def vector(text: str) -> F64 | None:
        with opening.error_context(name):
            return text_vector(model, text)

    return vector


_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\"}


def unescaped(text: str) -> str:
    r"""A text as typed with `\n`, `\t` and `\\` read; other backslashes are themselves. Raises UsageError: no UTF-8."""
    whole = streams.argument_text(text)
    return re.sub(r"\\([nt\\])", lambda found: _ESCAPES[found[1]], whole)
