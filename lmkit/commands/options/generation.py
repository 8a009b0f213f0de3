"""Options of `lmkit sample` alone, and the sections of its help."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.sampling import FILTERS, PENALTIES
from lmkit.commands.options.standard import Bos, EncodingErrors, Images, Json, ParseSpecial, Prompt, Window, choice
from lmkit.commands.records.prompts import FORMS
from lmkit.errors import UsageError

if TYPE_CHECKING:  # numpy is not needed to refuse a combination of options
    from lmkit.generation.search_plan import SearchPlan

DIVERSITY = 0.5  # nats, where --diversity does not say

SECTIONS = {
    "Input": ("files", "model", "prompt", "images", "form", "encoding_errors", "parse_special", "bos", "window"),
    "Output": ("number", "max_tokens", "stop", "echo", "separator", "logprobs", "explain", "json", "output"),
    "Search": (
        "greedy", "beam", "length_penalty", "groups", "diversity", "keep_greedy", "beam_patience", "contrastive",
    ),
    "Sampling": (
        "seed", "ancestral", *FILTERS, "order", "mirostat", "mirostat_rate", "unknown", "defaults",
    ),
    "Penalties": (*PENALTIES, "penalty_scope"),
    "Constraints": ("json_schema", "regex", "choice", "grammar", "format"),
    "Speed": ("batch", "draft", "lookup", "draft_tokens", "threads", "device"),
}  # fmt: skip
"""Sections of the command's help, and the parameters in each."""

Prompts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...", show_default=False,
        help="Prompts: one per line, or JSON Lines with a field `prompt`; `-`: stdin; none: --prompt.",
    ),
]  # fmt: skip
InputForm = Annotated[
    str,
    typer.Option(
        "--input", metavar="FORM", callback=choice("auto", *FORMS),
        help="Format of FILEs: `text`, `jsonl`, or `auto` (JSON Lines if the name ends in .jsonl or .ndjson).",
    ),
]  # fmt: skip
Number = Annotated[
    int,
    typer.Option("--number", "-n", metavar="N", min=1, help="Number of texts per prompt."),
]
MaxTokens = Annotated[
    int,
    typer.Option(
        "--max-tokens", metavar="N", min=1, help="Maximum length of a continuation, in tokens."
    ),
]  # fmt: skip
Stop = Annotated[
    list[str] | None,
    typer.Option(
        "--stop", metavar="TEXT", show_default=False,
        help="Stop string: end the text before TEXT. Repeat for several.",
    ),
]  # fmt: skip
Echo = Annotated[bool, typer.Option("--echo", help="Print the prompt before each continuation.")]
Separator = Annotated[
    str | None,
    typer.Option(
        "--separator", metavar="TEXT", show_default=False,
        help="Print TEXT as a line between texts; line ends within texts are then kept.",
    ),
]  # fmt: skip
Logprobs = Annotated[
    int | None,
    typer.Option(
        "--logprobs", metavar="K", min=0, show_default=False,
        help="Add log-probabilities to --json: of each token and of the K most probable at its position.",
    ),
]  # fmt: skip
Explain = Annotated[
    bool, typer.Option("--explain", help="Show the candidates of each step, or what a search kept at each step.")
]
Defaults = Annotated[
    bool,
    typer.Option(
        "--defaults", help="Use the model's generation_config for options that are not given."
    ),
]  # fmt: skip
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, show_default="all cores where that is faster",
        help="Number of threads, or of processes for many texts of a small model; the result does not depend on it.",
    ),
]  # fmt: skip
Batch = Annotated[
    int,
    typer.Option(
        "--batch", metavar="N", min=1,
        help="Number of texts that advance together, if the model can; the result does not depend on it.",
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """The options of prompts."""

    prompt: Prompt = ""
    images: Images = None
    form: InputForm = "auto"
    encoding_errors: EncodingErrors = "strict"
    parse_special: ParseSpecial = False
    bos: Bos = "auto"
    window: Window = False


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """The options of what is printed for each text."""

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
            raise UsageError(f"--separator applies to texts, not to {'records' if self.json else 'tables'}")
        if self.logprobs is not None and not self.json:
            raise UsageError("--logprobs needs --json")


LengthPenalty = Annotated[
    float,
    typer.Option(
        "--length-penalty", metavar="A", min=-10, max=10,
        help="Rank finished beams by nats / length^A; length counts tokens, the end token included (0 = nats alone).",
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
            help="Beam search: keep the N most probable texts at each step and print the best -n of them (0 = off).",
        ),
    ] = 0
    length_penalty: LengthPenalty = 0.0
    groups: Annotated[
        int,
        typer.Option(
            "--groups",
            metavar="N",
            min=1,
            help="Diverse beam search: N groups of equal size choose in turn, avoiding the tokens of earlier groups.",
        ),
    ] = 1
    diversity: Annotated[
        float | None,
        typer.Option(
            "--diversity",
            metavar="S",
            min=0.0,
            show_default="0.5 with --groups",
            help="Diversity penalty, in nats, for each time that earlier groups chose a token at the same step.",
        ),
    ] = None
    keep_greedy: Annotated[
        bool,
        typer.Option(
            "--keep-greedy",
            help="Let the greedy text compete with the beams, so that the best is never worse than greedy.",
        ),
    ] = False
    beam_patience: Annotated[
        float,
        typer.Option(
            "--beam-patience", metavar="F", min=0.0, max=100.0,
            help="Stop a beam search when F times N texts have ended (1: as most translators do); 0: when no other can "
            "be better, which takes far longer with a length penalty.",
        ),
    ] = 0.0  # fmt: skip
    contrastive: Annotated[
        float | None,
        typer.Option(
            "--contrastive",
            metavar="ALPHA",
            min=0.0,
            max=1.0,
            show_default=False,
            help="Contrastive search: of the -k most probable tokens (default 4) choose the one with the highest (1 - "
            "ALPHA) p - ALPHA c, where c is the highest cosine of its hidden state with an earlier one.",
        ),
    ] = None

    @property
    def named(self) -> dict[str, bool]:
        """The two kinds of search, and whether each is asked for."""
        return {"--beam": self.beam > 0, "--contrastive": self.contrastive is not None}

    def plan(self, *, explain: bool, number: int, top_k: int, others: Mapping[str, bool]) -> "SearchPlan | None":
        """The search that options ask for, None for none; `others` are options that draw, and their use.

        Raises UsageError where options cannot be combined.
        """
        parts = {
            "--length-penalty": self.length_penalty != 0, "--groups": self.groups != 1,
            "--diversity": self.diversity is not None, "--keep-greedy": self.keep_greedy,
            "--beam-patience": self.beam_patience > 0,
        }  # fmt: skip
        beam, groups = self.beam, self.groups
        used = [name for name, given in self.named.items() if given]
        if not beam and any(parts.values()):
            first = next(name for name, given in parts.items() if given)
            raise UsageError(f"{first} needs --beam", hint="use --beam N for a search with N beams")
        if not used:
            return None
        wrong = used[1:] + [name for name, given in {**others, "--top-k": bool(beam and top_k)}.items() if given]
        if wrong:
            raise UsageError(f"{' and '.join([used[0], *wrong])} cannot be combined")
        if self.diversity is not None and groups == 1:
            raise UsageError("--diversity needs more than one group", hint="use --groups N for N groups")
        if beam and number > beam:
            raise UsageError(f"-n {number} is more than --beam {beam}", hint="--beam N finds at most N texts")
        if beam % groups:
            raise UsageError(f"--beam {beam} cannot be divided into {groups} equal groups")
        from lmkit.generation.search_plan import SearchPlan

        diversity = DIVERSITY if self.diversity is None else self.diversity
        return SearchPlan(
            beam,
            self.length_penalty,
            groups,
            diversity,
            self.keep_greedy,
            self.beam_patience,
            self.contrastive,
            explain,
            number,
            top_k,
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
            help="Speculative decoding: a smaller model with the same tokenizer drafts tokens. The output is "
            "unchanged.",
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
            help="Prompt-lookup decoding: draft from earlier occurrences of the last N tokens. The output is "
            "unchanged.",
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
            help="Maximum number of tokens drafted at once.",
        ),
    ] = None

    @property
    def asked(self) -> bool:
        """Whether tokens are drafted."""
        return self.draft is not None or self.lookup is not None

    def check(self, others: Mapping[str, bool]) -> None:
        """Raises UsageError where another option cannot be combined with drafts."""
        if not self.asked:
            if self.draft_tokens is not None:
                raise UsageError("--draft-tokens needs --draft or --lookup")
            return
        named = {"--draft": self.draft is not None, "--lookup": self.lookup is not None}
        wrong = [name for name, used in others.items() if used]
        if wrong:
            raise UsageError(f"{' and '.join([*(name for name in named if named[name]), *wrong])} cannot be combined")
