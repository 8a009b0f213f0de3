"""The options of `lmkit train seq2seq --arch transformer` about its two stacks."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lmkit.commands.options.standard import choice
from lmkit.errors import UsageError

PRESETS = ("fast", "t5", "t5-1.1", "marian", "bart")
STACKS = ("preset", "decoder_layers", "heads", "hidden", "share_stacks")
"""Names of these options."""


@dataclass(frozen=True)
class StackOptions:
    """What an encoder and a decoder of blocks are; None: the preset's."""

    preset: Annotated[
        str,
        typer.Option(
            "--preset", metavar="NAME", callback=choice(*PRESETS),
            help="Architecture of --arch transformer: `fast` (pre-norm, SwiGLU), `t5`, `t5-1.1` (relative positions), "
            "`marian` or `bart` (post-norm).",
        ),
    ] = "fast"  # fmt: skip
    decoder_layers: Annotated[
        int | None,
        typer.Option(
            "--decoder-layers", metavar="N", min=1, show_default="--layers",
            help="Number of decoder layers of --arch transformer.",
        ),
    ] = None  # fmt: skip
    heads: Annotated[
        int | None,
        typer.Option(
            "--heads", metavar="N", min=1, show_default="4",
            help="Attention heads, each of size --width / N.",
        ),
    ] = None  # fmt: skip
    hidden: Annotated[
        int | None,
        typer.Option(
            "--hidden", metavar="N", min=1, show_default="4 times --width; 8/3 with a gate",
            help="Feed-forward size (d_ff).",
        ),
    ] = None  # fmt: skip
    share_stacks: Annotated[
        bool,
        typer.Option(
            "--share-stacks", help="Share the weights of encoder and decoder layers, but for cross-attention."
        ),
    ] = False  # fmt: skip

    def changes(self, layers: int | None, width: int | None) -> dict[str, Any]:
        """What the options change in a preset. Raises UsageError for what cannot be combined."""
        size, count, heads = width or 128, layers or 2, self.heads or 4
        if size % heads:
            raise UsageError(f"--width {size} is not divisible by --heads {heads}")
        if self.share_stacks and (self.decoder_layers or count) != count:
            raise UsageError("--share-stacks: encoder and decoder have as many layers")
        gated = self.preset in ("fast", "t5-1.1")
        hidden = self.hidden or (-(-size * 8 // 3 // 8) * 8 if gated else 4 * size)
        return {
            "layers": count, "decoder_layers": self.decoder_layers or count, "width": size, "heads": heads,
            "head_width": size // heads, "hidden": hidden, "decoder_hidden": hidden, "shared_stacks": self.share_stacks,
        }  # fmt: skip
