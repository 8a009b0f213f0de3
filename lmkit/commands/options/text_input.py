"""The options about files of running text: their format, and the field that holds the text."""

from dataclasses import dataclass
from typing import Annotated

import typer

from lmkit.commands.options.option_groups import Before
from lmkit.commands.options.standard import UNRECORDED, choice
from lmkit.errors import UsageError
from lmkit.io.record_reader import FORMS, files_in
from lmkit.io.text_sources import FIELD, TextSource


def expanded(names: list[str] | None) -> list[str] | None:
    """The files that are meant: of a folder those in it. Raises DataError."""
    return None if names is None else [file for name in names for file in files_in(name)]


TextFiles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...", callback=expanded, show_default=False,
        help="Text files, or folders of them, read in order. `-`, or no FILE, reads stdin.",
    ),
    UNRECORDED,
]  # fmt: skip
InputForm = Annotated[
    str,
    typer.Option(
        "--input", metavar="FORMAT", callback=choice("auto", *FORMS),
        help="Input format: plain `text`, records in `jsonl`, `csv`, `tsv` or `parquet`, or `auto`, by the name, such "
        "as texts.jsonl.gz, else text.",
    ),
    UNRECORDED,
    Before("encoding_errors"),
]  # fmt: skip
TextField = Annotated[
    str | None,
    typer.Option(
        "--field", metavar="NAME", show_default=FIELD,
        help="Text field: the field of each record, or column under a header, that holds the text. Files whose names "
        "show no format are then read as JSON Lines.",
    ),
    UNRECORDED,
    Before("encoding_errors"),
]  # fmt: skip


@dataclass(frozen=True)
class TextInput:
    """How the texts of a command are stored; the fields are options, by their names."""

    input_form: InputForm = "auto"
    text_field: TextField = None

    def refuse_beside(self, option: str) -> None:
        """Raises UsageError where one of the options was given beside one that has no text read."""
        if self.input_form != "auto" or self.text_field is not None:
            raise UsageError(f"--input and --field are about texts and cannot be combined with {option}")

    @property
    def source(self) -> TextSource:
        """The same for readers. Raises UsageError for what cannot be combined."""
        return TextSource(self.input_form, self.text_field)
