"""Whether a text has a format that was asked for. Knows no model."""

import csv
import io
import json


def is_format(name: str, text: bytes) -> bool:
    """Whether a text is `json` or `csv`."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        return False
    return is_json(decoded) if name == "json" else is_csv(decoded)


def is_json(text: str) -> bool:
    """Whether a text is one JSON value (RFC 8259), so without `NaN` and `Infinity`; white space may surround it."""
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refused)
    except (ValueError, RecursionError):
        return False
    return True


def _refused(name: str) -> None:
    raise ValueError(name)


def is_csv(text: str) -> bool:
    """Whether a text is rows of comma-separated fields (RFC 4180), one at least and as many fields in each.

    A quote within a field that is not quoted is taken as it is; one that closes stands before a comma or line end.
    """
    if "\0" in text:
        return False
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        sizes = {len(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True)}
    except csv.Error:
        return False
    return len(sizes) == 1 and 0 not in sizes
