"""Arguments from Python, checked against the declarations of the command line's options."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, TypeVar, get_args, get_type_hints

import typer

from lmkit.errors import UsageError

Options = TypeVar("Options")
Name = str | os.PathLike[str]
"""A file or folder."""
Text = str | bytes
"""A text; bytes are UTF-8, or any bytes where tokens are bytes."""


class Filters(TypedDict, total=False):
    """The options of `options.sampling.FilterOptions`, which lmkit-sampling(7) describes."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical: float
    epsilon: float
    eta: float
    order: str | None


class Sampling(Filters, total=False):
    """The options of `options.sampling.SamplingOptions` and of `options.generation.SearchOptions`."""

    greedy: bool
    ancestral: bool
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    no_repeat_ngram: int
    penalty_scope: str | None
    mirostat: float | None
    mirostat_rate: float | None
    unknown: bool
    beam: int
    length_penalty: float
    groups: int
    diversity: float | None
    keep_greedy: bool
    beam_patience: float
    contrastive: float | None


class Reading(TypedDict, total=False):
    """How texts in files are stored and read: options of `lmkit ppl`, which lmkit-formats(7) describes."""

    eos: bool
    """Whether the ends of lines are scored."""
    bos: str
    stride: int | None
    """Of the sliding windows over texts beyond the context length, in tokens."""
    batch_tokens: int | None
    input: str
    """The format of the files: `auto`, `text`, `jsonl`, `csv`, `tsv` or `parquet`."""
    field: str | None
    """The field of a record that holds the text."""
    encoding_errors: str


def bytes_of(text: Text) -> bytes:
    """Return a text as bytes. Raises UsageError for what is no text."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise UsageError(f"expected a text, got {_shown(text)}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"a lone surrogate at {error.start + 1} of {_shown(text)}") from None


def prompt_of(text: Text, *, raw: bool) -> bytes:
    """Return a prompt as bytes. Raises UsageError where these are not UTF-8, unless any bytes will do (`raw`)."""
    data = bytes_of(text)
    try:
        if not raw:
            data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8: byte 0x{data[error.start]:02x} in {_shown(text)}") from None
    return data


def taken(group: type[Options], values: Mapping[str, Any]) -> tuple[Options, dict[str, Any]]:
    """Options of a group out of keyword arguments, and the others. Raises UsageError as the command line does."""
    hints = get_type_hints(group, include_extras=True)
    own = {name: checked(name, value, hints[name]) for name, value in values.items() if name in hints}
    return group(**own), {name: value for name, value in values.items() if name not in hints}


def refuse_others(function: str, values: Mapping[str, Any]) -> None:
    """Raises TypeError, as Python does, for keyword arguments that are left."""
    for name in values:
        raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def checked(name: str, value: Any, declared: Any) -> Any:
    """Return the value of an option, declared in Annotated. Raises UsageError for a wrong type or beyond its limits."""
    kind, option, *_ = get_args(declared)
    kinds = get_args(kind) or (kind,)
    if value is None and type(None) in kinds:
        return None
    if not _is_of(value, kinds):
        names = " or ".join(each.__name__ for each in kinds if each is not type(None))
        raise UsageError(f"{name}: expected {names}, got {_shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name}: {value} is not a finite number")
    for limit, beyond, what in ((option.min, -1, "at least"), (option.max, 1, "at most")):
        if limit is not None and (value - limit) * beyond > 0:
            raise UsageError(f"{name}: {value} is out of range, expected {what} {limit}")
    try:
        return option.callback(value) if option.callback is not None else value
    except typer.BadParameter as error:
        raise UsageError(f"{name}: {error.message}") from None


def _is_of(value: Any, kinds: Sequence[type]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, tuple(kinds)) or (float in kinds and isinstance(value, int))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
