"""Options of `lmkit sample` alone, and the sections of its help."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.sampling import FILTERS, PENALTIES
from lmkit.commands.options.standard import Bos, EncodingErrors, Json, ParseSpecial, Prompt, Window, choice
from lmkit.commands.records.prompts import FORMS
from lmkit.errors import UsageError

if TYPE_CHECKING:  # numpy is not needed to find out that options don't go together
    from lmkit.generation.search_plan import SearchPlan

DIVERSITY = 0.5  # nats, where --diversity does not say

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
        "--input", metavar="FORM", callback=choice("auto", *FORMS),
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

    @property
    def traced(self) -> bool:
        """Whether something is to be kept of each step."""
        return self.logprobs is not None or self.explain

    def check(self) -> None:
        """Raises UsageError for options about another form of output."""
        if self.separator is not None and (self.json or self.explain):
            raise UsageError(f"--separator is about texts, not {'records' if self.json else 'tables'}")
        if self.logprobs is not None and not self.json:
            raise UsageError("--logprobs is about records", hint="--json gives these")


LengthPenalty = Annotated[
    float,
    typer.Option(
        "--length-penalty", metavar="A", min=-10, max=10,
        help="Beams end up ranked by nats / length^A, length in tokens with the end's; 0: by nats alone.",
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The options of searches."""

    beam: Annotated[
        int,
        typer.Option(
            "--beam",
            metavar="N",
            min=0,
            help="Beam search: the N most probable unfinished texts go on at each step; -n of N are printed. 0: off.",
        ),
    ] = 0
    length_penalty: LengthPenalty = 0.0
    groups: Annotated[
        int,
        typer.Option(
            "--groups",
            metavar="N",
            min=1,
            help="Diverse beams: N groups of equal size choose one after another, each avoiding what those before "
            "chose.",
        ),
    ] = 1
    diversity: Annotated[
        float | None,
        typer.Option(
            "--diversity",
            metavar="S",
            min=0.0,
            show_default="0.5 with --groups",
            help="Nats that a token costs a group for each time that groups before chose it at this step.",
        ),
    ] = None
    keep_greedy: Annotated[
        bool,
        typer.Option(
            "--keep-greedy",
            help="The greedy text competes with those of the beams, so that the best is never worse than it.",
        ),
    ] = False
    contrastive: Annotated[
        float | None,
        typer.Option(
            "--contrastive",
            metavar="ALPHA",
            min=0.0,
            max=1.0,
            show_default=False,
            help="Contrastive search: of the -k most probable tokens (4 unless given) the one with the greatest "
            "(1 - ALPHA) p - ALPHA times the cosine of its hidden state to the nearest one before.",
        ),
    ] = None

    @property
    def named(self) -> dict[str, bool]:
        """The two ways to search, and whether each is asked for."""
        return {"--beam": self.beam > 0, "--contrastive": self.contrastive is not None}

    def plan(self, *, explain: bool, number: int, top_k: int, others: Mapping[str, bool]) -> "SearchPlan | None":
        """The search that options ask for, None for none; `others` are options that draw, and their use.

        Raises UsageError where options do not go together.
        """
        parts = {
            "--length-penalty": self.length_penalty != 0, "--groups": self.groups != 1,
            "--diversity": self.diversity is not None, "--keep-greedy": self.keep_greedy,
        }  # fmt: skip
        beam, groups = self.beam, self.groups
        used = [name for name, given in self.named.items() if given]
        if not beam and any(parts.values()):
            first = next(name for name, given in parts.items() if given)
            raise UsageError(f"{first} is about beams", hint="--beam N searches with N of them")
        if not used:
            return None
        wrong = used[1:] + [name for name, given in {**others, "--top-k": bool(beam and top_k)}.items() if given]
        if wrong:
            raise UsageError(f"{' and '.join([used[0], *wrong])} do not go together")
        if self.diversity is not None and groups == 1:
            raise UsageError("--diversity keeps groups apart, and there is one", hint="--groups N makes several")
        if beam and number > beam:
            raise UsageError(f"-n {number} of a beam of {beam}", hint="--beam N finds at most N texts")
        if beam % groups:
            raise UsageError(f"--beam {beam} does not part into {groups} equal groups")
        from lmkit.generation.search_plan import SearchPlan

        diversity = DIVERSITY if self.diversity is None else self.diversity
        return SearchPlan(
            beam, self.length_penalty, groups, diversity, self.keep_greedy, self.contrastive, explain, number, top_k
        )


@dataclass(frozen=True, kw_only=True)
class SpeculativeOptions:
    """The options of drafts."""

    draft: Annotated[
        str | None,
        typer.Option(
            "--draft",
            metavar="MODEL",
            show_default=False,
            help="A smaller model of the same tokens that proposes some; never changes the text.",
        ),
    ] = None
    lookup: Annotated[
        int | None,
        typer.Option(
            "--lookup",
            metavar="N",
            min=1,
            max=16,
            show_default=False,
            help="Propose what followed where the last tokens, up to N, stood before; never changes the text.",
        ),
    ] = None
    draft_tokens: Annotated[
        int | None,
        typer.Option(
            "--draft-tokens",
            metavar="N",
            min=1,
            max=256,
            show_default="15",
            help="Propose at most N tokens at once.",
        ),
    ] = None

    @property
    def asked(self) -> bool:
        """Whether something is to propose tokens."""
        return self.draft is not None or self.lookup is not None

    def check(self, others: Mapping[str, bool]) -> None:
        """Raises UsageError where another option does not go with drafts."""
        if not self.asked:
            if self.draft_tokens is not None:
                raise UsageError("--draft-tokens needs --draft or --lookup")
            return
        named = {"--draft": self.draft is not None, "--lookup": self.lookup is not None}
        wrong = [name for name, used in others.items() if used]
        if wrong:
            raise UsageError(f"{' and '.join([*(name for name in named if named[name]), *wrong])} do not go together")
