"""What the commands of `bpe` share: options of pre-tokens, texts as they are, tokenizers out of checkpoints."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.loading.provenance import Hashed, content_record, stored
from lmkit.commands.options.normalization import normal_forms
from lmkit.commands.options.standard import Run, choice, suggested
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.io import size_limits, streams
from lmkit.io.text_sources import SourceReader, TextSource
from lmkit.isolation import LimitError
from lmkit.tokenization.bpe.scheme import PATTERNS

PIECE = 1 << 20  # bytes read at a time

Level = Annotated[
    str,
    typer.Option(
        "--level", metavar="LEVEL", callback=choice("byte", "char"),
        help="Base units of merges: `byte`, any bytes, or `char`, the characters of words with an end-of-word marker.",
    ),
]  # fmt: skip
Pattern = Annotated[
    str | None,
    typer.Option(
        "--pattern", metavar="NAME", callback=suggested(*PATTERNS), show_default="gpt2; whitespace at level char",
        help="Pre-tokenization pattern; merges stay inside its matches: `gpt2`, `gpt4`, `whitespace`, `none`, or a "
        "regular expression.",
    ),
]  # fmt: skip
TokenizerOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", show_default=False,
        help="Tokenizer, or any checkpoint that has one. `-` reads it from stdin; so does leaving it out when the "
        "texts are files.",
    ),
]  # fmt: skip


def make_scheme(level: str, pattern: str | None, normalize: str) -> Any:
    """Return how text is pre-tokenized. Raises UsageError for options that cannot be combined."""
    from lmkit.tokenization.bpe.scheme import END_OF_WORD, PATTERNS, Scheme

    forms = normal_forms(normalize)
    if level == "char":
        if pattern not in (None, "whitespace"):
            raise UsageError("--level char splits words at white space; --pattern is for --level byte")
        return Scheme(level="char", pattern="whitespace", normalize=forms, end_of_word=END_OF_WORD)
    if pattern is not None and pattern not in PATTERNS:
        _check_expression(pattern)
    return Scheme(pattern=pattern or "gpt2", normalize=forms)


def _check_expression(pattern: str) -> None:
    """Raise UsageError for a malformed regular expression, or an unknown name of one."""
    from lmkit.tokenization.bpe.expressions import splitter

    if not pattern or pattern.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"--pattern {pattern!r}: expected one of {', '.join(PATTERNS)}, or a regular expression")
    try:
        splitter(pattern)
    except LimitError as error:
        raise LimitError(f"--pattern: {error}") from None
    except DataError as error:
        raise UsageError(f"--pattern is neither a known name nor a regular expression: {error}") from None


def as_they_are(run: Run, reader: SourceReader, files: Sequence[str], title: str) -> Iterator[bytes]:
    """The bytes of several texts as one stream, in pieces as they come."""
    with run.terminal.progress(title, streams.size_of(files)) as progress:
        for name in files:
            yield from progress.over(running_text.warn_if_no_text(run, name, reader.as_it_is(name), reader.source))
    running_text.warn_replaced_bytes(run, reader)


def count_pretokens(
    run: Run, files: Sequence[str], scheme: Any, encoding_errors: str, source: TextSource, *, empty: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Distinct pre-tokens with their counts, and the record of the input.

    Raises DataError for an empty text, unless it may be `empty`.
    """
    from lmkit.tokenization.bpe.chunks import blocks
    from lmkit.tokenization.bpe.pretoken_counts import Counter

    counter = Counter(scheme)
    reader, hashed = _hashed(run, files, scheme, encoding_errors, source)
    parts = iter(hashed) if scheme.level == "char" else blocks(hashed, scheme, lines=True)
    for part in parts:
        counter.add(counter.scan(part))
    counts = counter.total()
    if not empty:
        _expect_some(counts)
    return counts, hashed.record() | stored(reader, files, hashed.record())


def merged(parts: Iterable[Any], scheme: Any) -> Any:
    """The sum of the counts of several texts in order. Raises DataError where there are none."""
    from lmkit.tokenization.bpe.pretoken_counts import Counter

    counter = Counter(scheme)
    for part in parts:
        counter.merge(part)
    counts = counter.total()
    _expect_some(counts)
    return counts


def record_of(run: Run, files: Sequence[str], scheme: Any, encoding_errors: str, source: TextSource) -> dict[str, Any]:
    """The record of an input that is counted elsewhere."""
    reader, hashed = _hashed(run, files, scheme, encoding_errors, source)
    for _ in hashed:
        pass
    return hashed.record() | stored(reader, files, hashed.record())


def _hashed(
    run: Run, files: Sequence[str], scheme: Any, encoding_errors: str, source: TextSource
) -> tuple[SourceReader, Hashed]:
    """What reads texts for a scheme, by lines at level char, and their blocks."""
    if scheme.level == "char":
        reader = running_text.text_reader(encoding_errors, source)
        return reader, Hashed(running_text.read_blocks(run, reader, files, "counting"))
    reader = running_text.text_reader(encoding_errors, source, raw=True, eager=True, block=PIECE)
    return reader, Hashed(as_they_are(run, reader, files, "counting"))


def _expect_some(counts: Any) -> None:
    if not len(counts):
        raise DataError("no text to learn from: the input is empty")


def _extent(start: bytearray) -> int:
    """How many bytes to read of a file of counts, a checkpoint or a table, that begins so."""
    from lmkit import checkpoint

    if checkpoint.is_checkpoint(start[:9]):
        return checkpoint.extent(start)
    return size_limits.TABLE.size + 1 if b"\n" in start else 0


def read_counts(files: Sequence[str], scheme: Any, *, given: bool) -> tuple[Any, list[dict[str, Any]]]:
    """The sum of files of counts, in order, and the record of each; text files hold a word and its count a line.

    `scheme` is for those, and that of checkpoints must be the same if it was `given`. Raises
    DataError and UsageError where they don't add up.
    """
    from hashlib import sha256

    from lmkit import checkpoint
    from lmkit.tokenization.bpe.pretoken_counts import Counter, PretokenCounts, from_table

    counter = None
    records = []
    for name in files:
        data = streams.read_whole(name, _extent)
        if len(data) > size_limits.TABLE.size and not checkpoint.is_checkpoint(data[:9]):
            raise size_limits.TABLE.error(streams.display(name))
        records.append(content_record(name, {"counts": sha256(data).hexdigest()}))
        with opening.error_context(name):
            if checkpoint.is_checkpoint(data[:9]):
                content = checkpoint.parse(data)
                opening.unprotected(name)(content)
                if content.kind != PretokenCounts.kind:
                    raise CheckpointError(f"a checkpoint of kind {content.kind}, expected counts of `lmkit bpe count`")
                counts = PretokenCounts.from_checkpoint(content)
                if given and counts.scheme != scheme:
                    raise UsageError(
                        "its pre-tokens were counted with other options",
                        hint="leave out --level, --pattern and --normalize, or count again with them",
                    )
            else:
                text = bytes(data)
                counts = from_table(text.removesuffix(b"\n").split(b"\n") if text else [], scheme)
            counter = counter or Counter(counts.scheme)
            counter.merge(counts)
    total = counter.total() if counter else None
    if total is None or not len(total):
        raise DataError("no counts to learn from: the input is empty")
    return total, records
