"""Opening encoders for commands: in numpy for a few lines of text, in torch for many."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run, choice
from lmkit.errors import CheckpointError
from lmkit.io import processor, streams
from lmkit.protocols import Encoder, is_encoder

if TYPE_CHECKING:
    from lmkit.inference.encoder import EncoderModel

FEW = 1 << 14
"""Bytes of text up to which numpy has read them before torch is loaded."""
Precision = Annotated[
    str,
    typer.Option(
        "--precision", metavar="NAME", callback=choice("fp32", "bf16"),
        help="Precision of an encoder's matrix products: `fp32`, or `bf16`, twice as fast where the processor has it. "
        "`bf16` needs PyTorch.",
    ),
]  # fmt: skip


def without_head(model: Any) -> Any:
    """The body of a fine-tuned encoder; other models as they are."""
    from lmkit.inference.encoder import EncoderModel
    from lmkit.inference.fine_tuned import FineTunedModel

    return model.body if isinstance(model, FineTunedModel) and isinstance(model.body, EncoderModel) else model


def require_encoder(model: Any, name: str) -> "EncoderModel":
    """The same model, of a fine-tuned one its body. Raises CheckpointError where it is no encoder."""
    from lmkit.inference.encoder import EncoderModel

    model = without_head(model)
    if not is_encoder(model) or not isinstance(model, EncoderModel):
        raise CheckpointError(f"{streams.display(name)}: of kind {model.kind}, expected an encoder")
    return model


def fine_tuned_backend(run: Run, model: Any, name: str) -> Callable[[int], Any]:
    """What gives the model for so many bytes of text more: a fine-tuned encoder runs in torch where texts are many."""
    from lmkit.inference.encoder import EncoderModel
    from lmkit.inference.fine_tuned import FineTunedModel

    if not isinstance(model, FineTunedModel) or not isinstance(model.body, EncoderModel):
        return lambda _: model
    backend = EncoderBackend(run, model.body, name=name, device="cpu", precision="fp32", threads=None)
    read = 0

    def for_more(size: int) -> Any:
        nonlocal read
        read += size
        encoder = backend.for_bytes(read)
        return model if encoder is model.body else model.on(encoder)

    return for_more


class EncoderBackend:
    """Which library runs an encoder: numpy until more than FEW bytes of text have come, then torch if it is there.

    --device and --precision other than the usual, and texts that are known to be long, have torch from the start.
    """

    def __init__(
        self, run: Run, model: "EncoderModel", *, name: str, device: str, precision: str, threads: int | None
    ) -> None:
        self._model, self._name, self._threads = model, name, threads
        self._device, self._precision = device, precision
        self._torch: Encoder | None = None
        self._asked = device != "cpu" or precision != "fp32"
        if self._asked:
            opening.needs_torch(f"--device {device}" if device != "cpu" else f"--precision {precision}")
            if precision == "bf16" and device == "cpu" and processor.multiplies_bfloat16_here() is False:
                run.terminal.notice("this processor has no instructions for bf16, which is slower on it than fp32")
        opening.use_threads(threads, name)

    def for_bytes(self, size: int) -> Encoder:
        """The encoder for texts of so many bytes in all, those that were read before among them."""
        if self._torch is not None:
            return self._torch
        if not self._asked and (size <= FEW or not opening.has_torch()):
            return self._model
        import torch

        from lmkit.nn.encoder_model import TorchEncoder

        if self._device == "cpu":
            torch.set_num_threads(opening.core_count(self._threads))
        with opening.error_context(self._name):
            self._torch = TorchEncoder(self._model.weights, device=self._device, precision=self._precision)
        return self._torch
