"""Options of drafts: who proposes tokens that the model then looks at several at a time."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands import models as opening
from lmkit.commands.options import Run
from lmkit.errors import UsageError

if TYPE_CHECKING:
    from lmkit.using.generation.choosing import Chooser
    from lmkit.using.generation.speculation import Speculation

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


def check(draft: str | None, lookup: int | None, tokens: int | None, model: str, others: dict[str, bool]) -> bool:
    """Whether drafts are asked for. Raises UsageError where another option, or stdin for two models, forbids that."""
    asked = [name for name, used in {"--draft": draft is not None, "--lookup": lookup is not None}.items() if used]
    if not asked:
        if tokens is not None:
            raise UsageError("--draft-tokens needs --draft or --lookup")
        return False
    refused = [name for name, used in others.items() if used]
    if refused:
        raise UsageError(f"{' and '.join([*asked, *refused])} do not go together")
    opening.one_stdin(model, draft)
    return True


def stepper(model: Any, chooser: "Chooser", draft: str | None, lookup: int | None, tokens: int | None) -> "Speculation":
    """What generates with a draft, a lookup or both. Raises CheckpointError for a draft of other tokens."""
    from lmkit.using.generation import drafts, speculation

    begins: list[drafts.Begin] = []
    if lookup is not None:
        begins.append(lambda place: drafts.Lookup(place, lookup))
    if draft is not None:
        opened = opening.open_language_model(draft)
        with opening.about(draft):
            drafts.check_same_tokens(model.tokenizer, opened.tokenizer)
        begins.append(lambda place: drafts.ModelDraft(opened, chooser, model.form.line_end, place))
    return speculation.Speculation(model, chooser, begins, most=tokens or speculation.MOST)


def tell(run: Run, made: "Speculation") -> None:
    """Says with -v how many proposals were kept."""
    told = made.tally
    share = f", {told.accepted / told.proposed:.1%}" if told.proposed else ""
    run.terminal.detail(
        f"{told.proposed} tokens proposed, {told.accepted} kept{share}, in {told.passes} passes; {told.alone} run alone"
    )
