"""The sequences that an encoder reads: special tokens around one text or two, and places to fill. Knows no model.

N tokens of a sequence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.protocols import I32, Tokenizer

ROLES: Mapping[str, tuple[bytes, ...]] = {
    "cls": (b"[CLS]", b"<s>", b"<cls>"),
    "sep": (b"[SEP]", b"</s>", b"<sep>"),
    "mask": (b"[MASK]", b"<mask>"),
    "pad": (b"[PAD]", b"<pad>"),
}
"""What the tokens of an encoder are called, the usual name first: BERT's, then RoBERTa's."""
MASK = ROLES["mask"][0]
"""How a place to fill is written in texts for any encoder."""
_SPECIALS = {"cls": "bos", "sep": "eos"}


class Sequence(NamedTuple):
    """Ids, (N,), and of which text each is, (N,): 0 the first with what is around it, 1 the second."""

    ids: I32
    segments: I32


@dataclass(frozen=True)
class EncoderFormat:
    """The special tokens of an encoder, None those that its tokenizer lacks.

    separators  how many `sep` lie between two texts: BERT has one, RoBERTa two
    """

    cls: int | None
    sep: int | None
    mask: int | None = None
    pad: int | None = None
    separators: int = 1

    @classmethod
    def of(
        cls, tokenizer: Tokenizer, named: Mapping[str, str] | None = None, *, separators: int = 1
    ) -> "EncoderFormat":
        """The special tokens of a tokenizer, by the names in `named` (`cls_token`, `mask_token`, ...), else ROLES.

        Where it has neither, its `bos` is `cls` and its `eos` is `sep`.
        """
        found: dict[str, int | None] = {}
        for role, usual in ROLES.items():
            said = (named or {}).get(f"{role}_token")
            names = (said.encode(), *usual) if said is not None else usual
            own = next((tokenizer.names[name] for name in names if name in tokenizer.names), None)
            found[role] = tokenizer.specials.get(_SPECIALS.get(role, "")) if own is None else own
        return cls(**found, separators=separators)

    @property
    def special(self) -> frozenset[int]:
        """The ids of the special tokens that there are: what is never masked."""
        return frozenset(one for one in (self.cls, self.sep, self.mask, self.pad) if one is not None)

    @property
    def mask_token(self) -> int:
        """The token of a place to fill. Raises CheckpointError where there is none."""
        if self.mask is None:
            raise CheckpointError("its tokenizer has no mask token, neither [MASK] nor <mask>")
        return self.mask

    @property
    def around(self) -> int:
        """How many tokens are around one text."""
        return (self.cls is not None) + (self.sep is not None)

    def single(self, ids: I32) -> Sequence:
        """`[CLS] text [SEP]`, with those of both that there are."""
        made = np.concatenate((_one(self.cls), ids, _one(self.sep))).astype(np.int32)
        return Sequence(made, np.zeros(len(made), dtype=np.int32))

    def pair(self, first: I32, second: I32) -> Sequence:
        """`[CLS] first [SEP] second [SEP]`; segment 1 begins behind the separators. Devlin et al. (2019), figure 2."""
        before = np.concatenate((_one(self.cls), first, *[_one(self.sep)] * self.separators))
        after = np.concatenate((second, _one(self.sep)))
        segments = np.repeat(np.array([0, 1], dtype=np.int32), [len(before), len(after)])
        return Sequence(np.concatenate((before, after)).astype(np.int32), segments)

    def to_json(self) -> dict[str, Any]:
        """The format as a checkpoint's `text`."""
        return {
            "cls": self.cls, "mask": self.mask, "pad": self.pad, "sep": self.sep, "separators": self.separators,
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: object, size: int) -> "EncoderFormat":
        """The format out of a checkpoint with `size` tokens. Raises CheckpointError for other values."""
        if isinstance(values, Mapping) and set(values) == {*ROLES, "separators"}:
            tokens = {role: values[role] for role in ROLES}
            known = all(token is None or (type(token) is int and 0 <= token < size) for token in tokens.values())
            if known and values["separators"] in (1, 2) and type(values["separators"]) is int:
                return cls(**tokens, separators=values["separators"])
        raise CheckpointError("damaged checkpoint: the special tokens of the encoder are absent or invalid")


def _one(token: int | None) -> I32:
    return np.array([] if token is None else [token], dtype=np.int32)
