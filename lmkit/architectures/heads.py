"""Heads: what turns hidden vectors into answers. A config has a body and a head; their tensors lie side by side.

D numbers in a hidden vector, V vocabulary.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lmkit.architectures.config import Shapes, linear
from lmkit.errors import CheckpointError

LM = "lm"


@dataclass(frozen=True, kw_only=True)
class Head(ABC):
    """The head of a network."""

    kind: ClassVar[str]

    @abstractmethod
    def shapes(self) -> Shapes:
        """Name and shape of every tensor that is the head's own."""

    @property
    @abstractmethod
    def products(self) -> int:
        """How many numbers are multiplied for one hidden vector."""


@dataclass(frozen=True, kw_only=True)
class LanguageModelHead(Head):
    """The logits of the next token, (V,), of a hidden vector h: W h + b, and U x of the body's input x with `direct`.

    Of a `tied` head W is the body's table of embeddings.
    """

    kind: ClassVar[str] = LM

    vocabulary: int
    width: int
    """D."""
    bias: bool = False
    tied: bool = False
    direct: int = 0
    """How many numbers x has; 0: no U."""

    def shapes(self) -> Shapes:
        """See `LMHead.shapes`."""
        shapes = linear("lm_head", self.vocabulary, self.width, self.bias)
        if self.tied:
            del shapes["lm_head.weight"]
        return shapes | (linear("direct", self.vocabulary, self.direct, False) if self.direct else {})

    @property
    def products(self) -> int:
        """See `LMHead.products`; without those of U."""
        return math.prod((self.vocabulary, self.width))


@dataclass(frozen=True, kw_only=True)
class MaskedLanguageHead(Head):
    """The logits of the token at a place, (V,), of its hidden vector h: W' N(f(W h + b)) + b'. Devlin et al. (2019).

    Of a `tied` head W' is the body's table of embeddings. With `pair`, a linear map of the pooled vector gives the
    logits, (2,), that a second text does not follow the first, and that it does.
    """

    kind: ClassVar[str] = "mlm"

    vocabulary: int
    width: int
    """D."""
    embedding: int
    """E, numbers in a row of W'."""
    bias: bool = True
    norm_bias: bool = True
    tied: bool = True
    pair: bool = False

    def shapes(self) -> Shapes:
        """See `Head.shapes`."""
        shapes = linear("mlm.transform", self.embedding, self.width, self.bias)
        shapes["mlm.norm.weight"] = (self.embedding,)
        if self.norm_bias:
            shapes["mlm.norm.bias"] = (self.embedding,)
        if not self.tied:
            shapes["mlm.decoder.weight"] = (self.vocabulary, self.embedding)
        shapes["mlm.decoder.bias"] = (self.vocabulary,)
        return shapes | (linear("pair", 2, self.width, True) if self.pair else {})

    @property
    def products(self) -> int:
        """See `Head.products`; at a place whose token is predicted."""
        return self.embedding * (self.width + self.vocabulary)


@dataclass(frozen=True, kw_only=True)
class DiscriminatorHead(Head):
    """The logit that a token was replaced, of its hidden vector h: w f(W h + b) + c. Clark et al. (2020)."""

    kind: ClassVar[str] = "discriminator"

    width: int
    """D."""

    def shapes(self) -> Shapes:
        """See `Head.shapes`."""
        return linear("discriminator.dense", self.width, self.width, True) | linear(
            "discriminator.score", 1, self.width, True
        )

    @property
    def products(self) -> int:
        """See `Head.products`."""
        return self.width * (self.width + 1)


CLASSIFY, REGRESS, TAG = TASKS = ("classify", "regress", "tag")
FIRST, LAST, MEAN = POOLINGS = ("cls", "last", "mean")
DENSE = ("", "tanh", "relu", "gelu", "silu")
ANY_SIDES = 0
"""The `sides` of a head that takes one text or two, as published ones do not say which."""


@dataclass(frozen=True, kw_only=True)
class TaskHead(Head):
    """W h + b of one vector h, (D,), or of a vector of each word: logits of labels, or a number.

    The vector is the state at the first token (`cls`), at the last one, or the mean over all but the start token; a
    tagger's is that of each word's first piece, or of its last piece where the body reads from left to right. With
    `dense`, an activation, W reads f(V h + c) in place of h, as heads of published encoders do, or the layer norm of
    that.
    """

    kind: ClassVar[str] = "task"

    task: str
    """One of TASKS."""
    width: int
    """D."""
    labels: tuple[str, ...] = ()
    pooling: str = MEAN
    sides: int = 1
    """How many texts an item has, or ANY_SIDES."""
    dense: str = ""
    """One of DENSE: f; empty where there is none."""
    norm_epsilon: float = 0.0
    """Of the layer norm behind f; 0: there is none."""
    windows: bool = False
    """Whether texts longer than the context are read in windows, whose answers are averaged; taggers always do."""
    end_token: bool = True
    """Whether a language model reads its end token behind each text, GPT's delimiter and extract token."""
    crf: bool = False
    """Whether a tagger's labels are those of a `label_chain.LabelChain` over the logits."""

    @property
    def outputs(self) -> int:
        """The numbers of W h + b."""
        return len(self.labels) if self.task != REGRESS else 1

    def shapes(self) -> Shapes:
        """See `Head.shapes`."""
        own = linear("head", self.outputs, self.width, True)
        own |= linear("head.dense", self.width, self.width, True) if self.dense else {}
        own |= {f"head.norm.{part}": (self.width,) for part in ("weight", "bias")} if self.norm_epsilon else {}
        size = self.outputs
        chain: Shapes = {"head.transitions": (size, size), "head.starts": (size,), "head.ends": (size,)}
        return own | (chain if self.crf else {})

    @property
    def products(self) -> int:
        """See `Head.products`."""
        return (self.outputs + (self.width if self.dense else 0)) * self.width

    def to_json(self) -> dict[str, Any]:
        """The head as a checkpoint's `head`."""
        labels = {} if self.task == REGRESS else {"labels": list(self.labels)}
        more: dict[str, Any] = {"dense": self.dense} if self.dense else {}
        more |= {"norm_epsilon": self.norm_epsilon} if self.norm_epsilon else {}
        more |= {"crf": True} if self.crf else {}
        more |= {"windows": True} if self.windows else {}
        more |= {} if self.end_token else {"end_token": False}
        return {"kind": self.task, "pooling": self.pooling, "sides": self.sides, "width": self.width, **labels, **more}

    @classmethod
    def from_json(cls, values: object) -> "TaskHead":
        """The head out of a checkpoint. Raises CheckpointError."""
        found: Mapping[str, Any] = values if isinstance(values, Mapping) else {}
        task, labels = found.get("kind"), found.get("labels", [])
        named = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
        sized = type(found.get("width")) is int and found.get("sides") in (ANY_SIDES, 1, 2)
        chosen = found.get("pooling") in POOLINGS and found.get("dense", "") in DENSE
        epsilon = found.get("norm_epsilon", 0.0)
        normed = type(epsilon) is float and 0.0 <= epsilon < 1.0 and (epsilon == 0.0 or bool(found.get("dense")))
        if task not in TASKS or not (named and sized and chosen and normed):
            raise CheckpointError("damaged checkpoint: the head of a fine-tuned model is absent or invalid")
        if task != REGRESS and len(labels) < 2:
            raise CheckpointError("damaged checkpoint: a head without labels")
        return cls(
            task=task, width=found["width"], labels=tuple(labels), pooling=found["pooling"], sides=found["sides"],
            dense=found.get("dense", ""), crf=found.get("crf") is True and task == TAG, norm_epsilon=epsilon,
            windows=found.get("windows") is True, end_token=found.get("end_token") is not False,
        )  # fmt: skip


def head_kind(config: Mapping[str, Any]) -> str:
    """Return the kind of head that a checkpoint's config names: `lm` where it names none, as language models do.

    Raises CheckpointError where it is no name.
    """
    head = config.get("head")
    if head is None:
        return LM
    kind = head.get("kind") if isinstance(head, dict) else None
    if not isinstance(kind, str):
        raise CheckpointError("damaged checkpoint: the config's head has no kind")
    return kind
