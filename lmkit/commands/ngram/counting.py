"""What `ngram count` and `ngram fit` share: options, and from texts to counts."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.loading.provenance import Hashed, stored
from lmkit.commands.options.standard import TOKENS, Run
from lmkit.errors import UsageError
from lmkit.io import text_files
from lmkit.io.text_sources import TextSource
from lmkit.tokenization.normalization import UNCHANGED, Normalization

Order = Annotated[
    int,
    typer.Option(
        "--order", metavar="N", min=0, max=20, help="Order: length of the longest n-gram. 0 is the uniform model."
    ),
]
MaxVocab = Annotated[
    int | None,
    typer.Option(
        "--max-vocab",
        metavar="N",
        min=1,
        help="Vocabulary limit: keep the N most frequent tokens. Others become `<unk>`.",
    ),
]
MinCount = Annotated[
    int, typer.Option("--min-count", metavar="N", min=1, help="Minimum count: rarer tokens become `<unk>`.")
]
VocabFile = Annotated[
    str | None,
    typer.Option("--vocab", metavar="FILE", help="Vocabulary file, one entry per line. Other tokens become `<unk>`."),
]


def make_learner(
    tokens: str, vocab: str | None, normalization: Normalization = UNCHANGED, *, numbered: bool = True
) -> Any:
    """A learner of tokens; or a tokenizer that is given, by its checkpoint or by a vocabulary read from a file.

    A given tokenizer gets `<unk>`, `<s>` and `</s>` as ids 0, 1 and 2 where they are to be `numbered`, as n-grams
    need them, else only where it lacks marks of sentences. Raises UsageError where both are given.
    """
    from lmkit.tokenization import tokenizers
    from lmkit.tokenization.normalized_learner import NormalizedLearner

    if tokens not in tokenizers.KINDS:
        if vocab is not None:
            raise UsageError("--tokens FILE has a vocabulary of its own; --vocab is for words, characters and bytes")
        from lmkit.tokenization.formats import sentence_marks

        tokenizer = opening.named_tokenizer(tokens)
        with opening.error_context(tokens):
            if numbered or not sentence_marks.has_sentence_ends(tokenizer):
                tokenizer = sentence_marks.with_sentence_marks(tokenizer)
        return tokenizers.Fixed(tokenizer)
    if vocab is None:
        learner = tokenizers.learner(tokens)
        return NormalizedLearner(learner, normalization) if normalization else learner
    entries = list(text_files.TextReader().lines(vocab))
    with opening.error_context(vocab):
        return tokenizers.Fixed(tokenizers.from_list(tokens, entries, normalization))


def count_texts(
    run: Run, files: Sequence[str], *, order: int, tokens: str, vocab: str | None, max_vocab: int | None,
    min_count: int, normalization: Normalization, memory: str | None, temp_dir: str | None, encoding_errors: str,
    source: TextSource, threads: int,
) -> tuple[Any, Any, Callable[[], dict[str, Any]], Any]:  # fmt: skip
    """Counts, tokenizer, what gives the record of the input, and where the counts live, of texts read in order."""
    from lmkit.io.temp_storage import Disk, memory_size
    from lmkit.ngram.corpus import count_corpus

    if (vocab is not None or tokens not in TOKENS) and (max_vocab is not None or min_count > 1):
        raise UsageError("a given vocabulary cannot be combined with --max-vocab or --min-count")
    learner = make_learner(tokens, vocab, normalization)
    reader = running_text.text_reader(encoding_errors, source, raw=learner.accepts_any_bytes)
    blocks = Hashed(running_text.read_blocks(run, reader, files, "counting"))
    counted = count_corpus(
        blocks, learner, order, memory=memory_size(memory),
        spill=lambda: Disk(temp_dir), threads=threads, max_vocab=max_vocab, min_count=min_count,
        stage=run.terminal.stage,
    )  # fmt: skip
    if counted.dropped:
        run.terminal.notice(f"{counted.dropped} words spelled <s> or </s> were dropped")
    if counted.runs > 1:
        run.terminal.detail(f"counted in {counted.runs} runs on disk")

    def record() -> dict[str, Any]:
        return blocks.record() | stored(reader, files, blocks.record())

    return counted.counts, counted.tokenizer, record, counted.storage
