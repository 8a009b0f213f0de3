"""What `data mask` and `data nsp` share: a tokenizer with the special tokens of encoders."""

from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import TOKENS
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import streams

Show = Annotated[
    bool, typer.Option("--show", help="Show the examples as a table, a row per token, instead of as records of ids.")
]
HOW = "`lmkit bpe train --algorithm wordpiece` makes a tokenizer that has them"


def encoder_format(name: str, *roles: str) -> tuple[Any, Any]:
    """Return the tokenizer that --tokens names and its special tokens; it must have those of `roles`, else a mask.

    Raises UsageError for a kind of token instead of a file, CheckpointError where a special token is absent.
    """
    from lmkit.data.encoder_sequences import ROLES, EncoderFormat

    if name in TOKENS:
        raise UsageError(f"--tokens {name} has no special tokens such as [MASK]", hint=f"{HOW}: --tokens FILE")
    tokenizer = opening.named_tokenizer(name)
    form = EncoderFormat.of(tokenizer)
    for role in roles or ("mask",):
        if getattr(form, role) is None:
            usual = " or ".join(spelled.decode() for spelled in ROLES[role][:2])
            raise CheckpointError(f"{streams.display(name)}: the tokenizer has no {usual}", hint=HOW)
    return tokenizer, form
