"""What texts may be held to, as the constraint engine llguidance takes it. Knows no model and no tokens."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from lmkit import isolation
from lmkit.errors import DataError, MissingError

KINDS = ("json_schema", "regex", "choice", "grammar")
SPACING = {
    "whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "lenient": False,
    "coerce_one_of": False,
}  # fmt: skip
"""JSON is written as Python's json writes it, `{"a": [1, 2]}`; with white space at will a text need never end."""
OPTIONS = '%llguidance {"no_forcing": true}'
"""Else, where but one text can follow, the engine would choose the tokens that spell it, and not the model."""
ENGINE = "x-guidance"  # the engine's own settings in a schema, which would overrule these
_PLACE = re.compile(r"(?:at )?(\d+)\((\d+)\): ")
_ONE_OF = ". Enable 'coerce_one_of'"
"""Begins the engine's advice to set an option of its own, which a schema can't."""
_OWN = re.compile(r'^(?:invalid regex ".*" \(in regex\): |failed to compile JSON schema: )')
REASON = 300  # characters of the engine's reasons


class Grammar(NamedTuple):
    """Which texts are valid: one of KINDS, and the schema, the pattern, the texts or the grammar."""

    kind: str
    value: Any

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{self.kind} {json.dumps(self.value)}"


def engine() -> Any:
    """The engine. Raises MissingError where it is not installed."""
    try:
        import llguidance
    except ImportError:
        raise MissingError("constrained output needs llguidance", package="llguidance") from None
    return llguidance


class _Words:
    """A list of tokens as the engine reads one from Python."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokens: list[bytes]) -> None:
        self.tokens = [*tokens, b"<end>"]
        self.eos_token_id = len(tokens)
        self.special_token_ids = [len(tokens)]

    def __call__(self, _text: object) -> list[int]:
        """No text is encoded: the engine only asks for what the tokens spell."""
        return []


def tokenizer(spelled: list[bytes]) -> Any:
    """The engine's tokenizer. Slices, which it cuts large vocabularies into, cost more time than they save here."""
    return engine().LLTokenizer(_Words(spelled), slices=[])


@lru_cache(maxsize=1)
def byte_tokenizer() -> Any:
    """The engine's tokenizer of single bytes."""
    return tokenizer([bytes([value]) for value in range(256)])


def grammar_in(record: Mapping[str, Any]) -> Grammar | None:
    """What a record with one of KINDS as a key asks for; None: nothing. Raises DataError for an invalid one.

    `json_schema` is a schema, `regex` and `grammar` are texts, `choice` is a list of texts.
    """
    asked = [kind for kind in KINDS if record.get(kind) is not None]
    if not asked:
        return None
    if len(asked) > 1:
        raise DataError(f"{' and '.join(asked)} exclude each other")
    kind = asked[0]
    value = record[kind]
    fits = {
        "json_schema": isinstance(value, Mapping | bool),
        "choice": isinstance(value, Sequence) and all(isinstance(text, str) for text in value) and bool(value),
    }
    if not fits.get(kind, isinstance(value, str)) or (kind == "choice" and isinstance(value, str)):
        wanted = {"json_schema": "a JSON schema", "choice": "a list of texts"}.get(kind, "a text")
        raise DataError(f"{kind} is not {wanted}")
    return Grammar(kind, value)


def compiled(grammar: Grammar, tokens: Any) -> Any:
    """A matcher at the beginning of a text, over an engine's tokenizer. Raises DataError with the engine's reason."""
    llguidance = engine()
    try:
        matcher = llguidance.LLMatcher(tokens, _written(grammar, llguidance.LLMatcher), log_level=0)
        wrong = matcher.get_error() if matcher.is_error() else ""
    except BaseException as error:
        if not isinstance(error, ValueError | UnicodeError) and type(error).__name__ != "PanicException":
            raise
        wrong = str(error)
    if wrong:
        hint = "use anyOf if no text is valid under two of them" if _ONE_OF in wrong else None
        raise DataError(_reason(wrong, places=grammar.kind == "grammar"), hint=hint)
    return matcher


def _written(grammar: Grammar, matcher: Any) -> str:
    """A grammar in the engine's own form."""
    if grammar.kind == "grammar":
        lark = grammar.value
    elif grammar.kind == "json_schema":
        schema = grammar.value if not isinstance(grammar.value, bool) else {} if grammar.value else {"enum": []}
        if ENGINE in schema:
            raise DataError(f"{ENGINE} is not supported; white space is that of Python's json")
        lark = f"start: %json {json.dumps({**schema, ENGINE: SPACING})}"
    else:
        pattern = grammar.value
        if grammar.kind == "choice":
            pattern = "|".join(f"(?:{_literal(text)})" for text in grammar.value)
        (made,) = json.loads(matcher.grammar_from_regex(pattern))["grammars"]
        lark = made["lark_grammar"]
    return str(matcher.grammar_from_lark(f"{lark}\n{OPTIONS}"))


# Within limits.


def serve(_settings: isolation.Settings) -> isolation.Handler:
    """Return what compiles a grammar, given as a list of its kind and value, and asks which bytes may begin a text."""

    def check(request: bytes) -> bytes:
        matcher = compiled(Grammar(*json.loads(request)), byte_tokenizer())
        matcher.compute_bitmask()
        return b""

    return check


class Checker:
    """Compiles grammars where `lmkit.isolation` says, over single bytes: a schema may take the engine any time.

    One that passes takes no longer here; the engine limits each step of a text separately.
    """

    def __init__(self) -> None:
        self._worker = isolation.worker(serve, {}, imports=("llguidance",))

    def check(self, grammar: Grammar) -> None:
        """Raise DataError with the engine's reason where a grammar is wrong, and LimitError."""
        self._worker.ask(json.dumps(grammar).encode())


def _literal(text: str) -> str:
    """A pattern that matches a text alone."""
    return "".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):X}}}" for c in text)


def _reason(words: str, *, places: bool) -> str:
    """What the engine says is wrong, in one line, with the place if `places` are those of a grammar that was given."""
    lines = [line.strip() for line in words.strip().split("\n")]
    place = _PLACE.match(lines[0])
    first = _OWN.sub("", lines[0][place.end() :] if place else lines[0])
    said = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), first)
    said = said.partition(_ONE_OF)[0]
    shown = f"line {place[1]}, column {place[2]}: {said}" if place and places else said
    return shown if len(shown) <= REASON else shown[:REASON] + "..."
