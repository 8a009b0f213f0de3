"""The special tokens around the sources of an encoder-decoder. Knows no model and no tokenizer."""

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
        return {"after": list(self.after), "before": list(self.before)}

    @classmethod
    def from_json(cls, values: object, size: int) -> "SourceFormat":
        """The form out of a checkpoint with `size` tokens of sources. Raises CheckpointError where it is none."""
        found = values if isinstance(values, Mapping) else {}
        before, after = found.get("before"), found.get("after")
        tokens = before + after if isinstance(before, list) and isinstance(after, list) else []
        if tokens and all(type(token) is int and 0 <= token < size for token in tokens):
            return cls(tuple(before or ()), tuple(after or ()))
        raise CheckpointError("damaged checkpoint: the settings of how the model reads sources are invalid")
