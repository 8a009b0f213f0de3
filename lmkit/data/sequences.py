"""How a text becomes the sequences that a model reads: where documents begin, what ends a line. Knows no model.

stream      the whole text is one sequence; contexts reach over line ends, which are tokens
line        every line is a sequence of its own
file        every file is, its lines separated by line ends
blank-line  everything between blank lines is
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import I32, I64, SequenceFormat, Tokenizer
from lmkit.tokenization.line_ends import Part, with_line_ends

WAYS = ("stream", "line", "file", "blank-line")
ALWAYS, ALONE, NEVER = BOS = ("always", "alone", "never")
"""Where the start token is put: in front of every text, only where a text has no other token to predict from, nowhere.

The last is no property of a model: it is asked for, and leaves the first token of each text unpredicted.
"""


_KEYS = ("by", "start", "line_end", "document_end")
"""The keys of checkpoints for the fields of a TextFormat that all of them have."""


@dataclass(frozen=True)
class TextFormat:
    """The tokens where a text begins, where a line ends and where a document ends."""

    by: str
    start: int
    """The token before the first of a document; it is not predicted there."""
    newline_id: int | None
    """The token at the end of each line; None: line ends are text as any other."""
    document_end: int | None = None
    """The token at the end of each document, where the end of its last line does not say it already."""
    ends: tuple[int, ...] = ()
    """Tokens that end what is generated beside these; no text that is read is given one."""
    bos: str = ALWAYS
    """Where `start` is put: one of BOS."""
    barred: tuple[int, ...] | None = None
    """Tokens that are never written; None: the start token and the unknown one, as in models trained here."""

    @classmethod
    def of(cls, by: str, tokenizer: Tokenizer) -> "TextFormat":
        """The form of a model trained here: `</s>` ends lines; documents of many lines lie between `<s>`."""
        specials = tokenizer.specials
        start = specials["eos"] if by == "stream" else specials["bos"]
        return cls(by, start, specials["eos"], specials["bos"] if by in ("file", "blank-line") else None)

    @property
    def multiline(self) -> bool:
        """Whether a sequence may have several lines."""
        return self.by != "line"

    @property
    def context_start(self) -> int | None:
        """The token that the first of a text which is scored is predicted from; None: that one is not predicted."""
        return None if self.bos == NEVER else self.start

    def begun(self, ids: I32) -> I32:
        """The inputs of a prompt: its ids, and the start token where it has one in front.

        Raises DataError for an empty prompt that may not have one.
        """
        if self.bos == ALWAYS or (self.bos == ALONE and not len(ids)):
            return np.concatenate((np.array([self.start], dtype=np.int32), ids))
        if not len(ids):
            raise DataError("nothing to predict the first token from", hint="`--bos auto` puts a start token there")
        return ids

    def to_json(self) -> dict[str, Any]:
        """The form as a JSON object; what is as in models trained by lmkit is left out, so that their files stay."""
        optional: dict[str, Any] = {"ends": list(self.ends)} if self.ends else {}
        if self.bos != ALWAYS:
            optional["bos"] = self.bos
        if self.barred is not None:
            optional["barred"] = list(self.barred)
        return dict(zip(_KEYS, (self.by, self.start, self.newline_id, self.document_end), strict=True)) | optional

    @classmethod
    def from_json(cls, values: object, size: int) -> "TextFormat":
        """The form out of a checkpoint with `size` tokens. Raises CheckpointError for other files."""

        def is_token(value: object) -> bool:
            return type(value) is int and 0 <= value < size

        if isinstance(values, Mapping) and set(_KEYS) <= set(values) <= {*_KEYS, "ends", "bos", "barred"}:
            ends = values.get("ends", [])
            own = tuple(ends) if isinstance(ends, list) else (ends,)
            said = values.get("barred")
            barred = tuple(said) if isinstance(said, list) else None
            by, start, newline_id, document_end = (values[key] for key in _KEYS)
            form = cls(by, start, newline_id, document_end, own, values.get("bos", ALWAYS), barred)
            optional = [token for token in (form.newline_id, form.document_end) if token is not None]
            known = form.by in WAYS and form.bos in (ALWAYS, ALONE) and isinstance(ends, list)
            if known and all(map(is_token, [form.start, *optional, *form.ends, *(barred or ())])):
                return form
        raise CheckpointError("damaged checkpoint: the settings of how the model reads text are invalid")


def reaches_over_lines(form: SequenceFormat) -> bool:
    """Whether contexts reach over line ends, so that one line tells something of the next."""
    return form.multiline or form.newline_id is None


def sequences(tokenizer: Tokenizer, form: TextFormat, blocks: Iterable[bytes]) -> Iterator[Part]:
    """The ids of one text given in blocks of whole lines, and where its documents end."""
    if form.newline_id is None:
        return _kept(tokenizer, form, blocks)
    if form.by == "line":
        return (with_line_ends(*tokenizer.encode_block(block), form.newline_id) for block in blocks)
    if form.by == "blank-line":
        return _between_blanks(tokenizer, form, blocks)
    return _whole(tokenizer, form, blocks)


@dataclass(frozen=True)
class Documents:
    """Texts of whole lines that are each read from its beginning, and encoded together, as they may be short."""

    texts: Sequence[bytes]


class _EncodedTogether:
    """A tokenizer of texts that come in order, all of which were encoded at once; lines are encoded alone anyway."""

    def __init__(self, tokenizer: Tokenizer, texts: Sequence[bytes]) -> None:
        self.specials = tokenizer.specials
        self._ids, self._ends = tokenizer.encode_block(b"".join(texts))
        self._line = self._begin = 0

    def encode_block(self, block: bytes) -> tuple[I32, I64]:
        """See `Tokenizer.encode_block`."""
        ends = self._ends[self._line : self._line + block.count(b"\n")]
        begin, self._begin = self._begin, int(ends[-1])
        self._line += len(ends)
        return self._ids[begin : self._begin], ends - begin


def sequences_of(tokenizer: Tokenizer, form: TextFormat, documents: Documents) -> Iterator[Part]:
    """The same as `sequences` of several texts, one behind another."""
    together: Any = _EncodedTogether(tokenizer, documents.texts)
    for text in documents.texts:
        yield from sequences(together, form, [text])


def _none() -> I64:
    return np.zeros(0, dtype=np.int64)


def _ending(form: TextFormat) -> I32:
    return np.array([] if form.document_end is None else [form.document_end], dtype=np.int32)


def _whole(tokenizer: Tokenizer, form: TextFormat, blocks: Iterable[bytes]) -> Iterator[Part]:
    """One document."""
    assert form.newline_id is not None
    for block in blocks:
        yield with_line_ends(*tokenizer.encode_block(block), form.newline_id)[0], _none()
    last = _ending(form)
    yield last, np.array([len(last)])


def _kept(tokenizer: Tokenizer, form: TextFormat, blocks: Iterable[bytes]) -> Iterator[Part]:
    """One document whose line ends are text."""
    for ids in tokenizer.encode_stream(blocks):
        yield ids, _none()
    last = _ending(form)
    yield last, np.array([len(last)])


def _between_blanks(tokenizer: Tokenizer, form: TextFormat, blocks: Iterable[bytes]) -> Iterator[Part]:
    """Documents between blank lines; blank lines themselves are left out."""
    assert form.newline_id is not None
    ending = _ending(form)
    within = False  # whether a document is open
    for block in blocks:
        ids, ends = with_line_ends(*tokenizer.encode_block(block), form.newline_id)
        parts, places, size = [], [], 0
        begin = 0
        for text, end in zip(block[:-1].split(b"\n"), ends.tolist(), strict=True):
            blank = not text.strip()
            part = ending if blank else ids[begin:end]
            if not blank or within:
                parts.append(part)
                size += len(part)
            if blank and within:
                places.append(size)
            within = not blank
            begin = end
        yield np.concatenate([np.zeros(0, np.int32), *parts]), np.array(places, dtype=np.int64)
    if within:
        yield ending, np.array([len(ending)])


def encode_prompt(tokenizer: Tokenizer, form: SequenceFormat, text: bytes) -> I32:
    """Ids of the beginning of a document; its last line is not ended. Line ends only where the form has them.

    A token that begins every document is left out, where the text has it by its name.
    """
    ids = _prompt_ids(tokenizer, form, text)
    named = tokenizer.parses_specials and form.bos == ALWAYS and len(ids) and ids[0] == form.start
    return ids[1:] if named else ids


def _prompt_ids(tokenizer: Tokenizer, form: SequenceFormat, text: bytes) -> I32:
    if form.newline_id is None:
        return np.concatenate([np.zeros(0, np.int32), *tokenizer.encode_stream([text])])
    *lines, last = text.split(b"\n") if form.multiline else [text]
    whole = [np.append(tokenizer.encode(line), np.int32(form.newline_id)) for line in lines]
    return np.concatenate([*whole, tokenizer.encode(last)]).astype(np.int32)


def decode_text(tokenizer: Tokenizer, form: SequenceFormat, ids: Iterable[int]) -> bytes:
    """The text that ids spell, line ends and all; special tokens that are no line ends as their names."""
    if form.newline_id is None or not form.multiline:
        return tokenizer.decode(list(ids))
    lines: list[list[int]] = [[]]
    for token in ids:
        if token == form.newline_id:
            lines.append([])
        else:
            lines[-1].append(token)
    return b"\n".join(map(tokenizer.decode, lines))
