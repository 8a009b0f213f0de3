"""The options that several commands share: one name, one type and one help text each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import typer

from lmkit.io.messages import Terminal


class Mark(NamedTuple):
    """What an option is to a run that is recorded and resumed, beside its declaration in Annotated."""

    name: str


UNRECORDED = Mark("unrecorded")
"""It says nothing of what is learned, or names files: no checkpoint has it, and it may differ when a run is resumed."""
ADJUSTABLE = Mark("adjustable")
"""It is recorded, and may differ when a run is resumed: the run then ends elsewhere, as is wanted after it diverged."""


@dataclass(frozen=True)
class Run:
    """What every command gets beside its own options: its name, all settings, and who to tell.

    `declared` has the annotation of each setting, whose metadata are its parser and its marks.
    """

    command: str
    settings: dict[str, Any]
    terminal: Terminal
    declared: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    """Names of the options that were typed or stand in --config."""
    words: tuple[str, ...] = ()
    """The command line as it was typed, without `lmkit`."""

    def signed(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a report's record with the command line that made it, as a shell takes it."""
        import shlex

        return {**record, "command": shlex.join(["lmkit", *self.words])}

    def marked(self, mark: Mark) -> set[str]:
        """Return the names of the settings that have a mark."""
        return {name for name, kind in self.declared.items() if mark in getattr(kind, "__metadata__", ())}


def choice(*names: str, also: Mapping[str, str] | None = None) -> Callable[[str | None], str | None]:
    """A check that an option's value is one of `names`; `also` maps other spellings to them.

    The function carries `names`, for completions and manual pages.
    """

    def check(value: str | None) -> str | None:
        name = (also or {}).get(value, value) if value is not None else None
        if name is not None and name not in names:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(names)}.")
        return name

    check.names = names  # type: ignore[attr-defined]
    return check


def suggested(*names: str) -> Callable[[str | None], str | None]:
    """No check at all: an option that takes one of `names` or something else, such as a file."""

    def check(value: str | None) -> str | None:
        return value

    check.names = names  # type: ignore[attr-defined]
    return check


Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...", help="Text files, read in order. `-`, or no FILE, reads stdin.", show_default=False
    ),
    UNRECORDED,
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", show_default=False,
        help="Model: an lmkit checkpoint, a Hugging Face folder or its name in the local cache (`org/name`), a GGUF "
        "or ARPA file. `-` reads it from stdin; so does leaving it out when the texts are files.",
    ),
]  # fmt: skip
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", show_default=False,
        help="Model: an lmkit checkpoint, a Hugging Face folder or its name in the local cache (`org/name`), a GGUF "
        "or ARPA file. `-` reads it from stdin; so does leaving it out when the texts are files. Repeat for several "
        "models.",
    ),
]  # fmt: skip
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", show_default=False,
        help="Write to FILE instead of stdout (atomically).",
    ),
    UNRECORDED,
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON Lines in full precision."), UNRECORDED]
Bare = Annotated[bool, typer.Option("--bare", "-b", help="Print only the number, for scripts.")]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image", metavar="FILE", show_default=False,
        help="Image that a captioner sees before the prompt: PNG, JPEG or .npy. Repeat for several, in order.",
    ),
]  # fmt: skip
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, max=(1 << 63) - 1, help="Random seed.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        show_default="all cores",
        help="Number of threads. The result does not depend on it.",
    ),
    UNRECORDED,
]
ModelThreads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, show_default="all cores for big models, 1 for others",
        help="Number of threads. The result does not depend on it.",
    ),
]  # fmt: skip
TOKENS = ("word", "char", "byte")
Tokens = Annotated[
    str,
    typer.Option(
        "--tokens", metavar="KIND", callback=suggested(*TOKENS),
        help="Tokenizer: `word`, `char`, `byte`, or a checkpoint with a tokenizer, such as `bpe.lm`.",
    ),
]  # fmt: skip
EncodingErrors = Annotated[
    str,
    typer.Option(
        "--encoding-errors", metavar="MODE", callback=choice("strict", "replace"),
        help="Invalid UTF-8: `strict` fails, `replace` substitutes U+FFFD and reports how many. Byte-level tokens "
        "accept any input.",
    ),
]  # fmt: skip
NoEos = Annotated[bool, typer.Option("--no-eos", help="Do not score the end-of-line token.")]
Pseudo = Annotated[
    bool,
    typer.Option(
        "--pseudo",
        help="Pseudo-log-likelihood, for encoders: each token given all others of its line, with that token masked.",
    ),
]
Mix = Annotated[
    str | None,
    typer.Option(
        "--mix", metavar="WEIGHTS", callback=suggested("auto"), show_default=False,
        help="Linear interpolation of the models, with weights such as `0.7,0.3`, or `auto` to estimate them on "
        "--mix-text.",
    ),
]  # fmt: skip
MixText = Annotated[
    str | None,
    typer.Option("--mix-text", metavar="FILE", show_default=False, help="Development text for --mix auto."),
]
Stride = Annotated[
    int | None,
    typer.Option(
        "--stride", metavar="N", min=1, show_default="half the context length",
        help="Stride, in tokens, of a transformer's sliding window over texts longer than its context length.",
    ),
]  # fmt: skip
BatchTokens = Annotated[
    int | None,
    typer.Option(
        "--batch-tokens", metavar="N", min=1, show_default="4096",
        help="Batch size of neural models, in tokens. It changes speed and memory, never the scores.",
    ),
]  # fmt: skip
DEVICES = ("cpu", "cuda", "mps")
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="NAME", callback=choice(*DEVICES), help="Device for neural models: `cpu`, `cuda` or `mps`."
    ),
    UNRECORDED,
]
Prompt = Annotated[
    str, typer.Option("--prompt", metavar="TEXT", help="Prompt: the text to continue.", show_default=False)
]
OptionalPrompt = Annotated[
    str | None, typer.Option("--prompt", metavar="TEXT", help="Prompt: the text to continue.", show_default=False)
]
Bos = Annotated[
    str,
    typer.Option(
        "--bos", metavar="MODE", callback=choice("auto", "always", "never"),
        help="Start token before each text: `auto` follows the model's tokenizer; or `always`, `never`.",
    ),
]  # fmt: skip
ParseSpecial = Annotated[
    bool, typer.Option("--parse-special", help="Parse special tokens: read their names in the text as the tokens.")
]
Window = Annotated[
    bool,
    typer.Option(
        "--window", help="Truncate a prompt longer than the context length to its last tokens, instead of refusing it."
    ),
]
WordWindow = Annotated[
    int,
    typer.Option("--window", metavar="N", min=1, help="Window size: context words on each side of the centre word."),
]
Temperature = Annotated[
    float,
    typer.Option(
        "--temperature", "-t", metavar="T", min=0.0, help="Temperature: divide log-probabilities by T. 0 is greedy."
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory", metavar="SIZE", show_default="half of the free memory",
        help="Memory limit, such as `2G`. Beyond it, temporary files are used.",
    ),
]  # fmt: skip
TempDir = Annotated[
    str | None,
    typer.Option("--temp-dir", metavar="DIR", show_default="$TMPDIR", help="Folder for temporary files."),
    UNRECORDED,
]
Unit = Annotated[
    str,
    typer.Option(
        "--unit", metavar="UNIT", callback=choice("bits", "nats", "hartleys"),
        help="Unit of information: `bits`, `nats` or `hartleys` (decimal digits).",
    ),
]  # fmt: skip
Embeddings = Annotated[
    str | None,
    typer.Option(
        "--embeddings", metavar="MODEL", show_default=False,
        help="Initialise embeddings from MODEL's vectors. Words that it lacks start at random.",
    ),
    UNRECORDED,
]  # fmt: skip
Log = Annotated[
    str | None,
    typer.Option(
        "--log",
        metavar="FILE",
        show_default=False,
        help="Write training events to FILE as JSON Lines, while they happen.",
    ),
    UNRECORDED,
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue an interrupted run from OUTPUT.state. Start a new run if neither it nor OUTPUT exists.",
    ),
    UNRECORDED,
]
Restart = Annotated[
    bool,
    typer.Option("--restart", help="Start a new run even if an interrupted one left OUTPUT.state, which is removed."),
    UNRECORDED,
]
SaveEvery = Annotated[
    float,
    typer.Option(
        "--save-every", metavar="SECONDS", min=0.0, help="Seconds between saves of the state file, OUTPUT.state."
    ),
    UNRECORDED,
]
Resamples = Annotated[
    int,
    typer.Option(
        "--resamples",
        metavar="N",
        min=0,
        max=1_000_000,
        help="Bootstrap resamples for confidence intervals. 0 turns them off.",
    ),
]
Level = Annotated[
    float, typer.Option("--level", metavar="P", min=0.0, max=1.0, help="Confidence level of the intervals.")
]
