"""From text files to the encoded texts that a neural model is trained and validated on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from lmkit.commands.loading import models as opening
from lmkit.commands.ngram.counting import make_learner
from lmkit.commands.options.normalization import normalization_of
from lmkit.commands.options.standard import TOKENS, Run
from lmkit.commands.options.training import Training
from lmkit.errors import DataError, UsageError
from lmkit.io import streams


@dataclass(frozen=True)
class Texts:
    """A tokenizer, how text is read, the text to train on, the one to validate on, and the record of the inputs."""

    tokenizer: Any
    form: Any
    training: Any
    validation: Any
    record: list[dict[str, Any]]


class _Learning:
    """A learner as a tokenizer: it meets each block as it encodes it."""

    def __init__(self, learner: Any) -> None:
        from lmkit.tokenization.vocabulary import SPECIALS

        self._learner = learner
        self.specials = SPECIALS

    def encode_block(self, block: bytes) -> Any:
        return self._learner.learn(block, self._learner.scan(block))


@dataclass(frozen=True)
class _Encoded:
    """Ids, where documents end in them, the bytes of every line, and the record of the input."""

    ids: Any
    ends: Any
    lines: Any
    record: dict[str, Any]


def read_texts(run: Run, files: Sequence[str], training: Training) -> Texts:
    """Reads and encodes everything. Raises DataError for an empty text."""
    from lmkit.data.sequences import TextFormat

    _check(training)
    normalization = normalization_of(training.normalize, training.punctuation, training.tokens)
    learner = make_learner(training.tokens, None, normalization)
    reading: Any = _Learning(learner) if training.tokens in TOKENS else learner.tokenizer()
    form = TextFormat.of(training.by, reading)
    text = _encoded(run, files, reading, form, training, raw=learner.takes_bytes)
    if not len(text.ids):
        raise DataError("no text to train on: the input is empty")
    tokenizer, mapping = _limited(learner.tokenizer(), text.ids, training)
    if mapping is not None:
        text = _Encoded(mapping[text.ids], text.ends, text.lines, text.record)
    if training.valid is None:
        before, after = _split(text, form, training.valid_fraction)
        return Texts(tokenizer, form, _corpus(before), _corpus(after), [text.record])
    held_out = _encoded(run, [training.valid], tokenizer, form, training, raw=learner.takes_bytes)
    if not len(held_out.ids):
        raise DataError(f"{streams.display(training.valid)}: no text to validate on")
    return Texts(tokenizer, form, _corpus(text), _corpus(held_out), [text.record, held_out.record])


def _check(training: Training) -> None:
    """Raises UsageError for options about texts that do not go together."""
    if training.valid is not None and training.valid_fraction:
        raise UsageError("--valid and --valid-fraction are two ways to say one thing")
    if training.tokens not in TOKENS and (training.max_vocab is not None or training.min_count > 1):
        raise UsageError("the vocabulary is given; that does not go with --max-vocab or --min-count")
    if training.pack and training.by == "stream":
        raise UsageError("--pack is about documents: --by line, file or blank-line")
    if (training.select_by or training.patience) and training.valid is None and not training.valid_fraction:
        raise UsageError("--select-by and --patience need a validation text: --valid or --valid-fraction")


def _encoded(
    run: Run, files: Sequence[str], tokenizer: Any, form: Any, training: Training, *, raw: bool
) -> _Encoded:  # fmt: skip
    """Reads texts: all files as one, or each as one where the form says so."""
    from lmkit.data.sequences import sequences

    reader = opening.text_reader(training.encoding_errors, raw=raw)
    ids, ends, lines = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    digest, size = sha256(), 0

    def measured(blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            digest.update(block)
            lines.append(np.diff(np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == 10), prepend=-1))
            yield block

    for names in [[name] for name in files] if form.by == "file" else [files]:
        for part, places in sequences(tokenizer, form, measured(opening.read_blocks(run, reader, names, "reading"))):
            ids.append(part)
            ends.append(places + size)
            size += len(part)
    sizes = np.concatenate(lines)
    record = {"bytes": int(sizes.sum()), "sha256": digest.hexdigest()}
    return _Encoded(np.concatenate(ids), np.concatenate(ends), sizes, record)


def _limited(tokenizer: Any, ids: Any, training: Training) -> tuple[Any, Any]:
    """A smaller vocabulary where one is asked for, and the new id of each old one."""
    if training.max_vocab is None and training.min_count == 1:
        return tokenizer, None
    from lmkit.tokenization import tokenizers

    counts = np.bincount(ids, minlength=tokenizer.size)
    vocabulary, mapping = tokenizers.limit(tokenizer.vocabulary, counts, training.max_vocab, training.min_count)
    return tokenizer.over(vocabulary), mapping


def _split(text: _Encoded, form: Any, fraction: float) -> list[_Encoded | None]:
    """The text without its last part, and that part: it begins where a line does, or a document."""
    if not fraction:
        return [text, None]
    wanted = round((1 - fraction) * len(text.ids))
    borders = text.ends if form.by != "stream" else np.flatnonzero(text.ids == form.line_end) + 1
    borders = borders[borders < len(text.ids)]
    if not len(borders) or wanted <= 0:
        raise DataError("the text is too short to hold some of it out", hint="--valid FILE")
    border = int(borders[np.abs(borders - wanted).argmin()])
    bytes_before = _bytes_before(text, form, border)
    before, after = text.ends[text.ends <= border], text.ends[text.ends > border] - border
    return [
        _Encoded(text.ids[:border], before, np.array([bytes_before]), text.record),
        _Encoded(text.ids[border:], after, np.array([int(text.lines.sum()) - bytes_before]), text.record),
    ]


def _bytes_before(text: _Encoded, form: Any, border: int) -> int:
    """Bytes of the lines before a border between lines; blank lines between documents count by their share."""
    line_ends = np.flatnonzero(text.ids == form.line_end)
    if len(line_ends) == len(text.lines):
        return int(text.lines[: int(np.searchsorted(line_ends, border))].sum())
    return round(int(text.lines.sum()) * border / len(text.ids))


def _corpus(text: _Encoded | None) -> Any:
    from lmkit.training.batches import Corpus

    if text is None:
        return None
    small = len(text.ids) == 0 or int(text.ids.max()) < 1 << 16
    return Corpus(text.ids.astype(np.uint16) if small else text.ids, text.ends, int(text.lines.sum()))
