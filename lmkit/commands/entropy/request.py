"""The request of `lmkit entropy`: its options, which of them can be combined, and the form of its answers."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lmkit.commands.options.figures import Plot
from lmkit.commands.options.standard import (
    Bare,
    EncodingErrors,
    Json,
    Memory,
    Output,
    Run,
    TempDir,
    Unit,
    choice,
)
from lmkit.commands.options.text_input import TextFiles, TextInput, expanded
from lmkit.errors import UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table

SECTIONS = {
    "Input": (
        "files", "text", "probs", "counts", "joint", "normalize", "input_form", "text_field",
        "encoding_errors",
    ),
    "Measure": (
        "unit_of", "order", "model", "against", "add", "compare", "correction", "window", "step", "unit",
    ),
    "Output and resources": ("memory", "temp_dir", "plot", "json", "bare", "output"),
}  # fmt: skip


@dataclass(frozen=True)
class EntropyRequest(TextInput):
    """What the user asked for; the fields are options, by their names."""

    files: TextFiles = None
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text",
            metavar="FILE",
            callback=expanded,
            show_default=False,
            help="Text to measure; the same as FILE. `-` reads stdin.",
        ),
    ] = None
    probs: Annotated[
        bool,
        typer.Option(
            "--probs",
            help="Read probabilities from the FILEs, one or more per line.",
        ),
    ] = False
    counts: Annotated[
        bool,
        typer.Option(
            "--counts",
            help="Read counts from the FILEs, `symbol TAB count` per line.",
        ),
    ] = False
    joint: Annotated[
        str | None,
        typer.Option(
            "--joint",
            metavar="FILE",
            show_default=False,
            help="Joint distribution: a matrix of probabilities or counts, with X in rows and Y in columns.",
        ),
    ] = None
    normalize: Annotated[bool, typer.Option("--normalize", help="Rescale probabilities to sum to 1.")] = False
    unit_of: Annotated[
        str | None,
        typer.Option(
            "--unit-of",
            metavar="SYMBOL",
            show_default="byte",
            callback=choice("byte", "char", "word", "line", "token", also={"bpe": "token"}),
            help="Symbols to count: `byte`, `char`, `word`, `line`, or `token` (with MODEL's tokenizer).",
        ),
    ] = None
    order: Annotated[
        int,
        typer.Option(
            "--order",
            metavar="K",
            min=0,
            max=64,
            help="Order of the conditional entropy: condition on the K symbols before. 0 is unconditional.",
        ),
    ] = 0
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            show_default=False,
            help="Cross-entropy under MODEL. With `--unit-of token`, count the tokens of its tokenizer instead.",
        ),
    ] = None
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="FILE",
            show_default=False,
            help="Cross-entropy and divergences with respect to FILE.",
        ),
    ] = None
    add: Annotated[
        float,
        typer.Option(
            "--add",
            metavar="A",
            min=0.0,
            help="Additive smoothing for --against: add A to each count of both texts.",
        ),
    ] = 0.0
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="LIST",
            show_default=False,
            help="Compare with compressors: a comma-separated list of gzip, zlib, bz2, lzma, xz, zstd.",
        ),
    ] = None
    correction: Annotated[
        str,
        typer.Option(
            "--correction",
            metavar="NAME",
            callback=choice("none", "miller-madow", "grassberger", "grassberger-1988"),
            help="Bias correction: `none`, `miller-madow`, `grassberger` or `grassberger-1988`.",
        ),
    ] = "none"
    window: Annotated[
        int | None,
        typer.Option(
            "--window",
            metavar="N",
            min=1,
            show_default=False,
            help="Windowed entropy: measure each N symbols as they arrive. An incomplete last window is ignored.",
        ),
    ] = None
    step: Annotated[
        int | None,
        typer.Option("--step", metavar="M", min=1, show_default="N", help="Step between windows, in symbols."),
    ] = None
    unit: Unit = "bits"
    memory: Memory = None
    temp_dir: TempDir = None
    encoding_errors: EncodingErrors = "strict"
    plot: Plot = None
    json: Json = False
    bare: Bare = False
    output: Output = None

    @property
    def inputs(self) -> list[str]:
        """Names of the files that are measured, stdin where none is named."""
        return [*(self.files or []), *(self.text or [])] or [streams.STDIN if self.joint is None else self.joint]

    @property
    def modes(self) -> list[str]:
        """The modes that options name."""
        named = {"probs": self.probs, "counts": self.counts, "joint": self.joint is not None}
        return [mode for mode, given in named.items() if given]

    @property
    def mode(self) -> str:
        """What is asked for, one of MODES."""
        if self.modes:
            return self.modes[0]
        if self.model is not None and self.unit_of != "token":
            return "model"
        if self.against is not None:
            return "against"
        return "text" if self.window is None else "window"

    def check(self) -> None:
        """Raises UsageError for options that cannot be combined."""
        if self.joint is not None and (self.files or self.text):
            raise UsageError("--joint cannot be combined with FILEs")
        if len(self.modes) > 1:
            raise UsageError(f"{' and '.join(f'--{mode}' for mode in self.modes)} exclude each other")
        given = {
            "--normalize": self.normalize, "-m": self.model is not None, "--unit-of": self.unit_of is not None,
            "--order": self.order > 0, "--against": self.against is not None, "--add": self.add > 0,
            "--compare": self.compare is not None, "--correction": self.correction != "none",
            "--window": self.window is not None, "--step": self.step is not None,
            "--plot": self.plot is not None,
            "--input": self.input_form != "auto", "--field": self.text_field is not None,
        }  # fmt: skip
        for option in given:
            if given[option] and option not in TAKEN[self.mode]:
                raise UsageError(f"{option} cannot be combined with {NAMES[self.mode]}")
        if self.correction != "none" and self.against is not None:
            raise UsageError("--correction cannot be combined with --against")
        if self.unit_of == "token" and self.model is None:
            raise UsageError("tokens need a tokenizer", hint="-m MODEL names a checkpoint that has one")
        if self.window is not None and self.window <= self.order:
            raise UsageError(f"--window {self.window} is too short for --order {self.order}")
        if self.step is not None and self.window is None:
            raise UsageError("--step needs --window N")

    def information(self, bits: float) -> float:
        """An amount in the unit asked for."""
        from lmkit.information.measures import in_unit

        return in_unit(bits, self.unit)

    def answer(self, bits: float) -> dict[str, Any]:
        """What every answer begins with."""
        from lmkit.information.measures import perplexity

        return {"entropy": self.information(bits), "unit": self.unit, "perplexity": perplexity(bits)}

    def pair(self, pair: Any) -> dict[str, Any]:
        """The answer about two distributions."""
        from lmkit.information.measures import entropy

        figures = {key: self.information(bits) for key, bits in pair.figures().items()}
        return {**self.answer(entropy(pair.p)), **figures}


def tell_infinite(run: Run, asked: EntropyRequest, pair: Any) -> None:
    """Says what makes a divergence infinite, and what makes it finite."""
    import math

    if math.isinf(pair.figures()["divergence"]):
        run.terminal.notice(
            f"the divergence is infinite: {streams.display(str(asked.against))} lacks symbols of the text; "
            "--add 1 adds 1 to each count of both"
        )


STORED = ("--input", "--field")
TAKEN = {
    "probs": {"--normalize", "--against"},
    "counts": {"--correction", "--against", "--add"},
    "joint": {"--normalize"},
    "model": {"-m", *STORED},
    "against": {"-m", "--unit-of", "--against", "--add", *STORED},
    "window": {"-m", "--unit-of", "--order", "--window", "--step", "--correction", "--plot", *STORED},
    "text": {
        "-m",
        "--unit-of",
        "--order",
        "--step",
        "--compare",
        "--correction",
        "--plot",
        *STORED,
    },  # of --step more is said
}
NAMES = {
    "probs": "--probs", "counts": "--counts", "joint": "--joint", "model": "-m without --unit-of token",
    "against": "--against", "window": "--window", "text": "a text",
}  # fmt: skip


def show(run: Run, asked: EntropyRequest, out: outputs.Output, record: dict[str, Any], bare: str = "entropy") -> None:
    """Prints an answer of one record, or only its number named `bare`."""
    if asked.bare:
        out.line(repr(record[bare]))
    else:
        Table(out, list(record), as_json=asked.json).row(run.signed(record))


def correction(asked: EntropyRequest, bits: float) -> dict[str, Any]:
    """The correction's name, and what the entropy is without it."""
    if asked.correction == "none":
        return {}
    return {"correction": asked.correction, "uncorrected": asked.information(bits)}
