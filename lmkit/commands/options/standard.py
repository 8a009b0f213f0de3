"""The options that several commands share: one name, one type and one help text each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import typer

from lmkit.io.terminal import Terminal


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
    typer.Argument(metavar="[FILE]...", help="Text files, read in order; `-` or none: stdin.", show_default=False),
    UNRECORDED,
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", show_default=False,
        help="Checkpoint, folder or ARPA file; `-`, or none while texts are files: stdin.",
    ),
]  # fmt: skip
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", show_default=False,
        help="Checkpoint, folder or ARPA file; `-`, or none while texts are files: stdin. Repeat for several.",
    ),
]  # fmt: skip
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", show_default=False,
        help="Write to FILE, whole or not at all, instead of stdout.",
    ),
    UNRECORDED,
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON Lines, full precision."), UNRECORDED]
Bare = Annotated[bool, typer.Option("--bare", "-b", help="Print only the number.")]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, max=(1 << 63) - 1, help="Seed of every random choice.")
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, show_default="all cores", help="Threads; the result does not depend on it."
    ),
    UNRECORDED,
]
ModelThreads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, show_default="all cores for big models, 1 for others",
        help="Threads; the result does not depend on it.",
    ),
]  # fmt: skip
TOKENS = ("word", "char", "byte")
Tokens = Annotated[
    str,
    typer.Option(
        "--tokens", metavar="KIND", callback=suggested(*TOKENS),
        help="What a token is: `word`, `char`, `byte`, or a checkpoint with a tokenizer, such as `bpe.lm`.",
    ),
]  # fmt: skip
EncodingErrors = Annotated[
    str,
    typer.Option(
        "--encoding-errors", metavar="WAY", callback=choice("strict", "replace"),
        help="Bytes that are not UTF-8: `strict` refuses them, `replace` goes on and counts them; "
        "tokens of bytes take any.",
    ),
]  # fmt: skip
NoEos = Annotated[bool, typer.Option("--no-eos", help="Do not score the end of each line.")]
Mix = Annotated[
    str | None,
    typer.Option(
        "--mix", metavar="WEIGHTS", callback=suggested("auto"), show_default=False,
        help="Mix the models: weights such as `0.7,0.3`, or `auto` to find them on --mix-text.",
    ),
]  # fmt: skip
MixText = Annotated[
    str | None,
    typer.Option("--mix-text", metavar="FILE", show_default=False, help="Text on which --mix auto finds the weights."),
]
Stride = Annotated[
    int | None,
    typer.Option(
        "--stride", metavar="N", min=1, show_default="half the context",
        help="How many tokens a transformer's windows move on by in texts longer than its context.",
    ),
]  # fmt: skip
BatchTokens = Annotated[
    int | None,
    typer.Option(
        "--batch-tokens", metavar="N", min=1, show_default="4096",
        help="Most tokens that a neural model takes at once; more memory, the same numbers.",
    ),
]  # fmt: skip
DEVICES = ("cpu", "cuda", "mps")
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="NAME", callback=choice(*DEVICES), help="Where neural models run: `cpu`, `cuda` or `mps`."
    ),
    UNRECORDED,
]
Prompt = Annotated[str, typer.Option("--prompt", metavar="TEXT", help="Text to go on from.", show_default=False)]
OptionalPrompt = Annotated[
    str | None, typer.Option("--prompt", metavar="TEXT", help="Text to go on from.", show_default=False)
]
Bos = Annotated[
    str,
    typer.Option(
        "--bos", metavar="MODE", callback=choice("auto", "always", "never"),
        help="Start token in front of texts: `auto`, as the model's own tokenizer does; `always`; `never`.",
    ),
]  # fmt: skip
ParseSpecial = Annotated[
    bool, typer.Option("--parse-special", help="Names of special tokens in the text mean the tokens.")
]
Window = Annotated[
    bool,
    typer.Option(
        "--window", help="Use the last tokens of a prompt longer than the model's context, instead of refusing it."
    ),
]
WordWindow = Annotated[
    int, typer.Option("--window", metavar="N", min=1, help="Words on either side of a word that are its context.")
]
Temperature = Annotated[
    float, typer.Option("--temperature", "-t", metavar="T", min=0.0, help="Divide log-probabilities by T; 0: greedy.")
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory", metavar="SIZE", show_default="half of what is free",
        help="Memory for counting, such as `2G`; beyond it sorted runs go to disk.",
    ),
]  # fmt: skip
TempDir = Annotated[
    str | None,
    typer.Option("--temp-dir", metavar="DIR", show_default="$TMPDIR", help="Where runs are kept meanwhile."),
    UNRECORDED,
]
Unit = Annotated[
    str,
    typer.Option(
        "--unit", metavar="UNIT", callback=choice("bits", "nats", "hartleys"),
        help="Unit of the answer: `bits`, `nats` or `hartleys`, which are decimal digits.",
    ),
]  # fmt: skip
Embeddings = Annotated[
    str | None,
    typer.Option(
        "--embeddings", metavar="MODEL", show_default=False,
        help="Begin with MODEL's vectors for the words that it has; other words begin at random.",
    ),
    UNRECORDED,
]  # fmt: skip
Log = Annotated[
    str | None,
    typer.Option("--log", metavar="FILE", show_default=False, help="Write events to FILE, JSON Lines, as they come."),
    UNRECORDED,
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on from OUTPUT.state, where an earlier run was stopped; else begin."),
    UNRECORDED,
]
SaveEvery = Annotated[
    float,
    typer.Option("--save-every", metavar="SECONDS", min=0.0, help="Seconds between saves of OUTPUT.state."),
    UNRECORDED,
]
Resamples = Annotated[
    int,
    typer.Option(
        "--resamples", metavar="N", min=0, max=1_000_000, help="Times that the items are drawn again; 0: no intervals."
    ),
]
Level = Annotated[
    float, typer.Option("--level", metavar="P", min=0.0, max=1.0, help="Share of the resamples that an interval holds.")
]
