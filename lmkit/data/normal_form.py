"""Case-folded, NFKC-normalised text with white space collapsed: what makes two answers or examples the same."""

import unicodedata


def normal_form(text: str) -> str:
    """Return the text in NFKC, case-folded, with each run of white space as one space."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.casefold().split())


def normal_bytes(text: bytes) -> bytes:
    """Return the same of UTF-8."""
    if text.isascii():
        return b" ".join(text.lower().split())
    return normal_form(text.decode()).encode()
