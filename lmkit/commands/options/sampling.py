"""Options of sampling: filters, penalties and Mirostat, and the checks of their combinations."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.standard import Temperature, suggested
from lmkit.errors import UsageError

if TYPE_CHECKING:  # numpy is not needed to refuse a combination of options
    from lmkit.generation.filters import Filtering
    from lmkit.generation.mirostat import Mirostat
    from lmkit.generation.penalties import NoRepeat, Presence, Repetition, Scope
    from lmkit.generation.sampler import Sampler

RATE = 0.1  # of Mirostat, as in its paper


@dataclass(frozen=True, kw_only=True)
class FilterValues:
    """An option for each of `generation.filters.FILTERS`, in the order of these; its default is off."""

    temperature: Temperature = 1.0
    top_k: Annotated[
        int,
        typer.Option(
            "--top-k", "-k", metavar="K", min=0, help="Top-k sampling: keep the K most probable tokens (0 = off)."
        ),
    ] = 0
    top_p: Annotated[
        float,
        typer.Option(
            "--top-p",
            "-p",
            metavar="P",
            min=0.0,
            max=1.0,
            help="Nucleus sampling: keep the smallest set of most probable tokens whose total probability is at "
            "least P (1 = off).",
        ),
    ] = 1.0
    min_p: Annotated[
        float,
        typer.Option(
            "--min-p",
            metavar="P",
            min=0.0,
            max=1.0,
            help="Min-p sampling: keep tokens at least P times as probable as the most probable one (0 = off).",
        ),
    ] = 0.0
    typical: Annotated[
        float,
        typer.Option(
            "--typical",
            metavar="P",
            min=0.0,
            max=1.0,
            help="Locally typical sampling: keep the tokens whose surprisal is closest to the entropy, until their "
            "probability reaches P (1 = off).",
        ),
    ] = 1.0
    epsilon: Annotated[
        float,
        typer.Option(
            "--epsilon",
            metavar="E",
            min=0.0,
            max=1.0,
            help="Epsilon sampling: keep tokens of probability E or more, and always the most probable (0 = off).",
        ),
    ] = 0.0
    eta: Annotated[
        float,
        typer.Option(
            "--eta",
            metavar="E",
            min=0.0,
            max=1.0,
            help="Eta sampling: keep tokens of probability min(E, sqrt(E) exp(-H)) or more, where H is the entropy, "
            "and always the most probable (0 = off).",
        ),
    ] = 0.0


FILTERS = tuple(field.name for field in fields(FilterValues))
PENALTIES = ("repetition_penalty", "presence_penalty", "frequency_penalty", "no_repeat_ngram")


@dataclass(frozen=True, kw_only=True)
class FilterOptions(FilterValues):
    """The options of filters, and their order."""

    order: Annotated[
        str | None,
        typer.Option(
            "--order",
            metavar="LIST",
            show_default=",".join(FILTERS).replace("_", "-"),
            help="Order in which filters are applied, such as `top-k,top-p,temp`. It must name all filters in use.",
        ),
    ] = None

    @property
    def filtering(self) -> "Filtering":
        """The filters that are asked for."""
        from lmkit.generation.filters import Filtering

        return Filtering(order=self.order, **{name: getattr(self, name) for name in FILTERS})


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(FilterOptions):
    """The options of sampling."""

    greedy: Annotated[
        bool, typer.Option("--greedy", help="Greedy decoding: take the most probable token (ties: the lowest id).")
    ] = False
    ancestral: Annotated[
        bool,
        typer.Option("--ancestral", help="Ancestral sampling: draw from the model's own distribution (the default)."),
    ] = False
    repetition_penalty: Annotated[
        float,
        typer.Option(
            "--repetition-penalty",
            metavar="X",
            min=0.0,
            max=100.0,
            help="Multiply the (negative) log-probability of tokens already seen by X; above 1 discourages repetition "
            "(1 = off).",
        ),
    ] = 1.0
    presence_penalty: Annotated[
        float,
        typer.Option(
            "--presence-penalty",
            metavar="A",
            min=-100.0,
            max=100.0,
            help="Subtract A from the log-probability of each token already seen.",
        ),
    ] = 0.0
    frequency_penalty: Annotated[
        float,
        typer.Option(
            "--frequency-penalty",
            metavar="B",
            min=-100.0,
            max=100.0,
            help="Subtract B from the log-probability of a token for each time it was seen.",
        ),
    ] = 0.0
    no_repeat_ngram: Annotated[
        int,
        typer.Option(
            "--no-repeat-ngram",
            metavar="N",
            min=0,
            help="Forbid a second occurrence of any n-gram of N tokens (0 = off).",
        ),
    ] = 0
    penalty_scope: Annotated[
        str | None,
        typer.Option(
            "--penalty-scope",
            metavar="SCOPE",
            show_default="all",
            callback=suggested("all", "output"),
            help="Tokens that penalties count: `all`, the `output` without the prompt, or the last N. "
            "Line ends count like any token.",
        ),
    ] = None
    mirostat: Annotated[
        float | None,
        typer.Option(
            "--mirostat",
            metavar="BITS",
            min=0.0,
            show_default=False,
            help="Mirostat 2.0: keep the surprisal of tokens near this target, in bits; replaces truncation filters.",
        ),
    ] = None
    mirostat_rate: Annotated[
        float | None,
        typer.Option("--mirostat-rate", metavar="ETA", min=0.0, show_default="0.1", help="Learning rate of Mirostat."),
    ] = None
    unknown: Annotated[bool, typer.Option("--unknown", help="Allow the unknown token to be generated.")] = False

    def check(self) -> None:
        """Raises UsageError for options that cannot be combined."""
        cuts = [name for name in FILTERS if name != "temperature"]
        self._apart("greedy", ["ancestral", "temperature", *cuts, "mirostat"])
        self._apart("ancestral", ["temperature", *cuts, *PENALTIES, "mirostat"])
        self._apart("mirostat", cuts)
        if self.mirostat is not None and self.temperature == 0:
            raise UsageError("--mirostat and --temperature 0 cannot be combined: temperature 0 leaves one token")
        if self.mirostat is None and self.mirostat_rate is not None:
            raise UsageError("--mirostat-rate needs --mirostat")
        if self.repetition_penalty <= 0:
            raise UsageError("--repetition-penalty must be above 0")
        if self.penalty_scope is not None and not any(map(self._typed, PENALTIES)):
            raise UsageError("--penalty-scope needs a penalty")
        self._scope()
        _ = self.filtering.names  # a wrong order is reported before a model is opened

    def drawing(self) -> dict[str, bool]:
        """Options of sampling, and whether each was typed."""
        filters = [name for name in FILTERS if name != "top_k"]  # which contrastive search has too
        return {_option(name): self._typed(name) for name in ("greedy", "ancestral", *filters, "order", "mirostat")}

    def _typed(self, name: str) -> bool:
        return bool(getattr(self, name) != getattr(SamplingOptions, name))

    def _apart(self, name: str, others: Sequence[str]) -> None:
        typed = [_option(each) for each in [name, *others] if self._typed(each)]
        if self._typed(name) and len(typed) > 1:
            raise UsageError(f"{' and '.join(typed)} cannot be combined")

    def _scope(self) -> "Scope":
        scope = self.penalty_scope or "all"
        if scope == "all":
            return "all"
        if scope == "output":
            return "output"
        if not (scope.isascii() and scope.isdigit() and 0 < int(scope[:10]) < 10**9):
            raise UsageError(f"--penalty-scope {scope!r} is not `all`, `output` or a number of tokens")
        return int(scope)

    def penalties(self) -> "list[Repetition | Presence | NoRepeat]":
        """The penalties in the order in which they are applied."""
        from lmkit.generation.penalties import NoRepeat, Presence, Repetition

        scope = self._scope()
        penalties: list[Repetition | Presence | NoRepeat] = []
        if self.repetition_penalty != 1:
            penalties.append(Repetition(self.repetition_penalty, scope))
        if self.presence_penalty or self.frequency_penalty:
            penalties.append(Presence(self.presence_penalty, self.frequency_penalty, scope))
        if self.no_repeat_ngram:
            penalties.append(NoRepeat(self.no_repeat_ngram, scope))
        return penalties

    def sampler(self, never: Sequence[int]) -> "Sampler":
        """What chooses the next token. Raises UsageError for a wrong order."""
        from lmkit.generation.sampler import Sampler

        greedy = self.greedy or self.temperature == 0
        return Sampler(self.filtering.chain(), never=never, penalties=self.penalties(), greedy=greedy)

    def control(self) -> "Mirostat | None":
        """The Mirostat controller of one text, if asked for: each text needs its own."""
        from lmkit.generation.mirostat import Mirostat

        if self.mirostat is None:
            return None
        return Mirostat(self.mirostat, RATE if self.mirostat_rate is None else self.mirostat_rate)


def _option(name: str) -> str:
    """A field's option."""
    return f"--{name.replace('_', '-')}"
