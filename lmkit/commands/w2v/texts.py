"""From text files to the corpus and the vocabulary that word vectors are trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import Hashed
from lmkit.commands.options.standard import Run
from lmkit.tokenization.normalization import UNCHANGED, Normalization

AN_ID = 8  # bytes of memory that an id may need: its own, and as many while ids are renumbered


Span = tuple[int, int]


@dataclass(frozen=True)
class Reading:
    """Which texts, which of their words, and how they are read."""

    files: Sequence[str]
    min_count: int
    max_vocab: int | None
    phrases: int
    phrase_threshold: float
    memory: str | None
    temp_dir: str | None
    encoding_errors: str
    threads: int
    subwords: Span | None = None
    buckets: int = 0
    normalization: Normalization = UNCHANGED


@dataclass(frozen=True)
class Texts:
    """A corpus, its vocabulary, the record of the input, and how n-grams make its words, if they do."""

    corpus: Any
    vocabulary: Any
    record: dict[str, Any]
    composition: Any = None


def read_texts(run: Run, reading: Reading) -> Texts:
    """Reads everything, once. Raises DataError where too few words are left."""
    from lmkit.io.temp_storage import Disk, memory_size
    from lmkit.word_vectors import corpus, phrases

    reader = opening.text_reader(reading.encoding_errors)
    blocks = Hashed(opening.read_blocks(run, reader, reading.files, "reading"))
    disk = Disk(reading.temp_dir)
    with corpus.Stream(memory_size(reading.memory) // AN_ID, lambda: disk) as stream:
        encoded = corpus.encode(blocks, stream, reading.threads, reading.normalization)
        _tell(run, encoded, disk)
        if reading.phrases:
            before = encoded.words
            encoded = phrases.join(
                encoded, threshold=reading.phrase_threshold, minimum=reading.min_count, passes=reading.phrases
            )
            run.terminal.notice(f"{before - encoded.words:,} pairs of words joined to phrases")
        made, vocabulary = corpus.corpus_of(encoded, minimum=reading.min_count, most=reading.max_vocab)
    run.terminal.notice(
        f"{made.words:,} of {encoded.words:,} words, {len(vocabulary) - 3:,} of {_different(encoded):,} different ones"
    )
    composition = _composition(run, reading, vocabulary) if reading.subwords is not None else None
    if composition is not None:
        made = made._replace(parts=composition.parts)
    return Texts(made, vocabulary, blocks.record(), composition)


def _composition(run: Run, reading: Reading, vocabulary: Any) -> Any:
    """How character n-grams make the words."""
    from lmkit.word_vectors.subwords import Subwords

    least, most = reading.subwords or (0, 0)
    composition = Subwords(least, most, reading.buckets).compose(vocabulary)
    lengths = f"{least} characters" if least == most else f"{least} to {most} characters"
    run.terminal.notice(
        f"n-grams of {lengths}: {len(composition.parts.rows) - len(vocabulary) + 3:,} in words, "
        f"{len(composition.buckets):,} of {reading.buckets:,} buckets with a vector of their own"
    )
    return composition


def _different(encoded: Any) -> int:
    return int((encoded.counts[3:] > 0).sum())


def _tell(run: Run, encoded: Any, disk: Any) -> None:
    """What was left out, and where the ids are if not in memory."""
    if encoded.learner.dropped:
        run.terminal.notice(f"{encoded.learner.dropped} words spelled <s> or </s> were dropped")
    if encoded.counts[0]:
        run.terminal.notice(f"{encoded.counts[0]} words spelled <unk> were left out")
    if encoded.stream.spilled:
        run.terminal.notice(f"the text is larger than --memory: {len(encoded.stream):,} ids of it are in {disk.folder}")
