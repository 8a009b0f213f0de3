"""Options of candidate scoring: the normalisation of scores, and the cache of finished items."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.standard import Run, choice
from lmkit.errors import UsageError
from lmkit.io import outputs, streams
from lmkit.io.journal import open_journal
from lmkit.prompting.score_normalization import CONTENT_FREE, NORMS

if TYPE_CHECKING:
    from lmkit.prompting.answer_scorer import Normalization
    from lmkit.prompting.result_cache import ResultCache

HEADER = b'{"lmkit": "finished items", "format": 1}\n'

Cache = Annotated[
    str | None,
    typer.Option(
        "--cache", metavar="FILE", show_default=False,
        help="Cache of finished items: an interrupted run continues where it stopped, and FILE's items are not scored "
        "again.",
    ),
]  # fmt: skip


Reference = Annotated[
    str | None,
    typer.Option(
        "--reference", metavar="MODEL", show_default=False,
        help="Reference of margins: the model that the policy is compared with.",
    ),
]  # fmt: skip
Beta = Annotated[
    float,
    typer.Option("--beta", metavar="B", min=1e-6, help="Scale of margins: beta of direct preference optimisation."),
]


@dataclass(frozen=True, kw_only=True)
class NormalizationOptions:
    """The options of normalisations of scores."""

    norm: Annotated[
        str,
        typer.Option(
            "--norm", metavar="NAME", callback=choice(*NORMS), help="Normalisation of scores that decides the answer."
        ),
    ] = "none"
    domain: Annotated[
        str | None,
        typer.Option(
            "--domain",
            metavar="TEXT",
            show_default=False,
            help="Domain prompt for --norm domain: a text that fits any question of this kind.",
        ),
    ] = None
    content_free: Annotated[
        list[str] | None,
        typer.Option(
            "--content-free",
            metavar="TEXT",
            show_default="N/A, nothing, [MASK]",
            help="Content-free text that replaces a record's `input` for --norm calibrated. Repeat for several.",
        ),
    ] = None

    def check(self, norms: Sequence[str] = ()) -> None:
        """Raises UsageError where a norm lacks what it needs."""
        if "domain" in (self.norm, *norms) and self.domain is None:
            raise UsageError("--norm domain needs --domain TEXT", hint='for example --domain "The answer is"')
        if self.content_free and "calibrated" not in (self.norm, *norms):
            raise UsageError("--content-free needs the norm `calibrated`", hint="add --norm calibrated")

    def normalization(self, norms: Sequence[str] = (), *, sparing: bool = False) -> "Normalization":
        """The normalisation, with other `norms` whose scores are shown. Raises UsageError for invalid text."""
        from lmkit.prompting.answer_scorer import Normalization

        domain = None if self.domain is None else streams.argument_text(self.domain)
        contents = tuple(map(streams.argument_text, self.content_free)) if self.content_free else CONTENT_FREE
        return Normalization(self.norm, norms or [self.norm], domain, contents, sparing)


def refuse_overwriting_inputs(cache: str | None, inputs: Sequence[str | None]) -> None:
    """Raises UsageError where --cache names an input."""
    try:
        outputs.refuse_overwriting_inputs(cache, inputs)
    except UsageError as error:
        raise UsageError(str(error), hint="give --cache a file of its own") from None


@contextmanager
def open_cache(run: Run, name: str | None) -> Iterator["ResultCache"]:
    """The results in the file of --cache, empty without one. Raises as `open_journal` does."""
    from lmkit.prompting.result_cache import ResultCache

    if name is None:
        yield ResultCache()
        return
    with open_journal(name, HEADER) as journal:
        if journal.torn:
            run.terminal.notice(f"{name}: the last line is incomplete, removed")
        yield ResultCache(journal)
