"""Normalization of text: normal forms, and punctuation apart from words; bytes that are not UTF-8 stay as they are.

Line feeds stay where they are, and no line changes with its neighbours, so that blocks of whole lines may be
normalised one by one.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer

_FORMS: dict[str, Callable[[str], str]] = {
    "nfc": partial(unicodedata.normalize, "NFC"),
    "nfkc": partial(unicodedata.normalize, "NFKC"),
    "lowercase": lambda text: text.replace("\u03a3", "\u03c3").lower(),
}
FORMS = tuple(_FORMS)
PUNCTUATION = KEEP, SPLIT, REMOVE = ("keep", "split", "remove")


def normalize(block: bytes, forms: Sequence[str]) -> bytes:
    """The block with each form applied in order: `nfc`, `nfkc`, `lowercase`.

    Lower case is taken character by character, as tokenizer.json files mean it: a final sigma
    is a sigma.
    """
    for form in forms:
        if block.isascii():
            block = block.lower() if form == "lowercase" else block
            continue
        text = block.decode(errors="surrogateescape")
        text = _FORMS[form](text)
        block = text.encode(errors="surrogateescape")
    return block


@dataclass(frozen=True)
class Normalization:
    """What a tokenizer does to text before it finds tokens; nothing where it is false.

    `forms`: normal forms, applied in order, of FORMS. `punctuation`: after them, whether punctuation marks are
    left on words (`keep`), are words of their own (`split`), or are taken out and end words (`remove`).
    """

    forms: tuple[str, ...] = ()
    punctuation: str = KEEP

    def __bool__(self) -> bool:
        return bool(self.forms) or self.punctuation != KEEP

    def __str__(self) -> str:
        """Return the options that ask for it."""
        marks = f" --punctuation {self.punctuation}" if self.punctuation != KEEP else ""
        return f"--normalize {','.join(self.forms) or 'none'}{marks}"

    def apply(self, block: bytes) -> bytes:
        """Return whole lines, or a part of one, in normal form."""
        block = normalize(block, self.forms)
        if self.punctuation == KEEP:
            return block
        from lmkit.tokenization.punctuation import separate

        return separate(block, remove=self.punctuation == REMOVE)

    def describe(self) -> dict[str, Any]:
        """Return it as a JSON object, without what is left as it is: none at all is `{}`."""
        forms = {"normalize": list(self.forms)} if self.forms else {}
        return {**forms, "punctuation": self.punctuation} if self.punctuation != KEEP else forms

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "Normalization":
        """Return the inverse of `describe`, other keys left alone. Raises CheckpointError for unknown forms."""
        forms, punctuation = description.get("normalize", []), description.get("punctuation", KEEP)
        if not isinstance(forms, list) or not all(form in FORMS for form in forms) or punctuation not in PUNCTUATION:
            raise CheckpointError("damaged checkpoint: an invalid normalization", hint="or update lmkit")
        return cls(tuple(forms), punctuation)


UNCHANGED = Normalization()
"""Text as it comes."""


def of_tokenizer(tokenizer: Tokenizer) -> Normalization:
    """Return the normalization of a tokenizer of words, characters or bytes; others have one of their own kind."""
    found: Normalization = getattr(tokenizer, "normalization", UNCHANGED)
    return found
