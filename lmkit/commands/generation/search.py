"""Options of `lmkit sample` that search instead of drawing: which go together, what they make, what is told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lmkit.commands.options.standard import Run
from lmkit.errors import UsageError
from lmkit.io.records import cell
from lmkit.io.streams import Output

DIVERSITY = 0.5  # nats, where --diversity does not say
CANDIDATES = 4  # of contrastive search, where -k does not say

Beam = Annotated[
    int,
    typer.Option(
        "--beam", metavar="N", min=0,
        help="Beam search: the N most probable unfinished texts go on at each step; -n of N are printed. 0: off.",
    ),
]  # fmt: skip
LengthPenalty = Annotated[
    float,
    typer.Option(
        "--length-penalty", metavar="A", min=-10, max=10,
        help="Beams end up ranked by nats / length^A, length in tokens with the end's; 0: by nats alone.",
    ),
]  # fmt: skip
Groups = Annotated[
    int,
    typer.Option(
        "--groups", metavar="N", min=1,
        help="Diverse beams: N groups of equal size choose one after another, each avoiding what those before chose.",
    ),
]  # fmt: skip
Diversity = Annotated[
    float | None,
    typer.Option(
        "--diversity", metavar="S", min=0.0, show_default="0.5 with --groups",
        help="Nats that a token costs a group for each time that groups before chose it at this step.",
    ),
]  # fmt: skip
KeepGreedy = Annotated[
    bool,
    typer.Option(
        "--keep-greedy",
        help="The greedy text competes with those of the beams, so that the best is never worse than it.",
    ),
]  # fmt: skip
Contrastive = Annotated[
    float | None,
    typer.Option(
        "--contrastive", metavar="ALPHA", min=0.0, max=1.0, show_default=False,
        help="Contrastive search: of the -k most probable tokens (4 unless given) the one with the greatest "
        "(1 - ALPHA) p - ALPHA times the cosine of its hidden state to the nearest one before.",
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The options of searches."""

    beam: Beam = 0
    length_penalty: LengthPenalty = 0.0
    groups: Groups = 1
    diversity: Diversity = None
    keep_greedy: KeepGreedy = False
    contrastive: Contrastive = None

    @property
    def named(self) -> dict[str, bool]:
        """The two ways to search, and whether each is asked for."""
        return {"--beam": self.beam > 0, "--contrastive": self.contrastive is not None}


@dataclass(frozen=True)
class SearchPlan:
    """How to search: with beams, or contrastively."""

    beam: int = 0
    length_penalty: float = 0.0
    groups: int = 1
    diversity: float = DIVERSITY
    keep_greedy: bool = False
    contrastive: float | None = None
    explain: bool = False


def search(
    asked: SearchOptions, *, explain: bool, number: int, top_k: int, others: Mapping[str, bool]
) -> SearchPlan | None:
    """The search that options ask for, None where they ask for none; `others` are options that draw, and their use.

    Raises UsageError where options do not go together.
    """
    parts = {
        "--length-penalty": asked.length_penalty != 0, "--groups": asked.groups != 1,
        "--diversity": asked.diversity is not None, "--keep-greedy": asked.keep_greedy,
    }  # fmt: skip
    beam, groups = asked.beam, asked.groups
    used = [name for name, given in asked.named.items() if given]
    if not beam and any(parts.values()):
        raise UsageError(f"{_first(parts)} is about beams", hint="--beam N searches with N of them")
    if not used:
        return None
    wrong = used[1:] + [name for name, given in {**others, "--top-k": bool(beam and top_k)}.items() if given]
    if wrong:
        raise UsageError(f"{' and '.join([used[0], *wrong])} do not go together")
    if asked.diversity is not None and groups == 1:
        raise UsageError("--diversity keeps groups apart, and there is one", hint="--groups N makes several")
    if beam and number > beam:
        raise UsageError(f"-n {number} of a beam of {beam}", hint="--beam N finds at most N texts")
    if beam % groups:
        raise UsageError(f"--beam {beam} does not part into {groups} equal groups")
    diversity = DIVERSITY if asked.diversity is None else asked.diversity
    return SearchPlan(beam, asked.length_penalty, groups, diversity, asked.keep_greedy, asked.contrastive, explain)


def _first(used: Mapping[str, bool]) -> str:
    return next(name for name, given in used.items() if given)


def runner(
    asked: SearchPlan, model: Any, *, number: int, top_k: int, most: int, stops: Sequence[bytes], never: Sequence[int],
    penalties: Sequence[Any] = (),
) -> Any:  # fmt: skip
    """What runs requests: as `engine.Generator` does; beams give `number` texts for each request.

    Raises CheckpointError where the model can't be searched that way.
    """
    from lmkit.generation.beam_search import Beams, BeamSearch
    from lmkit.generation.contrastive import Contrastive, most_probable
    from lmkit.generation.engine import Generator
    from lmkit.generation.sampler import Sampler

    if asked.contrastive is not None:
        chooser = Sampler(most_probable(top_k or CANDIDATES), never=never, penalties=penalties)
        stepper = Contrastive(model, chooser, asked.contrastive, explain=asked.explain)
        return Generator(model, stepper, most=most, stops=stops)
    beams = Beams(
        asked.beam, number, asked.length_penalty, asked.groups, asked.diversity if asked.groups > 1 else 0.0,
        asked.keep_greedy,
    )  # fmt: skip
    return BeamSearch(model, beams, most=most, stops=stops, never=never, penalties=penalties, explain=asked.explain)


def tell_greedy(run: Run, done: Any, model: Any) -> None:
    """Says so where the greedy text is better than what beams found."""
    greedy = getattr(done, "greedy", None)
    if greedy is not None:
        unit = "a score of" if done.alpha else "nats"
        run.terminal.notice(
            f"greedy search finds a better text ({unit} {cell(greedy.score(model))}, these beams "
            f"{cell(done.score(model))}); --keep-greedy lets it compete"
        )


def more(asked: SearchPlan, done: Any, model: Any) -> dict[str, Any]:
    """What a record has besides: the score where that is not nats, and the steps."""
    record: dict[str, Any] = {"score": done.score(model)} if asked.length_penalty else {}
    return record | ({"steps": _steps(asked, done, model)} if asked.explain else {})


def _steps(asked: SearchPlan, done: Any, model: Any) -> list[Any]:
    """The steps of a search, their tokens as they are shown."""

    def piece(token: int) -> str:
        return str(model.tokenizer.piece(token).decode(errors="replace"))

    if asked.contrastive is not None:
        return [[{**item._asdict(), "token": piece(item.token)} for item in step] for step in done.trace]
    several = asked.groups > 1
    return [
        [
            {
                **({"group": kept.group} if several else {}),
                "tokens": [piece(token) for token in kept.tokens],
                "nats": kept.nats,
                **({"finish_reason": kept.reason} if kept.reason else {}),
            }
            for kept in step
        ]
        for step in done.trace
    ]


def lines(asked: SearchPlan, done: Any, model: Any) -> list[str]:
    """The steps for people: their number, then what was kept or weighed, parted by tabs, best first."""
    shown = []
    for number, step in enumerate(_steps(asked, done, model), 1):
        cells = [_contrasted(item) if asked.contrastive is not None else _kept(item) for item in step]
        shown.append("\t".join([str(number), *cells]))
    return shown


def _kept(item: Mapping[str, Any]) -> str:
    group = f"{item['group'] + 1}: " if "group" in item else ""
    reason = f" {item['finish_reason']}" if "finish_reason" in item else ""
    return f"{group}{cell(' '.join(item['tokens']))} {cell(item['nats'])}{reason}"


def _contrasted(item: Mapping[str, Any]) -> str:
    return f"{cell(item['token'])} {cell(item['score'])} (p {cell(item['probability'])}, cos {cell(item['likeness'])})"


class SearchWriter:
    """Tells of the search itself before the first of the texts that it found for a prompt; see `telling.Teller`."""

    def __init__(self, run: Run, teller: Any, asked: SearchPlan, model: Any, out: Output, *, steps: bool) -> None:
        self._run, self._teller, self._asked, self._model, self._out = run, teller, asked, model, out
        self._steps = steps

    def take(self, event: Any) -> None:
        """See `Teller.take`; texts wait until they are done."""
        if not hasattr(event, "finish_reason"):
            return
        if event.request.label.sample == 0:
            tell_greedy(self._run, event, self._model)
            for line in lines(self._asked, event, self._model) if self._steps else []:
                self._out.line(line)
        self._teller.take(event)
