"""Spans of labelled tokens under BIO and BIOES, strict as seqeval's schemes or lenient as CoNLL's conlleval.

A label is `O`, or a prefix, `-` and a type. Strict spans keep to the scheme: B-X I-X*, or with BIOES S-X or B-X I-X*
E-X. Lenient ones begin wherever a type begins (Tjong Kim Sang and Buchholz 2000). N tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

from lmkit.errors import DataError

BIO, BIOES = "bio", "bioes"
OUTSIDE = "O"
_PREFIXES = {BIO: "BI", BIOES: "BIES"}


class Span(NamedTuple):
    """Tokens of one type, from `start` up to, not including, `end`."""

    type: str
    start: int
    end: int


def scheme_of(sentences: Sequence[Sequence[str]]) -> str:
    """The scheme of labels: `bioes` where one ends or is alone, else `bio`."""
    return BIOES if any(label[:2] in ("E-", "S-") for labels in sentences for label in labels) else BIO


def is_scheme(labels: Sequence[str]) -> bool:
    """Whether all labels are `O`, or a prefix of BIO or BIOES and a type."""
    try:
        return all(split(label, BIOES) for label in labels)
    except DataError:
        return False


def split(label: str, scheme: str) -> tuple[str, str]:
    """The prefix and the type of a label; `O` has no type. Raises DataError for a label of no scheme."""
    prefix, _, kind = label.partition("-")
    if label == OUTSIDE:
        return OUTSIDE, ""
    if not kind or prefix not in tuple(_PREFIXES[scheme]):
        expected = ", ".join(f"{one}-TYPE" for one in _PREFIXES[scheme])
        raise DataError(f"the label {label[:40]!r} does not belong to {scheme.upper()}", hint=f"expected O, {expected}")
    return prefix, kind


def strict_spans(labels: Sequence[str], scheme: str) -> list[Span]:
    """The spans of N labels that keep to a scheme; labels that do not are in no span."""
    parts = [split(label, scheme) for label in labels]
    found, at = [], 0
    while at < len(parts):
        prefix, kind = parts[at]
        start, at = at, at + 1
        if prefix == "S":
            found.append(Span(kind, start, at))
        if prefix != "B":
            continue
        while at < len(parts) and parts[at] == ("I", kind):
            at += 1
        if scheme == BIO:
            found.append(Span(kind, start, at))
        elif at < len(parts) and parts[at] == ("E", kind):
            at += 1
            found.append(Span(kind, start, at))
    return found


def lenient_spans(labels: Sequence[str], scheme: str) -> list[Span]:
    """The spans of N labels as conlleval finds them: a new one at B, S, another type, and after E, S and O."""
    found: list[Span] = []
    before, open_type, start = OUTSIDE, "", 0
    for at, label in enumerate([*labels, OUTSIDE]):
        prefix, kind = split(label, scheme)
        if open_type and (prefix in (OUTSIDE, "B", "S") or before in ("E", "S") or kind != open_type):
            found.append(Span(open_type, start, at))
            open_type = ""
        if kind and not open_type:
            open_type, start = kind, at
        before = prefix
    return found


def labels_of(spans: Sequence[Span], size: int, scheme: str) -> list[str]:
    """The labels of `size` tokens that have these spans, the inverse of `strict_spans`."""
    labels = [OUTSIDE] * size
    for kind, start, end in spans:
        labels[start:end] = [f"I-{kind}"] * (end - start)
        labels[start] = f"B-{kind}"
        if scheme == BIOES:
            labels[end - 1] = f"E-{kind}" if end - start > 1 else f"S-{kind}"
    return labels
