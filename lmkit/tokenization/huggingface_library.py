"""The tokenizers library: a tokenizer out of a document, and its failures in one line."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lmkit.errors import CheckpointError, LmkitError, MissingError
from lmkit.tokenization.limited_library import LimitedLibrary, is_quick


def build(document: Mapping[str, Any]) -> Any:
    """A `tokenizers.Tokenizer`, or one within limits where its regular expressions may take any time.

    Raises CheckpointError with the library's words where it refuses the file.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingError("this needs the tokenizers library", package="tokenizers") from None
    if not is_quick(document):
        return LimitedLibrary(document)
    with failures("can't use the file"):
        tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def normalizer(steps: list[Any]) -> Any:
    """A `tokenizers.normalizers.Normalizer` of several steps. Raises CheckpointError as `build` does."""
    empty = {"type": "BPE", "vocab": {}, "merges": []}
    return build(
        {"version": "1.0", "normalizer": {"type": "Sequence", "normalizers": steps}, "model": empty}
    ).normalizer


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Failures of the library, panics too, as a CheckpointError with its words in one line."""
    try:
        yield
    except LmkitError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        words = " ".join(str(error).split())[:200]
        raise CheckpointError(f"the tokenizers library {what} ({words})") from None
