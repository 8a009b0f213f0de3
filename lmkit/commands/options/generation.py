"""Options of `lmkit sample` alone, and the sections of its help."""

from dataclasses import dataclass
from typing import Annotated

import typer

from lmkit.commands.options.sampling import FILTERS, PENALTIES
from lmkit.commands.options.standard import Bos, EncodingErrors, Json, ParseSpecial, Prompt, Window, choice
from lmkit.commands.records.prompts import FORMS
from lmkit.errors import UsageError

SECTIONS = {
    "Input": ("files", "model", "prompt", "form", "encoding_errors", "parse_special", "bos", "window"),
    "Output": ("number", "max_tokens", "stop", "echo", "separator", "logprobs", "explain", "json", "output"),
    "Search": (
        "greedy", "beam", "length_penalty", "groups", "diversity", "keep_greedy", "contrastive",
    ),
    "Sampling": (
        "seed", "ancestral", *FILTERS, "order", "mirostat", "mirostat_rate", "unknown", "defaults",
    ),
    "Penalties": (*PENALTIES, "penalty_scope"),
    "Constraints": ("json_schema", "regex", "choice", "grammar", "format"),
    "Speed": ("batch", "draft", "lookup", "draft_tokens", "threads", "device"),
}  # fmt: skip
"""What the command's parameters are about; each stands in one of these sections of its help."""

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
        "--input", metavar="FORM", callback=choice(*FORMS),
        help="What FILEs hold: `text`, `jsonl`, or `auto`: JSON Lines where the name ends in .jsonl or .ndjson.",
    ),
]  # fmt: skip
Number = Annotated[
    int,
    typer.Option("--number", "-n", metavar="N", min=1, help="Texts for each prompt."),
]
MaxTokens = Annotated[
    int,
    typer.Option(
        "--max-tokens", metavar="N", min=1, help="Longest continuation, in tokens."
    ),
]  # fmt: skip
Stop = Annotated[
    list[str] | None,
    typer.Option(
        "--stop", metavar="TEXT", show_default=False,
        help="End before this text; may be repeated.",
    ),
]  # fmt: skip
Echo = Annotated[bool, typer.Option("--echo", help="Print the prompt in front of each continuation.")]
Separator = Annotated[
    str | None,
    typer.Option(
        "--separator", metavar="TEXT", show_default=False,
        help="A line between texts, whose own line ends then stay as they are.",
    ),
]  # fmt: skip
Logprobs = Annotated[
    int | None,
    typer.Option(
        "--logprobs", metavar="K", min=0, show_default=False,
        help="With --json: how probable each token was, and the K most probable in its place.",
    ),
]  # fmt: skip
Explain = Annotated[
    bool, typer.Option("--explain", help="The tokens that each was drawn from, or what a search kept at each step.")
]
Defaults = Annotated[
    bool,
    typer.Option(
        "--defaults", help="Take what the model's generation_config says for options that are not given."
    ),
]  # fmt: skip
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, show_default="all cores, where they pay",
        help="Threads, or processes that share many texts of a small model; the result does not depend on it.",
    ),
]  # fmt: skip
Batch = Annotated[
    int,
    typer.Option(
        "--batch", metavar="N", min=1,
        help="Texts that are run at once, where the model can; the result does not depend on it.",
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """The options of prompts."""

    prompt: Prompt = ""
    form: InputForm = "auto"
    encoding_errors: EncodingErrors = "strict"
    parse_special: ParseSpecial = False
    bos: Bos = "auto"
    window: Window = False


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """The options of what is told of each text."""

    echo: Echo = False
    separator: Separator = None
    logprobs: Logprobs = None
    explain: Explain = False
    json: Json = False

    def check(self, *, as_records: bool) -> None:
        """Raises UsageError for options about another form of output."""
        if self.separator is not None and (as_records or self.explain):
            raise UsageError(f"--separator is about texts, not {'records' if as_records else 'tables'}")
        if self.logprobs is not None and not as_records:
            raise UsageError("--logprobs is about records", hint="--json gives these")
