"""`lmkit ngram count`: counts of n-grams."""

import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.ngram.count_files import count_bytes, merged
from lmkit.commands.ngram.counting import MaxVocab, MinCount, Order, VocabFile, count_texts
from lmkit.commands.options import engine as engines
from lmkit.commands.options.engine import Scheduler
from lmkit.commands.options.normalization import Normalize, Punctuation, normalization_of
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Memory, Output, Run, TempDir, Threads, Tokens, choice
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.errors import UsageError
from lmkit.io import outputs, streams


@with_groups()
def count(
    run: Run,
    files: TextFiles = None,
    *,
    text_input: TextInput,
    order: Order = 5,
    tokens: Tokens = "word",
    normalize: Normalize = "none",
    punctuation: Punctuation = "keep",
    vocab: VocabFile = None,
    max_vocab: MaxVocab = None,
    min_count: MinCount = 1,
    memory: Memory = None,
    temp_dir: TempDir = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="NAME",
            callback=choice("dask"),
            show_default="this process",
            help="Engine: `dask` counts each FILE in a task and merges the counts as a tree.",
        ),
    ] = None,
    scheduler: Scheduler = None,
    encoding_errors: EncodingErrors = "strict",
    threads: Threads = None,
    output: Output = None,
) -> None:
    """Count the n-grams of a text.

    Parts of a corpus can be counted on different machines: `ngram merge` of the count files, in the order of the
    parts, equals the counts of the whole corpus. --max-vocab and --min-count limit the vocabulary of each part,
    so for parts fix it with --vocab, or limit it in `ngram fit`.

    Examples:
      lmkit ngram count --order 3 corpus.txt -o counts.lm
      ls part-*.txt | xargs -P 4 -I{} lmkit ngram count {} -o {}.lm
      lmkit ngram count --engine dask part-*.txt -o counts.lm
    """
    from lmkit.ngram.count_file import CountFile

    inputs = list(files or [streams.STDIN])
    opening.check_single_stdin(*inputs, vocab, tokens)
    count_threads, source = opening.core_count(threads), text_input.source
    normalization = normalization_of(normalize, punctuation, tokens)
    with outputs.open_output(output, binary=True) as out:
        if engine == "dask":
            if max_vocab is not None or min_count > 1:
                raise UsageError("--max-vocab and --min-count limit each piece; with an engine use --vocab")
            settings = {"order": order, "tokens": tokens, "normalization": normalization, "vocab": vocab}
            pieces = [
                {**settings, "encoding_errors": encoding_errors, "source": source, "file": name} for name in inputs
            ]
            out.write(_with_dask(pieces, scheduler))
            return
        counts, tokenizer, _, storage = count_texts(
            run, inputs, order=order, tokens=tokens, vocab=vocab, max_vocab=max_vocab, min_count=min_count,
            normalization=normalization, memory=memory, temp_dir=temp_dir, encoding_errors=encoding_errors,
            source=source, threads=count_threads,
        )  # fmt: skip
        file = CountFile(counts, tokenizer)
        for piece in count_bytes(file):
            out.write(piece)
            storage.release()


def count_piece(settings: dict[str, Any]) -> bytes:
    """One file's counts, as the bytes of a count file: the task that an engine places."""
    from lmkit.io.messages import Terminal
    from lmkit.ngram.count_file import CountFile

    run = Run("ngram count", settings, Terminal(quiet=True))
    counts, tokenizer, _, _ = count_texts(
        run, [settings["file"]], order=settings["order"], tokens=settings["tokens"], vocab=settings["vocab"],
        max_vocab=None, min_count=1, normalization=settings["normalization"], memory=None, temp_dir=None,
        encoding_errors=settings["encoding_errors"], source=settings["source"], threads=1,
    )  # fmt: skip
    return b"".join(count_bytes(CountFile(counts, tokenizer)))


def merge_pieces(pieces: Sequence[bytes]) -> bytes:
    """Several count files added up into one, in order."""
    return b"".join(
        count_bytes(merged([memoryview(piece) for piece in pieces], [f"piece {n}" for n in range(len(pieces))]))
    )


def _with_dask(pieces: list[dict[str, Any]], scheduler: str | None) -> bytes:
    """Counts each piece in a task of its own and merges neighbours, two by two, until one is left."""
    dask = engines.dask()
    counted = [dask.delayed(engines.task_in, pure=True)(os.getcwd(), count_piece, piece) for piece in pieces]
    while len(counted) > 1:
        pairs = [counted[place : place + 2] for place in range(0, len(counted), 2)]
        counted = [dask.delayed(merge_pieces, pure=True)(pair) if len(pair) > 1 else pair[0] for pair in pairs]
    if scheduler is None:
        (done,) = dask.compute(counted[0], **engines.PROCESSES)
    else:
        with engines.client(scheduler) as client:
            done = client.compute(counted[0]).result()
    return bytes(done)
