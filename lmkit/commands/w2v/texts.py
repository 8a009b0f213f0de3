"""From text files to the corpus and the vocabulary that word vectors are trained on."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.loading.provenance import Hashed, stored
from lmkit.commands.options.engine import expect_files, in_tasks
from lmkit.commands.options.standard import Run
from lmkit.commands.options.word2vec import BUCKETS, Word2VecOptions
from lmkit.io.text_sources import TextSource
from lmkit.tokenization.normalization import Normalization

AN_ID = 8  # bytes of memory that an id may need: its own, and as many while ids are renumbered


@dataclass(frozen=True)
class Texts:
    """A corpus, its vocabulary, the record of the input, and how n-grams make its words, if they do."""

    corpus: Any
    vocabulary: Any
    record: dict[str, Any]
    composition: Any = None


def read_texts(run: Run, files: Sequence[str], options: Word2VecOptions) -> Texts:
    """Reads everything, once, or also in tasks of an engine. Raises DataError where too few words are left."""
    from lmkit.io.temp_storage import Disk, memory_size
    from lmkit.word_vectors import corpus, phrases

    expect_files(files, options.engine, options.scheduler)

    reader = running_text.text_reader(options.encoding_errors, options.source)
    blocks = Hashed(running_text.read_blocks(run, reader, files, "reading"))
    disk = Disk(options.temp_dir)
    with corpus.Stream(memory_size(options.memory) // AN_ID, lambda: disk) as stream:
        if options.engine is None:
            encoded = corpus.encode(blocks, stream, opening.core_count(options.threads), options.normalization)
        else:
            pieces = [Piece(file, options.encoding_errors, options.source, options.normalization) for file in files]
            with in_tasks(encoded_file, pieces, options.scheduler) as parts:
                for _ in blocks:  # their record is that of all files together
                    pass
                encoded = corpus.merged(parts, stream)
        _tell(run, encoded, disk)
        if options.phrases:
            before = encoded.words
            encoded = phrases.join(
                encoded, threshold=options.phrase_threshold, minimum=options.min_count, passes=options.phrases
            )
            run.terminal.notice(f"{before - encoded.words:,} word pairs joined to phrases")
        made, vocabulary = corpus.corpus_of(encoded, minimum=options.min_count, most=options.max_vocab)
    run.terminal.notice(
        f"{made.words:,} of {encoded.words:,} words, {len(vocabulary) - 3:,} of {_different(encoded):,} different ones"
    )
    composition = _composition(run, options, vocabulary) if options.subwords is not None else None
    if composition is not None:
        made = made._replace(parts=composition.parts)
    return Texts(made, vocabulary, blocks.record() | stored(reader, files, blocks.record()), composition)


class Piece(NamedTuple):
    """A file to read, and how."""

    name: str
    encoding_errors: str
    source: TextSource
    normalization: Normalization


def encoded_file(piece: Piece) -> Any:
    """The words of one file and their ids: the task that an engine places."""
    from lmkit.array_storage import Memory
    from lmkit.word_vectors import corpus

    reader = running_text.text_reader(piece.encoding_errors, piece.source)
    stream = corpus.Stream(sys.maxsize, Memory)
    return corpus.encode(reader.blocks(piece.name), stream, 1, piece.normalization)


def _composition(run: Run, options: Word2VecOptions, vocabulary: Any) -> Any:
    """How character n-grams make the words."""
    from lmkit.word_vectors.subwords import Subwords

    (least, most), buckets = options.subword_lengths, options.buckets or BUCKETS
    composition = Subwords(least, most, buckets).compose(vocabulary)
    lengths = f"{least} characters" if least == most else f"{least} to {most} characters"
    run.terminal.notice(
        f"n-grams of {lengths}: {len(composition.parts.rows) - len(vocabulary) + 3:,} in words, "
        f"{len(composition.buckets):,} of {buckets:,} buckets with a vector of their own"
    )
    return composition


def _different(encoded: Any) -> int:
    return int((encoded.counts[3:] > 0).sum())


def _tell(run: Run, encoded: Any, disk: Any) -> None:
    """What was left out, and where the ids are if not in memory."""
    if encoded.learner.dropped:
        run.terminal.notice(f"{encoded.learner.dropped} words spelled <s> or </s> were dropped")
    if encoded.counts[0]:
        run.terminal.notice(f"{encoded.counts[0]} words spelled <unk> were dropped")
    if encoded.stream.spilled:
        run.terminal.notice(f"the text is larger than --memory: {len(encoded.stream):,} ids of it are in {disk.folder}")
