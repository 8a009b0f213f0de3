"""Fine-tuned models as files hold them: the body of a language model or an encoder, and a head for a task.

A checkpoint is of the body's kind; its `config` is the body's, with a `head` of `TaskHead.to_json`. Language models
lose their own head.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmkit.architectures.encoder import NO_HEAD
from lmkit.architectures.encoder_model import LoadedEncoder
from lmkit.architectures.heads import TaskHead
from lmkit.architectures.neural_model import LoadedModel
from lmkit.checkpoint import Array, Checkpoint
from lmkit.data.item_sequences import ItemFormat
from lmkit.errors import CheckpointError

Body = LoadedModel | LoadedEncoder


def body_of(weights: "Body | FineTunedWeights") -> Body:
    """The same weights without a head of their own. Raises CheckpointError for a model without hidden states."""
    settings: Any
    if isinstance(weights, FineTunedWeights):
        return weights.body
    if isinstance(weights, LoadedEncoder):
        settings = replace(weights.settings, task=NO_HEAD, tied=True)
        names = settings.shapes()
        return replace(weights, settings=settings, tensors={name: weights.tensors[name] for name in names})
    if weights.settings.kind == "ffn":
        raise CheckpointError(
            "of kind ffn, which has no states to put a head on",
            hint="begin with a transformer, an rnn or an encoder",
        )
    settings = replace(weights.settings, tied=True)  # type: ignore[call-arg]
    names = settings.shapes()
    absent = {name: np.zeros(shape, np.float32) for name, shape in names.items() if name not in weights.tensors}
    own = {name: weights.tensors[name] for name in names if name in weights.tensors}
    return replace(weights, settings=settings, tensors=own | absent)


def with_tensors(body: Body, tensors: Mapping[str, Array]) -> Body:
    """The same body with some of its tensors replaced."""
    if isinstance(body, LoadedEncoder):
        return replace(body, tensors={**body.tensors, **tensors}, digest="")
    return replace(body, tensors={**body.tensors, **tensors}, digest="")


def item_format(body: Body, *, end_token: bool = True) -> ItemFormat:
    """How items become the sequences that a body reads; see `TaskHead.end_token`."""
    limit = body.settings.context if isinstance(body, LoadedEncoder) else _limit(body)
    return ItemFormat(body.tokenizer, body.form, limit, end_token)


def _limit(body: LoadedModel) -> int | None:
    return body.settings.sequence_limit


@dataclass(frozen=True)
class FineTunedWeights:
    """A body, a head, and the head's tensors `head.weight`, (K, D), and `head.bias`, (K,)."""

    body: Body
    head: TaskHead
    tensors: Mapping[str, Array]
    digest: str = ""

    @property
    def kind(self) -> str:
        """The body's kind."""
        return self.body.settings.kind

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        content = self.body.to_checkpoint(origin)
        return replace(
            content, config={**content.config, "head": self.head.to_json()},
            tensors={**content.tensors, **self.tensors},
        )  # fmt: skip

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "FineTunedWeights":
        """The model in a checkpoint; its arrays stay where they are. Raises CheckpointError."""
        head = TaskHead.from_json(checkpoint.config.get("head"))
        config = {name: value for name, value in checkpoint.config.items() if name != "head"}
        body: Body
        if checkpoint.kind == LoadedEncoder.kind:
            none = {"kind": NO_HEAD, "tied": True}
            body = LoadedEncoder.from_checkpoint(replace(checkpoint, config={**config, "head": none}))
        else:
            body = LoadedModel.from_checkpoint(replace(checkpoint, config=config))
        tensors = {name: checkpoint.array(name, "F32", shape) for name, shape in head.shapes().items()}
        return cls(body, head, tensors, checkpoint.digest)
