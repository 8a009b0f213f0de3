"""Options of how text is normalised before it becomes tokens, and what is recorded of them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.options.standard import TOKENS, choice
from lmkit.errors import UsageError
from lmkit.tokenization.normalization import FORMS, KEEP, PUNCTUATION, Normalization

Normalize = Annotated[
    str,
    typer.Option(
        "--normalize",
        metavar="FORMS",
        help="Text normalization: `none`, or a list of `nfc`, `nfkc` and `lowercase`, applied in order.",
    ),
]
Punctuation = Annotated[
    str,
    typer.Option(
        "--punctuation", metavar="MODE", callback=choice(*PUNCTUATION),
        help="Punctuation: `keep` leaves it attached to words, `split` makes each mark a word, `remove` replaces each "
        "by a space.",
    ),
]  # fmt: skip


def normal_forms(listed: str, known: Sequence[str] = FORMS) -> tuple[str, ...]:
    """Return the normal forms that --normalize lists, of those `known`. Raises UsageError."""
    forms = tuple(form for form in listed.replace(",", " ").split() if form != "none")
    for form in forms:
        if form not in known:
            raise UsageError(f"--normalize: {form!r} is not one of none, {', '.join(known)}")
    return forms


def normalization_of(normalize: str, punctuation: str, tokens: str = "word") -> Normalization:
    """Return how text is normalised for tokens of a kind, as --tokens has it. Raises UsageError."""
    found = Normalization(normal_forms(normalize), punctuation)
    if found and tokens not in TOKENS:
        raise UsageError(
            "--normalize and --punctuation cannot be combined with --tokens FILE, which has its own normalization"
        )
    if punctuation != KEEP and tokens != "word":
        raise UsageError("--punctuation needs --tokens word")
    return found


def recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run with what is normalised as checkpoints say it: nothing where nothing is."""
    others = {key: value for key, value in settings.items() if key not in ("normalize", "punctuation")}
    if len(others) == len(settings):
        return others
    return {**others, **normalization_of(settings["normalize"], settings["punctuation"]).describe()}
