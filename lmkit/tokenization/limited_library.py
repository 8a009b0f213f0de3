"""The tokenizers library where `lmkit.isolation` says, for files whose regular expressions may take any time.

`LimitedLibrary` has those methods of `tokenizers.Tokenizer` that lmkit calls. Files without expressions, or with
such as are quick on any text, need none of it. Imports no numpy: a process for one file loads this module alone.
"""

import json
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from lmkit import isolation
from lmkit.errors import CheckpointError, DataError

FRAME = 1 << 17  # characters of text that limits hold for, or one line that is longer
SHOWN = 40  # characters of a text in a message
_ATOM = r"(?:\\[^1-9kg]|\\p\{\w+\}|\[\^?(?:\\.|[^\\\[\]&])+\]|[^\\\[\](){}.*+?|^$])"
_QUICK = re.compile(
    rf"(?:\\A)?(?:{_ATOM}\?)?{_ATOM}*(?:[*+]|\{{\d{{1,3}},?\d{{0,3}}\}})?|\(\?<={_ATOM}+\)\(\?={_ATOM}+\)", re.DOTALL
)
"""An alternative that takes a time proportional to the text: what repeats without an end is last and can't fail."""
_KNOWN = ("\u2581+\\z", "[^ ]+ ")
"""Expressions that lmkit writes itself."""


def is_quick(document: Any) -> bool:
    """Whether all regular expressions of a tokenizer.json take a time proportional to the text, whatever it is."""
    if isinstance(document, Mapping):
        found = document.get("Regex")
        if isinstance(found, str) and not _is_quick(found):
            return False
        return all(is_quick(part) for name, part in document.items() if name not in ("vocab", "merges"))
    return not isinstance(document, list) or all(map(is_quick, document))


def _is_quick(expression: str) -> bool:
    alternatives = re.split(r"(?<!\\)\|", expression)
    return expression in _KNOWN or all(_QUICK.fullmatch(one) for one in alternatives)


class AddedToken(NamedTuple):
    """What lmkit asks an added token for."""

    content: str
    special: bool


class Encoding(NamedTuple):
    """What lmkit asks an encoding for."""

    ids: Sequence[int]
    tokens: Sequence[str] = ()


class LimitedLibrary:
    """A tokenizer.json. Raises CheckpointError where the library refuses it, and LimitError."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        settings = {"document": json.dumps(document)}
        room = 32 * len(settings["document"])  # what a vocabulary takes is bounded by its file
        self._worker = isolation.worker(serve, settings, imports=("tokenizers",), memory=room)
        self._plain = False
        self.normalizer = self

    @cached_property
    def _said(self) -> Mapping[str, Any]:
        said: Mapping[str, Any] = self._asked("vocabulary")
        return said

    @cached_property
    def _tokens(self) -> dict[int, str]:
        return {int(number): token for number, token in self._said["tokens"].items()}

    def get_vocab(self, with_added_tokens: bool = True) -> Mapping[str, int]:
        """Tokens to ids."""
        vocabulary: Mapping[str, int] = self._said["vocabulary" if with_added_tokens else "own"]
        return vocabulary

    def get_added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Ids to added tokens."""
        return {number: AddedToken(content, special) for number, content, special in self._said["added"]}

    def id_to_token(self, number: int) -> str | None:
        """The token of an id."""
        return self._tokens.get(number)

    @property
    def encode_special_tokens(self) -> bool:
        """Whether names of special tokens in texts are texts."""
        return self._plain

    @encode_special_tokens.setter
    def encode_special_tokens(self, value: bool) -> None:
        self._plain = value

    def encode_batch_fast(self, texts: Sequence[str], add_special_tokens: bool = True) -> list[Encoding]:
        """Encodings without tokens. Raises DataError where an expression gives up on a text, and LimitError."""
        found: list[Encoding] = []
        for group in _groups(texts):
            answer = self._answer("ids", [self._plain, add_special_tokens, group], group[0])
            numbers = array("i")
            numbers.frombytes(answer)
            place = len(group)
            for size in numbers[: len(group)]:
                found.append(Encoding(numbers[place : place + size]))
                place += size
        return found

    def encode_batch(self, texts: Sequence[str], add_special_tokens: bool = True) -> list[Encoding]:
        """Encodings. Raises as `encode_batch_fast` does."""
        groups = [
            self._asked("encodings", [self._plain, add_special_tokens, group], group[0]) for group in _groups(texts)
        ]
        return [Encoding(ids, tokens) for group in groups for ids, tokens in group]

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of ids. Raises as `encode_batch_fast` does."""
        text: str = self._asked("text", [list(ids), skip_special_tokens])
        return text

    def normalize_str(self, text: str) -> str:
        """A text in normal form. Raises as `encode_batch_fast` does."""
        normal: str = self._asked("normal", text, text)
        return normal

    def _asked(self, what: str, given: Any = None, text: str = "") -> Any:
        return json.loads(self._answer(what, given, text))

    def _answer(self, what: str, given: Any, text: str) -> bytes:
        try:
            return self._worker.ask(json.dumps([what, given]).encode())
        except isolation.LimitError as error:
            shown = f" on the text {text[:SHOWN]!r}..." if text else ""
            raise isolation.LimitError(f"the tokenizer's regular expressions{shown}: {error}") from None


def _groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts in groups of about FRAME characters."""
    begin = size = 0
    for place, text in enumerate(texts):
        if size and size + len(text) > FRAME:
            yield texts[begin:place]
            begin, size = place, 0
        size += len(text) + 1
    if begin < len(texts):
        yield texts[begin:]


# The service.


def serve(settings: isolation.Settings) -> isolation.Handler:
    """Return what answers a `LimitedLibrary`: requests are JSON, answers JSON or, for ids, integers of four bytes."""
    from tokenizers import Tokenizer

    try:
        library = Tokenizer.from_str(settings["document"])
    except BaseException as error:
        raise CheckpointError(f"the tokenizers library can't use the file ({_words(error)})") from None
    library.no_truncation()
    library.no_padding()
    answers: dict[str, Callable[[Any], bytes]] = {
        "vocabulary": lambda _: _json(_vocabulary(library)),
        "ids": lambda given: _ids(library, *given),
        "encodings": lambda given: _json([[one.ids, one.tokens] for one in _encoded(library, *given, fast=False)]),
        "text": lambda given: _json(library.decode(given[0], skip_special_tokens=given[1])),
        "normal": lambda given: _json(library.normalizer.normalize_str(given)),
    }

    def answer(request: bytes) -> bytes:
        what, given = json.loads(request)
        try:
            return answers[what](given)
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise DataError(f"the tokenizers library gives up ({_words(error)})") from None

    return answer


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _words(error: BaseException) -> str:
    """What the library says, in one line. Raises what is no failure of the library."""
    if isinstance(error, MemoryError) or not (isinstance(error, Exception) or type(error).__name__ == "PanicException"):
        raise error
    return " ".join(str(error).split())[:200]


def _vocabulary(library: Any) -> dict[str, Any]:
    vocabulary = library.get_vocab(with_added_tokens=True)
    added = library.get_added_tokens_decoder().items()
    return {
        "vocabulary": vocabulary, "own": library.get_vocab(with_added_tokens=False),
        "tokens": {number: library.id_to_token(number) for number in vocabulary.values()},
        "added": [[number, token.content, token.special] for number, token in added],
    }  # fmt: skip


def _encoded(library: Any, plain: bool, special: bool, texts: Sequence[str], *, fast: bool) -> Any:
    library.encode_special_tokens = plain
    encode = library.encode_batch_fast if fast else library.encode_batch
    return encode(texts, add_special_tokens=special)


def _ids(library: Any, plain: bool, special: bool, texts: Sequence[str]) -> bytes:
    """How many ids each text has, then the ids of all."""
    found = [one.ids for one in _encoded(library, plain, special, texts, fast=True)]
    numbers = array("i", map(len, found))
    for ids in found:
        numbers.extend(ids)
    return numbers.tobytes()
