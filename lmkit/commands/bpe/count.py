"""`lmkit bpe count`: distinct pre-tokens and their counts."""

from typing import Any, NamedTuple

from lmkit.commands.bpe.pretoken_counting import (
    Level,
    Pattern,
    count_pretokens,
    make_scheme,
    merged,
    record_of,
)
from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import checkpoint_bytes, origin
from lmkit.commands.options.engine import Engine, Scheduler, expect_files, in_tasks
from lmkit.commands.options.normalization import Normalize
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Output, Run
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.commands.records.corpora import quiet_run
from lmkit.errors import DataError
from lmkit.io import outputs, streams
from lmkit.io.text_sources import TextSource


@with_groups()
def count(
    run: Run,
    files: TextFiles = None,
    *,
    text_input: TextInput,
    level: Level = "byte",
    pattern: Pattern = None,
    normalize: Normalize = "none",
    engine: Engine = None,
    scheduler: Scheduler = None,
    encoding_errors: EncodingErrors = "strict",
    output: Output = None,
) -> None:
    """Count the distinct pre-tokens of a text.

    The counts are all that BPE training needs. Parts of a corpus can be counted on different machines: `bpe train
    --from-counts` with the count files, in the order of the parts, gives the tokenizer of the whole corpus.

    Examples:
      lmkit bpe count part1.txt -o 1.lm; lmkit bpe count part2.txt -o 2.lm
      lmkit bpe train --from-counts --vocab-size 8000 1.lm 2.lm -o bpe.lm
      lmkit bpe count --engine dask part*.txt -o counts.lm
    """
    inputs = list(files or [streams.STDIN])
    opening.check_single_stdin(*inputs)
    expect_files(files, engine, scheduler)
    scheme, source = make_scheme(level, pattern, normalize), text_input.source
    with outputs.open_output(output, binary=True) as out:
        if engine is None:
            counts, record = count_pretokens(run, inputs, scheme, encoding_errors, source)
        else:
            pieces = [Piece(name, scheme, encoding_errors, source, last=False) for name in inputs]
            pieces[-1] = pieces[-1]._replace(last=True)
            with in_tasks(counts_of_file, pieces, scheduler) as parts:
                counts = merged(parts, scheme)
            record = record_of(run, inputs, scheme, encoding_errors, source)
        for piece in checkpoint_bytes(counts, origin("bpe count", {"scheme": scheme.describe()}, [record])):
            out.write(piece)


class Piece(NamedTuple):
    """A file to count, and how."""

    name: str
    scheme: Any
    encoding_errors: str
    source: TextSource
    last: bool


def counts_of_file(piece: Piece) -> Any:
    """The counts of one file: the task that an engine places.

    Raises DataError where the next file continues its last line.
    """
    name, scheme, encoding_errors, source, last = piece
    if scheme.level == "byte" and not last and source.form_of(name) == "text":
        end = b""
        for block in streams.chunks(name):
            end = block[-1:]
        if end not in (b"", b"\n"):
            raise DataError(
                f"{streams.display(name)}: its last line has no end, so the next FILE continues it",
                hint="end it with a line feed, or leave --engine out",
            )
    return count_pretokens(quiet_run("bpe count"), [name], scheme, encoding_errors, source, empty=True)[0]
