"""Encoding with the tokenizers library, without what it would lose or let text forge."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.protocols import I32, I64
from lmkit.tokenization.bpe.encoding import Options
from lmkit.tokenization.charsmap import Charsmap
from lmkit.tokenization.huggingface_library import build, failures, normalizer
from lmkit.tokenization.normalizers import META, Normalizer, PrecompiledNormalizer, SentencePieceNormalizer
from lmkit.tokenization.reserved_tokens import BYTE, STAND_INS, Hidden, Vocabulary, exact, hidden

_LINES = 1 << 10  # lines handed over at once: many small results cost more than few calls


class Served:
    """A document as text meets it: its normalizer, and the library over a vocabulary without reserved tokens.

    `known`: its tokens, see `reserved`.
    """

    def __init__(self, document: Mapping[str, Any], known: Vocabulary) -> None:
        self._document, self._known = document, known
        self._built = lru_cache(maxsize=2)(self._build)
        bytes_ = {int(BYTE.fullmatch(name)[1], 16): token for name, token in known.bytes_.items()}  # type: ignore[index]
        self.bytes_ = np.array([bytes_.get(byte, -1) for byte in range(256)], dtype=np.int32)

    @cached_property
    def _parts(self) -> tuple[Normalizer | None, Mapping[str, Any]]:
        """What is done to text first, and the document for the rest."""
        steps = _steps(self._document.get("normalizer"))
        said = exact(self._document)
        if said is not None:
            return _sentencepiece(said, steps), _normalized(self._document, said["user_defined"])
        place = next((place for place, step in enumerate(steps) if step.get("type") == "Precompiled"), None)
        if place is None:
            return None, self._document
        after = {"type": "Sequence", "normalizers": steps[place + 1 :]}
        return _precompiled(steps[place], steps[:place]), {**self._document, "normalizer": after}

    @property
    def normalizer(self) -> Normalizer | None:
        """What is done to text before the library sees it, if anything is."""
        return self._parts[0]

    @cached_property
    def apart(self) -> re.Pattern[str] | None:
        """Added tokens that are looked for before text is normalized, where a step of that is done here."""
        if not isinstance(self.normalizer, PrecompiledNormalizer):
            return None
        added = self._document.get("added_tokens") or []
        names = [token["content"] for token in added if not token.get("normalized")]
        return any_of(name for name in names if name not in self._known.names)

    @cached_property
    def names(self) -> re.Pattern[str] | None:
        """Names of special tokens, if there are any."""
        return any_of(self._known.names)

    @cached_property
    def _stand_ins(self) -> list[str]:
        """Characters that can spell special tokens, as the document has them nowhere."""
        own = set(json.dumps(self._document, ensure_ascii=False))
        return [chr(point) for point in STAND_INS if chr(point) not in own]

    def over(self, text: str) -> tuple[Any, Hidden]:
        """The library for a text, and how its document spells special tokens. Raises DataError where it can't be."""
        for stand_in in self._stand_ins:
            if stand_in not in text:
                return self._built(stand_in)
        raise DataError(f"the text has all {len(STAND_INS)} code points that are no characters")

    def _build(self, stand_in: str) -> tuple[Any, Hidden]:
        made = hidden(self._parts[1], self._known, stand_in)
        return build(made.document), made


def any_of(names: Sequence[str] | Mapping[str, Any] | Iterator[str]) -> re.Pattern[str] | None:
    """Matches any of the names, the longest first; None where there are none."""
    expressions = [re.escape(name) for name in sorted(names, key=len, reverse=True) if name]
    return re.compile("|".join(expressions)) if expressions else None


def _steps(part: Any) -> list[Any]:
    """The steps of a normalizer, those of sequences in it too."""
    if not isinstance(part, Mapping):
        return []
    if part.get("type") != "Sequence":
        return [part]
    return [step for member in part.get("normalizers") or [] for step in _steps(member)]


def _charsmap(step: Mapping[str, Any]) -> Charsmap:
    try:
        return Charsmap(base64.b64decode(step.get("precompiled_charsmap") or "", validate=True))
    except (ValueError, TypeError):
        raise CheckpointError("a damaged character map: not base64") from None


def _sentencepiece(said: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Normalizer:
    maps = [_charsmap(step) for step in steps if step.get("type") == "Precompiled"]
    return SentencePieceNormalizer(
        maps[0] if maps else None, said["user_defined"], prefix=bool(said.get("prefix")), tidy=bool(said.get("tidy"))
    )


def _precompiled(step: Mapping[str, Any], before: list[Any]) -> Normalizer:
    library = normalizer([step]).normalize_str
    return PrecompiledNormalizer(_charsmap(step), library, normalizer(before).normalize_str if before else None)


def _normalized(document: Mapping[str, Any], pieces: Sequence[str]) -> Mapping[str, Any]:
    """A SentencePiece model's document for text in normal form.

    User-defined pieces of merges are looked for before anything else; in unigram models they
    have their scores. No cut is needed but that in front of spaces.
    """
    model = {**document["model"], "ignore_merges": False}
    cuts = (document.get("pre_tokenizer") or {}).get("pretokenizers") or []
    kept = [cut for cut in cuts if cut.get("pattern") == {"String": META}]
    made = {**document, "normalizer": None, "pre_tokenizer": {"type": "Sequence", "pretokenizers": kept}}
    if model.get("type") != "BPE":
        return made
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    user = [{"id": model["vocab"].get(piece), "content": piece, **plain} for piece in pieces]
    return {**made, "model": model, "added_tokens": [*(document.get("added_tokens") or []), *user]}


class ForeignEncoder:
    """Encodes blocks with the tokenizers library; `scan` and `encode` as those of `EncoderConfig`.

    `parse`: whether names of special tokens mean these tokens.
    """

    def __init__(self, served: Served, options: Options, *, parse: bool) -> None:
        if options.dropout or options.allowed is not None:
            raise UsageError("dropout and limited vocabularies need a byte-pair encoding of lmkit's own")
        self._served = served
        self._names = served.names if parse else None
        self._lines = options.lines

    def scan(self, block: bytes) -> bytes:
        """The block itself: all work is done by `encode`."""
        return block

    def encode(self, block: bytes) -> tuple[I32, I64]:
        """Ids of a block, (T,), and the end of each line in them, (S,)."""
        text = block.decode(errors="replace")
        library, made = self._served.over(text)
        lines = text.split("\n")[:-1] if self._lines else [text]
        spelled = self._ready(made.spellings)
        parts, lengths = [np.zeros(0, dtype=np.int32)], []
        for start in range(0, len(lines), _LINES):
            ready = [spelled(line) for line in lines[start : start + _LINES]]
            with failures("can't encode with this file"):
                batch = library.encode_batch_fast(ready, add_special_tokens=False)
            for line, encoding in zip(ready, batch, strict=True):
                parts.append(self._checked(np.array(encoding.ids, dtype=np.int32), line, library, made))
                lengths.append(len(parts[-1]))
        ends = np.cumsum(np.array(lengths, dtype=np.int64))
        return np.concatenate(parts), ends if self._lines else ends[:0]

    def _ready(self, spellings: Mapping[str, str]) -> Callable[[str], str]:
        """What puts a line into normal form, and special tokens into the spellings that only they have."""
        normalizer, apart, names = self._served.normalizer, self._served.apart, self._names
        between: Callable[[str], str] = _same if normalizer is None else normalizer.normalize
        if apart is not None:
            between = partial(_around, names=apart, between=between)
        if names is None:
            return between
        return partial(_around, names=names, between=between, spell=lambda name: spellings.get(name, name))

    def _checked(self, ids: I32, line: str, library: Any, made: Hidden) -> I32:
        """The ids with bytes for unknown characters. Raises DataError where a character would be lost."""
        if made.lost is not None and made.lost in ids:
            raise DataError("the text has a character that the vocabulary lacks, and there is no unknown token")
        if made.in_bytes is None or made.in_bytes not in ids:
            return ids
        (encoding,) = library.encode_batch([line], add_special_tokens=False)
        parts = []
        for token, text in zip(encoding.ids, encoding.tokens, strict=True):
            spelled = self._served.bytes_[list(text.encode())] if token == made.in_bytes else None
            parts.append(np.array([token], dtype=np.int32) if spelled is None or -1 in spelled else spelled)
        return np.concatenate(parts)


def _same(text: str) -> str:
    return text


def _around(
    text: str, names: re.Pattern[str], between: Callable[[str], str], spell: Callable[[str], str] = _same
) -> str:
    """A text with what lies between names changed, and the names spelled."""
    parts = []
    done = 0
    for found in names.finditer(text):
        parts += [between(text[done : found.start()]), spell(found.group())]
        done = found.end()
    return "".join([*parts, between(text[done:])])
