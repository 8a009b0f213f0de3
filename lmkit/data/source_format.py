"""The special tokens around sources of an encoder-decoder, and before its targets. Knows no model, no tokenizer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.protocols import I32, Tokenizer


@dataclass(frozen=True)
class SourceFormat:
    """The tokens before and after each source; one at least, so that no source is empty."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    target: tuple[int, ...] = ()
    """What is given of each target behind the start token, and not predicted, as BART's `<s>`."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "SourceFormat":
        """The form of a model trained here: `</s>` ends a source."""
        return cls((), (tokenizer.specials["eos"],))

    def around(self, ids: I32) -> I32:
        """A text's ids, (N,), with the tokens around them."""
        before, after = (np.array(some, dtype=np.int32) for some in (self.before, self.after))
        return np.concatenate((before, ids.astype(np.int32), after))

    def to_json(self) -> dict[str, Any]:
        """The form as a JSON object."""
        given = {"target": list(self.target)} if self.target else {}
        return {"after": list(self.after), "before": list(self.before), **given}

    @classmethod
    def from_json(cls, values: object, size: int) -> "SourceFormat":
        """The form out of a checkpoint with `size` tokens of sources. Raises CheckpointError for other values."""
        found = values if isinstance(values, Mapping) else {}
        before, after, target = found.get("before"), found.get("after"), found.get("target", [])
        lists = [one for one in (before, after, target) if isinstance(one, list)]
        tokens = [token for one in lists for token in one]
        known = all(type(token) is int and 0 <= token < size for token in tokens)
        if len(lists) == 3 and known and tokens != target:
            return cls(*(tuple(one) for one in lists))
        raise CheckpointError("damaged checkpoint: the settings of how the model reads sources are invalid")
