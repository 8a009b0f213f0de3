"""Options of answers that a model chooses: the normalisation that decides, and the file that keeps what is done."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.standard import Run, choice
from lmkit.errors import UsageError
from lmkit.io import streams
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
        help="Keep finished items in FILE as they come, and take from it those that are there: a run that was "
        "stopped goes on.",
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NormalizationOptions:
    """The options of normalisations of scores."""

    norm: Annotated[
        str, typer.Option("--norm", metavar="NAME", callback=choice(*NORMS), help="Which score decides.")
    ] = "none"
    domain: Annotated[
        str | None,
        typer.Option(
            "--domain",
            metavar="TEXT",
            show_default=False,
            help="The text that `domain` compares with: a prompt that fits any question of the kind.",
        ),
    ] = None
    content_free: Annotated[
        list[str] | None,
        typer.Option(
            "--content-free",
            metavar="TEXT",
            show_default="N/A, nothing, [MASK]",
            help="What stands in place of a record's `input` for `calibrated`; repeat for several.",
        ),
    ] = None

    def check(self, norms: Sequence[str] = ()) -> None:
        """Raises UsageError where a norm lacks what it needs."""
        if "domain" in (self.norm, *norms) and self.domain is None:
            raise UsageError("the norm `domain` needs a text of the domain", hint='--domain "The answer is"')
        if self.content_free and "calibrated" not in (self.norm, *norms):
            raise UsageError("--content-free is about the norm `calibrated`", hint="--norm calibrated")

    def normalization(self, norms: Sequence[str] = (), *, sparing: bool = False) -> "Normalization":
        """What is asked for, with the scores of other `norms` to be shown. Raises UsageError for what is no text."""
        from lmkit.prompting.answer_scorer import Normalization

        domain = None if self.domain is None else streams.argument_text(self.domain)
        contents = tuple(map(streams.argument_text, self.content_free)) if self.content_free else CONTENT_FREE
        return Normalization(self.norm, norms or [self.norm], domain, contents, sparing)


def refuse_overwriting_inputs(cache: str | None, inputs: Sequence[str | None]) -> None:
    """Raises UsageError where --cache names an input."""
    try:
        streams.refuse_overwriting_inputs(cache, inputs)
    except UsageError as error:
        raise UsageError(str(error), hint="--cache names a file of its own") from None


@contextmanager
def open_cache(run: Run, name: str | None) -> Iterator["ResultCache"]:
    """The results in the file of --cache; none without one. Raises as `open_journal` does."""
    from lmkit.prompting.result_cache import ResultCache

    if name is None:
        yield ResultCache()
        return
    with open_journal(name, HEADER) as journal:
        if journal.torn:
            run.terminal.notice(f"{name}: its last line was not written to the end, and is cut off")
        yield ResultCache(journal)
