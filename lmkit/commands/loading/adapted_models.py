"""Models with adapters: weights of both files, merged."""

from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.errors import CheckpointError
from lmkit.io import streams


def open_adapted(model: str, adapter: str) -> tuple[Any, dict[str, str]]:
    """The weights of a model with an adapter merged into it, and the digests of both.

    Raises CheckpointError for an adapter of another model.
    """
    from lmkit.architectures.fine_tuned import FineTunedWeights, body_of

    found = opening.open_any(adapter)
    if getattr(found, "kind", None) != "adapter":
        raise CheckpointError(f"{streams.display(adapter)}: of kind {found.kind}, expected an adapter")
    weights = opening.open_weights(model)
    if isinstance(weights, FineTunedWeights):
        weights = weights.body
    with opening.error_context(adapter):
        merged = found.merged_into(weights)
    digests = {"adapter": found.digest, "model": weights.digest}
    if found.head is None:
        return merged, digests
    return FineTunedWeights(body_of(merged), found.head, found.head_tensors()), digests
