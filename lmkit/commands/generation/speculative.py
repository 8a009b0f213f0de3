"""Options of drafts: who proposes tokens that the model then looks at several at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.errors import UsageError

if TYPE_CHECKING:
    from lmkit.generation.sampler import Sampler
    from lmkit.generation.speculative_decoding import Speculation

DraftOption = Annotated[
    str | None,
    typer.Option(
        "--draft", metavar="MODEL", show_default=False,
        help="A smaller model of the same tokens that proposes some; never changes the text.",
    ),
]  # fmt: skip
LookupOption = Annotated[
    int | None,
    typer.Option(
        "--lookup", metavar="N", min=1, max=16, show_default=False,
        help="Propose what followed where the last tokens, up to N, stood before; never changes the text.",
    ),
]  # fmt: skip
DraftTokens = Annotated[
    int | None,
    typer.Option(
        "--draft-tokens", metavar="N", min=1, max=256, show_default="15",
        help="Propose at most N tokens at once.",
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SpeculativeOptions:
    """The options of drafts."""

    draft: DraftOption = None
    lookup: LookupOption = None
    draft_tokens: DraftTokens = None

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

    def stepper(self, model: Any, chooser: "Sampler") -> "Speculation":
        """What generates with a draft, a lookup or both. Raises CheckpointError for a draft of other tokens."""
        from lmkit.generation import draft_models, speculative_decoding

        begins: list[draft_models.Begin] = []
        if self.lookup is not None:
            longest = self.lookup
            begins.append(lambda place: draft_models.Lookup(place, longest))
        if self.draft is not None:
            opened = opening.open_language_model(self.draft)
            with opening.error_context(self.draft):
                draft_models.check_same_tokens(model.tokenizer, opened.tokenizer)
            begins.append(lambda place: draft_models.ModelDraft(opened, chooser, model.form.line_end, place))
        return speculative_decoding.Speculation(
            model, chooser, begins, most=self.draft_tokens or speculative_decoding.MOST
        )


def tell(run: Run, made: "Speculation") -> None:
    """Says with -v how many proposals were kept."""
    told = made.tally
    share = f", {told.accepted / told.proposed:.1%}" if told.proposed else ""
    run.terminal.detail(
        f"{told.proposed} tokens proposed, {told.accepted} kept{share}, in {told.passes} passes; {told.alone} run alone"
    )
