"""Normal forms of text; bytes that are not UTF-8 stay as they are."""

import unicodedata
from collections.abc import Callable, Sequence
from functools import partial

_FORMS: dict[str, Callable[[str], str]] = {
    "nfc": partial(unicodedata.normalize, "NFC"),
    "nfkc": partial(unicodedata.normalize, "NFKC"),
    "lowercase": lambda text: text.replace("\u03a3", "\u03c3").lower(),
}


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
