"""Texts, pairs of texts and lists of words as the sequences that a fine-tuned model reads. Knows no model.

encoders            [CLS] text [SEP]          [CLS] first [SEP] second [SEP], with segments
language models     start text end            start first end second end      Radford et al. (2018), figure 1

`start` is the model's own start token and `end` its token at the end of a line or a document, which serve as GPT's
start, delimiter and extract tokens; classifiers of transformers have no `end`. Sequences beyond the limit lose tokens
at the end of the longer text, or become windows.
N tokens, W words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.data.sequences import ALWAYS, TextFormat
from lmkit.protocols import I32, I64, Tokenizer


class ItemSequence(NamedTuple):
    """Ids and segments, (N,); how many tokens at the beginning are no part of a mean; places of words, (W,).

    `lost` counts tokens beyond the limit. Words beyond it have no place.
    """

    ids: I32
    segments: I32
    start: int
    words: I64
    lost: int = 0


_NO_WORDS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class ItemFormat:
    """How items are read; `limit`: the most tokens of a sequence, None: any number; see `TaskHead.end_token`."""

    tokenizer: Tokenizer
    form: TextFormat | EncoderFormat
    limit: int | None
    end_token: bool = True

    def item(self, texts: Sequence[str]) -> ItemSequence:
        """The sequence of one text or two."""
        parts = [self._encoded(text) for text in texts]
        around = len(self._around([np.zeros(0, np.int32)] * len(parts)).ids)
        lost = 0 if self.limit is None else max(0, sum(map(len, parts)) + around - self.limit)
        for _ in range(lost):
            longest = max(range(len(parts)), key=lambda place: len(parts[place]))
            if len(parts) == 1:
                parts[0] = parts[0][: max(0, len(parts[0]) - lost)]
                break
            parts[longest] = parts[longest][:-1]
        return self._around(parts)._replace(lost=lost)

    def item_windows(self, texts: Sequence[str]) -> list[ItemSequence]:
        """The sequences of one text or two: one where they fit, else windows over the longer one.

        A window has as many tokens as fit, and half of those of the window before; the last ends with the text. The
        shorter text of a pair is in all of them, at most half a window of it.
        """
        parts = [self._encoded(text) for text in texts]
        around = len(self._around([np.zeros(0, np.int32)] * len(parts)).ids)
        if self.limit is None or sum(map(len, parts)) + around <= self.limit:
            return [self._around(parts)]
        room = max(1, self.limit - around)
        longest = max(range(len(parts)), key=lambda place: len(parts[place]))
        kept = [part[: room // 2] for part in parts]
        lost = sum(
            len(part) - len(own) for place, (part, own) in enumerate(zip(parts, kept, strict=True)) if place != longest
        )
        text = parts[longest]
        size = max(1, room - sum(len(own) for place, own in enumerate(kept) if place != longest))
        begins = [*range(0, max(1, len(text) - size), max(1, size // 2)), max(0, len(text) - size)]
        found = []
        for begin in dict.fromkeys(begins):
            kept[longest] = text[begin : begin + size]
            found.append(self._around(kept)._replace(lost=lost))
        return found

    def words(self, words: Sequence[str]) -> ItemSequence:
        """The sequence of words, and the place of the token of each that is labelled, of those that fit."""
        parts = self._parts(words)
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        fit = len(parts) if self.limit is None else int((ends <= self._room).sum())
        made = self._of_parts(parts[:fit])
        return made._replace(lost=int(ends[-1] - ends[fit - 1]) if 0 < fit < len(parts) else 0)

    def word_windows(self, words: Sequence[str]) -> list[ItemSequence]:
        """The sequences of words that together label each word once: one where all fit, else overlapping windows.

        A window has as many words as fit and begins where about half of the one before is over. A word is labelled
        where it is farthest from both ends of a window, or from its beginning alone where the model reads from left
        to right. Of a word that is longer than a window the first pieces are read.
        """
        parts = self._parts(words)
        sizes = [len(part) for part in parts]
        if self.limit is None or sum(sizes) <= self._room:
            return [self._of_parts(parts)]
        parts = [part[: self._room] for part in parts]
        sizes = [len(part) for part in parts]
        windows = _windows(sizes, self._room)
        owners = _owners(sizes, windows, both_ways=isinstance(self.form, EncoderFormat))
        found = []
        for number, (begin, end) in enumerate(windows):
            own = np.flatnonzero(owners == number)
            if len(own):
                made = self._of_parts(parts[begin:end])
                found.append(made._replace(words=made.words[own - begin]))
        return found

    @property
    def _room(self) -> int:
        """How many tokens of words a sequence has at most."""
        around = len(self._around([np.zeros(0, np.int32)]).ids)
        return max(1, (self.limit or 0) - around)

    def _parts(self, words: Sequence[str]) -> list[I32]:
        return [self._word(word, first=not place) for place, word in enumerate(words)]

    def _of_parts(self, parts: Sequence[I32]) -> ItemSequence:
        """Words as their tokens, and their places."""
        made = self._around([np.concatenate([np.zeros(0, np.int32), *parts])])
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        before = made.start if isinstance(self.form, TextFormat) else int(self.form.cls is not None)
        both_ways = isinstance(self.form, EncoderFormat)  # then a word's first piece sees all of it, else its last
        return made._replace(words=before + np.cumsum(lengths) - (lengths if both_ways else 1))

    def _encoded(self, text: str) -> I32:
        return self.tokenizer.encode(" ".join(text.splitlines()).encode(errors="replace"))

    def _word(self, word: str, *, first: bool) -> I32:
        space = "" if first or not self.tokenizer.spells_whitespace else " "
        ids = self._encoded(f"{space}{word}")
        return ids if len(ids) else np.array([self.tokenizer.specials.get("unk", 0)], dtype=np.int32)

    def _around(self, parts: Sequence[I32]) -> ItemSequence:
        if isinstance(self.form, EncoderFormat):
            made = self.form.single(parts[0]) if len(parts) == 1 else self.form.pair(parts[0], parts[1])
            return ItemSequence(made.ids, made.segments, 0, _NO_WORDS)
        start = [self.form.start] if self.form.bos == ALWAYS else []
        ends = [self.end] if self.end_token else []
        ids = np.concatenate([start, *(np.append(part, ends) for part in parts)]).astype(np.int32)
        if not len(ids):  # there is a state to read at least
            ids = np.array([self.form.start], dtype=np.int32)
        return ItemSequence(ids, np.zeros(len(ids), dtype=np.int32), len(start), _NO_WORDS)

    @property
    def end(self) -> int:
        """The token behind each text."""
        assert isinstance(self.form, TextFormat)
        found = (self.form.newline_id, self.form.document_end, *self.form.ends, self.form.start)
        return next(token for token in found if token is not None)


def _windows(sizes: Sequence[int], room: int) -> list[tuple[int, int]]:
    """The first word and the end of each window over words of so many tokens, none more than `room`."""
    windows, begin = [], 0
    while True:
        end, taken = begin, 0
        while end < len(sizes) and taken + sizes[end] <= room:
            taken += sizes[end]
            end += 1
        windows.append((begin, end))
        if end == len(sizes):
            return windows
        after, passed = begin, 0
        while after < end and passed + sizes[after] <= taken // 2:
            passed += sizes[after]
            after += 1
        begin = max(after, begin + 1)


def _owners(sizes: Sequence[int], windows: Sequence[tuple[int, int]], *, both_ways: bool) -> I64:
    """The number of the window that labels each word, of equal ones the first."""
    before = np.concatenate(([0], np.cumsum(sizes)))
    best, owners = np.full(len(sizes), -1.0), np.zeros(len(sizes), dtype=np.int64)
    for number, (begin, end) in enumerate(windows):
        left = before[begin:end] - before[begin] if begin else np.full(end - begin, np.inf)
        right = before[end] - before[begin + 1 : end + 1] if both_ways and end < len(sizes) else np.inf
        margin = np.minimum(left, right)
        own = slice(begin, end)
        closer = margin > best[own]
        owners[own][closer] = number
        best[own][closer] = margin[closer]
    return owners
