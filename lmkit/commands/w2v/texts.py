"""From text files to the corpus and the vocabulary that word vectors are trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.commands import models as opening
from lmkit.commands.options import Run
from lmkit.commands.provenance import Hashed

AN_ID = 8  # bytes of memory that an id may need: its own, and as many while ids are renumbered


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


@dataclass(frozen=True)
class Texts:
    """A corpus, its vocabulary, and the record of the input."""

    corpus: Any
    vocabulary: Any
    record: dict[str, Any]


def read_texts(run: Run, reading: Reading) -> Texts:
    """Reads everything, once. Raises DataError where too few words are left."""
    from lmkit.edge.scratch import Disk, memory_size
    from lmkit.embedding import corpus, phrases

    reader = opening.text_reader(reading.encoding_errors)
    blocks = Hashed(opening.blocks_of(run, reader, reading.files, "reading"))
    disk = Disk(reading.temp_dir)
    with corpus.Stream(memory_size(reading.memory) // AN_ID, lambda: disk) as stream:
        encoded = corpus.encode(blocks, stream, reading.threads)
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
    return Texts(made, vocabulary, blocks.record())


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
