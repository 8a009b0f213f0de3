"""Edits of texts by named rules: personal data masked, C4's line filter. Knows no files."""

import re
from collections.abc import Callable, Mapping

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w@-])")
_IP4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d]|\.\d)")
_IP6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_CARD = re.compile(r"(?<!\d)(?<!\d[ -])\d(?:[ -]?\d){12,18}(?![ -]?\d)")
_MASKS = {"email": "[EMAIL]", "ip": "[IP]", "card": "[CARD]"}
_C4_CITATION = re.compile(r"\[(?:\d*|edit|citation needed)\]")
_C4_ENDS, _ELLIPSES = (".", "!", "?", '"', "”", "»"), ("...", "…")
C4_WORDS, C4_LONGEST_WORD = 5, 1000
_C4_PHRASES = (
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


def passes_luhn(digits: str) -> bool:
    """Return whether a number ends with the check digit of ISO/IEC 7812 (Luhn 1960)."""
    doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits))]
    return sum(number - 9 * (number > 9) for number in doubled) % 10 == 0


def _mask_cards(text: str) -> tuple[str, int]:
    count = 0

    def masked(found: re.Match[str]) -> str:
        nonlocal count
        digits = re.sub(r"[ -]", "", found[0])
        if len(set(digits)) == 1 or not passes_luhn(digits):
            return found[0]
        count += 1
        return _MASKS["card"]

    return _CARD.sub(masked, text), count


def _mask_addresses(text: str) -> tuple[str, int]:
    import ipaddress

    count = 0

    def masked(found: re.Match[str]) -> str:
        nonlocal count
        try:
            ipaddress.ip_address(found[0])
        except ValueError:
            return found[0]
        count += 1
        return _MASKS["ip"]

    text = _IP4.sub(masked, text)
    return _IP6.sub(masked, text) if "::" in text or text.count(":") >= 7 else text, count


def _c4_lines(text: str) -> tuple[str, int]:
    """Keep lines of at least five words that end a sentence and have no phrase of policies (Raffel et al. 2020).

    Their code also drops lines that end with an ellipsis or have a word of more than a thousand characters.
    """
    lines = text.split("\n")
    kept = [
        line
        for line in lines
        if len(line.split()) >= C4_WORDS
        and line.rstrip().endswith(_C4_ENDS)
        and not line.rstrip().endswith(_ELLIPSES)
        and (len(line) <= C4_LONGEST_WORD or max(map(len, line.split())) <= C4_LONGEST_WORD)
        and not any(phrase in line.lower() for phrase in _C4_PHRASES)
    ]
    return "\n".join(kept), len(lines) - len(kept)


Edit = Callable[[str], tuple[str, int]]
EDITS: Mapping[str, Edit] = {
    "c4-citations": lambda text: _C4_CITATION.subn("", text) if "[" in text else (text, 0),
    "c4-lines": _c4_lines,
    "pii-email": lambda text: _EMAIL.subn(_MASKS["email"], text) if "@" in text else (text, 0),
    "pii-ip": _mask_addresses,
    "pii-card": _mask_cards,
}
"""Functions from a text to the edited one and the number of edits."""
EDIT_SETS = ("c4", "pii")


def chosen_edits(name: str) -> list[str]:
    """Return the names of the edits that a set or a name means; none for another name."""
    return [key for key in EDITS if key == name or (name in EDIT_SETS and key.startswith(f"{name}-"))]
