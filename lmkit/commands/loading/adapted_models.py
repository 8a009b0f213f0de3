"""Models with adapters, ours or those of peft: weights of both, merged."""

from typing import TYPE_CHECKING, Any

from lmkit.commands.loading import models as opening
from lmkit.errors import CheckpointError
from lmkit.io import streams

if TYPE_CHECKING:
    from lmkit.architectures.adapters import AdapterWeights
    from lmkit.architectures.fine_tuned import Body


def open_adapted(model: str, adapter: str) -> tuple[Any, dict[str, str]]:
    """The weights of a model with an adapter merged into it, and the digests of both.

    Raises CheckpointError for an adapter of another model.
    """
    from lmkit.architectures.fine_tuned import FineTunedWeights, body_of

    own = None if opening.is_folder(adapter) else open_adapter(adapter)
    weights = open_base(model)
    found = open_adapter(adapter, weights, model) if own is None else own
    with opening.error_context(adapter):
        merged = found.merged_into(weights)
    digests = {"adapter": found.digest, "model": weights.digest}
    if found.head is None:
        return merged, digests
    return FineTunedWeights(body_of(merged), found.head, found.head_tensors()), digests


def open_adapted_model(model: str, adapter: str) -> Any:
    """A classifier, regressor or tagger: a model with an adapter that has a head. Raises CheckpointError for others."""
    from lmkit.architectures.fine_tuned import FineTunedWeights
    from lmkit.inference.fine_tuned import model_of

    weights, _ = open_adapted(model, adapter)
    if not isinstance(weights, FineTunedWeights):
        raise CheckpointError(f"{streams.display(adapter)}: an adapter without a head, which predicts no labels")
    return model_of(weights)


def open_base(model: str) -> "Any":
    """The weights of a model that adapters belong to, of a fine-tuned one those of its body."""
    from lmkit.architectures.fine_tuned import FineTunedWeights

    weights = opening.open_weights(model)
    return weights.body if isinstance(weights, FineTunedWeights) else weights


def open_adapter(name: str, weights: Any = None, model: str = "") -> "AdapterWeights":
    """An adapter, of a folder of peft that for the model of `weights`. Raises CheckpointError for anything else."""
    from lmkit.architectures.huggingface import peft_adapters

    if opening.is_folder(name):
        files = opening.open_folder(name)
        with opening.error_context(name):
            if not peft_adapters.is_adapter(files):
                raise CheckpointError(f"no {peft_adapters.CONFIG} in the folder, expected an adapter of peft")
            return peft_adapters.read(files, weights, architecture(weights, model))
    found = opening.open_any(name)
    if getattr(found, "kind", None) != "adapter":
        raise CheckpointError(f"{streams.display(name)}: of kind {found.kind}, expected an adapter")
    adapter: AdapterWeights = found
    return adapter


def architecture(weights: "Body", model: str) -> str:
    """What transformers calls a model: as its folder says, else by its settings. Raises CheckpointError for others."""
    from lmkit import registry
    from lmkit.architectures.huggingface import peft_adapters

    if opening.is_folder(model):
        return registry.architecture_in(opening.open_folder(model), model)
    with opening.error_context(model):
        return peft_adapters.kind_of(weights)
