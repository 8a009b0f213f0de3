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
