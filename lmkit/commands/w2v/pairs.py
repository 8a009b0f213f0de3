"""`lmkit w2v pairs`: words of a text and those around each."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Bare, EncodingErrors, Json, Output, Run, WordWindow
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.io import outputs, streams
from lmkit.io.records import Table
from lmkit.io.text_sources import SourceReader

BLOCK = 1 << 16  # all pairs of a block are written at once


@with_groups()
def pairs(
    run: Run,
    files: TextFiles = None,
    *,
    text_input: TextInput,
    window: WordWindow = 2,
    grouped: Annotated[
        bool, typer.Option("--grouped", help="Group pairs: print a line per centre, with all its context words.")
    ] = False,
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:
    """List the (centre, context) training pairs of a text.

    Each word is a `centre` once, and up to N words before and after it in its line are its `context`; each
    combination is a pair. Words alone in their line appear only with --grouped. Training uses such pairs, but
    subsamples frequent words and draws a random window size per centre. --bare prints the number of pairs, or
    of centres with --grouped.

    Examples:
      echo 'Yo vi un ave volando en cielo' | lmkit w2v pairs --window 2
      lmkit w2v pairs --window 5 --grouped --json corpus.txt
    """
    names = list(files or [streams.STDIN])
    opening.check_single_stdin(*names)
    with outputs.open_output(output) as out:
        table = Table(out, ("centre", "contexts" if grouped else "context"), as_json=json)
        count = 0
        reader = running_text.text_reader(encoding_errors, text_input.source, eager=True, block=BLOCK)
        for centres in _centres(run, names, reader, window):
            if bare:
                count += sum(1 if grouped else len(centre.context) for centre in centres)
            else:
                table.rows(record for centre in centres for record in _records(centre, grouped=grouped, as_json=json))
        if bare:
            out.line(str(count))


def _records(centre: Any, *, grouped: bool, as_json: bool) -> Iterator[dict[str, Any]]:
    word, context = centre.word.decode(), [other.decode() for other in centre.context]
    if grouped:
        yield {"centre": word, "contexts": context if as_json else " ".join(context)}
    else:
        for other in context:
            yield {"centre": word, "context": other}


def _centres(run: Run, names: Sequence[str], reader: SourceReader, window: int) -> Iterator[Iterator[Any]]:
    """Words and those around them, as many at once as have come."""
    from lmkit.data.context_windows import SEPARATORS, Windows, words_of

    with run.terminal.progress("reading", streams.size_of(names)) as progress:
        for name in names:
            windows = Windows(window)
            for piece in progress.over(
                running_text.warn_if_no_text(run, name, reader.pieces(name, separators=SEPARATORS), reader.source)
            ):
                yield windows.take(words_of(piece))
            yield windows.take([None])
    running_text.warn_replaced_bytes(run, reader)
