"""Options that `lmkit finetune instruct` and `prefer` share: conversations as tokens, and what saves memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lmkit.commands.options.finetuning import TUNING
from lmkit.commands.options.standard import UNRECORDED, Json, choice

WAYS = ("refuse", "drop", "start", "end")
"""What may be done with a conversation beyond the context."""
TEMPLATES = ("template", "truncate")
MEMORY = ("precision", "recompute")

BaseModel = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", show_default=False,
        help="Language model to fine-tune: a checkpoint, a Hugging Face folder or a GGUF file.",
    ),
    UNRECORDED,
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AnswerTuning:
    """How conversations become tokens, and what is saved in memory."""

    truncate: Annotated[
        str,
        typer.Option(
            "--truncate", metavar="MODE", callback=choice(*WAYS),
            help="Conversations beyond the context: `refuse` them (exit status 3), `drop` them, or cut the `start` or "
            "the `end`. How much goes is reported.",
        ),
    ] = "refuse"  # fmt: skip
    precision: Annotated[
        str,
        typer.Option(
            "--precision", metavar="NAME", callback=choice("fp32", "bf16"),
            help="Precision of activations: `fp32` or `bf16`.",
        ),
    ] = "fp32"  # fmt: skip
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute",
            help="Gradient checkpointing: compute activations twice instead of keeping them, to save memory.",
        ),
    ] = False
    show_mask: Annotated[
        bool,
        typer.Option(
            "--show-mask", help="Print each token with 1 where it is learned and 0 where not, instead of training."
        ),
        UNRECORDED,
    ] = False  # fmt: skip
    json: Json = False


def sections(
    *own: str, file: str = "files", examples: tuple[str, ...] = (), shown: tuple[str, ...] = ("show_mask", "json")
) -> Mapping[str, tuple[str, ...]]:
    """Return the sections of a command's help; `own` are its options of training, `examples` those of its input."""
    kept = tuple(name for name in TUNING if name not in ("pooling", "seeds"))
    return {
        "Conversations and output": (
            file, "model", "valid", "form", *examples, "seed", "select_by", *shown, "output",
        ),
        "Chat template": TEMPLATES,
        "Fine-tuning": (*own, *kept, *MEMORY),
    }  # fmt: skip


def defaults(**more: Any) -> dict[str, Any]:
    """Return the defaults of neural fine-tuning that are others for answers."""
    return {"dropout": 0.0, "batch": 8, "targets": "all", **more}
