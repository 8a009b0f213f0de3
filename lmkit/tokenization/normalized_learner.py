"""A learner that normalises text before it learns from it; knows no files."""

from typing import Any

from lmkit.protocols import I32, I64, Tokenizer
from lmkit.tokenization.normalization import Normalization
from lmkit.tokenization.tokenizers import Learner, Stored


class NormalizedLearner:
    """Another learner, of words, characters or bytes, that gets text in normal form; so does its tokenizer."""

    def __init__(self, learner: Learner, normalization: Normalization) -> None:
        self._learner = learner
        self._normalization = normalization

    @property
    def dropped(self) -> int:
        """See `Learner.dropped`."""
        return self._learner.dropped

    @property
    def accepts_any_bytes(self) -> bool:
        """See `Learner.accepts_any_bytes`."""
        return self._learner.accepts_any_bytes

    def scan(self, block: bytes) -> tuple[bytes, Any]:
        """Return the block in normal form and what the other learner finds in it; see `Learner.scan`."""
        normal = self._normalization.apply(block)
        return normal, self._learner.scan(normal)

    def learn(self, block: bytes, scanned: tuple[bytes, Any]) -> tuple[I32, I64]:
        """See `Learner.learn`."""
        return self._learner.learn(*scanned)

    def tokenizer(self) -> Tokenizer:
        """See `Learner.tokenizer`."""
        learned = self._learner.tokenizer()
        assert isinstance(learned, Stored)
        return learned.normalising(self._normalization)
