"""What `ngram count` and `ngram fit` share: options, and from texts to counts."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Annotated, Any

import typer

from lmkit import __version__
from lmkit.commands import models as opening
from lmkit.commands.options import Run
from lmkit.edge import streams
from lmkit.errors import DataError, UsageError

Order = Annotated[
    int, typer.Option("--order", metavar="N", min=0, max=20, help="Longest n-gram; 0 is the uniform model.")
]
MaxVocab = Annotated[
    int | None,
    typer.Option("--max-vocab", metavar="N", min=1, help="Keep the N most frequent tokens; others count as `<unk>`."),
]
MinCount = Annotated[
    int, typer.Option("--min-count", metavar="N", min=1, help="Tokens seen less often count as `<unk>`.")
]
VocabFile = Annotated[
    str | None,
    typer.Option(
        "--vocab", metavar="FILE", help="Take the vocabulary from FILE, an entry a line; others count as `<unk>`."
    ),
]


def make_learner(tokens: str, vocab: str | None) -> Any:
    """A learner of tokens, or a fixed vocabulary read from a file."""
    from lmkit.text import tokenizers

    if vocab is None:
        return tokenizers.learner(tokens)
    entries = list(streams.TextReader().lines(vocab))
    try:
        return tokenizers.Fixed(tokenizers.from_list(tokens, entries))
    except DataError as error:
        raise DataError(f"{vocab}: {error}") from None


class Hashed:
    """Passes blocks on and keeps the SHA-256 and size of all, for the record of where a model came from."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._hash = sha256()
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._hash.update(block)
            self._size += len(block)
            yield block

    def record(self) -> dict[str, Any]:
        """What the checkpoint's origin says of the input."""
        return {"bytes": self._size, "sha256": self._hash.hexdigest()}


def origin(command: str, settings: dict[str, Any], inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Where a checkpoint came from: nothing in it depends on time, host, user or file names."""
    import platform

    import numpy as np

    versions = {"lmkit": __version__, "numpy": np.__version__, "python": platform.python_version()}
    return {"command": command, "settings": settings, "inputs": list(inputs), "versions": versions}


def count_texts(
    run: Run, files: Sequence[str], *, order: int, tokens: str, vocab: str | None, max_vocab: int | None,
    min_count: int, memory: str | None, temp_dir: str | None, encoding_errors: str, threads: int,
) -> tuple[Any, Any, dict[str, Any], Any]:  # fmt: skip
    """Counts, tokenizer, the record of the input and where the counts live, of texts read in order."""
    from lmkit.counting.corpus import count_corpus
    from lmkit.edge.scratch import Disk, memory_size

    if vocab is not None and (max_vocab is not None or min_count > 1):
        raise UsageError("--vocab fixes the vocabulary; it does not go with --max-vocab or --min-count")
    reader = opening.text_reader(tokens, encoding_errors)
    blocks = Hashed(opening.blocks_of(run, reader, files, "counting"))
    counted = count_corpus(
        blocks, make_learner(tokens, vocab), order, memory=memory_size(memory),
        spill=lambda: Disk(temp_dir), threads=threads, max_vocab=max_vocab, min_count=min_count,
        stage=run.terminal.stage,
    )  # fmt: skip
    if counted.dropped:
        run.terminal.notice(f"{counted.dropped} words spelled <s> or </s> were dropped")
    if counted.runs > 1:
        run.terminal.detail(f"counted in {counted.runs} runs on disk")
    return counted.counts, counted.tokenizer, blocks.record(), counted.storage
