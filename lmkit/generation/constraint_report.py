"""How texts that are held to a grammar or a format came out: cut before they were complete, or misshapen."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lmkit.errors import UnmetError
from lmkit.protocols import LanguageModel

if TYPE_CHECKING:
    from lmkit.generation.constraints import ConstraintState, Grammars
    from lmkit.generation.engine import Completion
    from lmkit.generation.grammars import Grammar

NAMED = 10  # texts that are named in a message


class ConstraintReport:
    """Gives texts their constraints, and keeps account of those that came out otherwise than they should."""

    def __init__(
        self, model: LanguageModel, grammar: "Grammar | None" = None, form: str | None = None,
        context: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:  # fmt: skip
        """Texts are held to the grammar, and looked at for a form, `json` or `csv`; none: to and for nothing.

        `context` surrounds the use of the grammar, to say what it is of. Raises DataError for one that is wrong.
        """
        self._model, self._grammar, self._form, self._context = model, grammar, form, context
        self._texts = 0
        self._cut: list[str] = []
        self._misshapen: list[str] = []
        if grammar is not None:
            self.constraint()

    def constraint(self, record: Mapping[str, Any] | None = None) -> "ConstraintState | None":
        """What the next text is held to: by its record where that says so, else by the grammar.

        Raises DataError for a grammar that is wrong or that the model's tokens can't spell.
        """
        own = self._grammars.constraint_of(record) if record else None
        if own is not None or self._grammar is None:
            return own
        with self._context():
            return self._grammars.constraint(self._grammar)

    @cached_property
    def _grammars(self) -> "Grammars":
        from lmkit.generation.constraints import Grammars

        return Grammars(self._model)

    def add(self, done: "Completion", name: object) -> None:
        """Look at a text, which goes by a name."""
        self._texts += 1
        if not self.fields(done).get("complete", True):
            self._cut.append(str(name))
        if self._form is not None and not is_format(self._form, done.text):
            self._misshapen.append(str(name))

    def fields(self, done: "Completion") -> dict[str, bool]:
        """Whether a text is complete, as its record says it; nothing of one that is held to nothing."""
        constraint: Any = done.request.constraint
        return {} if constraint is None else {"complete": self._grammars.matches(constraint.grammar, done.text)}

    def close(self) -> None:
        """Raises UnmetError if a text is cut or invalid."""
        wrong = []
        if self._cut:
            wrong.append(
                f"{len(self._cut)} of {self._texts} texts were cut before they were complete: {_few(self._cut)}"
            )
        if self._misshapen:
            what = f"not valid {'JSON' if self._form == 'json' else 'CSV'}"
            wrong.append(f"{len(self._misshapen)} of {self._texts} texts are {what}: {_few(self._misshapen)}")
        if wrong:
            hint = "allow longer texts with --max-tokens" if self._cut else None
            raise UnmetError("; ".join(wrong), hint=hint)


def _few(names: Sequence[str]) -> str:
    """Names of texts, not too many."""
    shown = ", ".join(names[:NAMED])
    return f"id {shown}" + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


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

    A quote within a field that is not quoted is taken as it is; one that closes is before a comma or line end.
    """
    if "\0" in text:
        return False
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        sizes = {len(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True)}
    except csv.Error:
        return False
    return len(sizes) == 1 and 0 not in sizes
