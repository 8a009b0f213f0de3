"""`lmkit data spans`: examples of span corruption, T5's pre-training."""

from collections.abc import Iterator
from typing import Annotated

import typer

from lmkit.commands.data import corrupted_text
from lmkit.commands.data.corrupted_text import As, TextTokens
from lmkit.commands.loading import models as opening
from lmkit.commands.options.data import Epoch
from lmkit.commands.options.denoising import CorruptionRate, MeanLength, Sentinels
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Json, Output, Run, Seed, Tokens
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.records.corpora import CorpusInput, number_of
from lmkit.commands.records.record_files import open_records
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams, text_files
from lmkit.io.record_reader import Record, encoded, form_of
from lmkit.io.records import to_json


@with_groups()
def spans(
    run: Run,
    files: TextFiles = None,
    *,
    stored: CorpusInput,
    tokens: Tokens = "word",
    rate: CorruptionRate = 0.15,
    mean_length: MeanLength = 3.0,
    sentinels: Sentinels = 100,
    invert: Annotated[
        bool, typer.Option("--invert", help="Print the texts of such records, byte for byte.")
    ] = False,
    epoch: Epoch = 0,
    seed: Seed = 0,
    form: As = "text",
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    r"""Replace spans of a text by sentinels: the training examples of T5.

    Each line, or the text of each record, is an example: `input`, with `<extra_id_0>`, `<extra_id_1>`, ... in place of
    what was removed, and `target`, each sentinel followed by what it replaces, and the next one at the end. As many
    tokens are removed as --rate says, to within one; with --mean-length they make the number of spans, which is below
    --sentinels. The spans of a text depend on the seed, the epoch and its number only. Text that spells a sentinel
    gets a backslash (`<\extra_id_0>`), which --invert removes.

    Examples:
      echo 'Thank you for inviting me to your party last week' | lmkit data spans --rate 0.3
      lmkit data spans train.txt -o spans.jsonl
      lmkit data spans --invert spans.jsonl -o train.txt
      lmkit data spans --tokens t5-small --as ids --epoch 1 train.txt
    """
    if sentinels < 2:
        raise UsageError(f"--sentinels {sentinels}: a text with one span has 2")
    if invert:
        _invert(run, stored, files, output, as_json=json)
        return
    corrupted_text.expect_single_stdin(tokens, files)
    own = TextTokens.of(tokens, form)
    from lmkit.data.span_corruption import SpanCorruption, corrupted, random_spans

    corruption = None
    if form == "ids":
        with opening.error_context(tokens):
            corruption = SpanCorruption.of(own.tokenizer, rate, mean_length)
            corruption = SpanCorruption(corruption.sentinels[:sentinels], rate, mean_length)
    long = 0
    with outputs.open_output(output) as out:
        for example in corrupted_text.examples(run, stored, files, seed, epoch):
            if corruption is not None:
                out.line(
                    to_json(corrupted_text.record_of_ids(corruption.apply(own.ids(example.text), example.generator)))
                )
                continue
            places = own.places(example)
            found = random_spans(len(places.starts), example.generator, rate, mean_length, sentinels - 1)
            long += len(found.begins) == sentinels - 1 and found.tokens / mean_length > sentinels
            out.line(to_json(corrupted_text.record(*corrupted(example.text, *places, found), example.fields)))
    if long:
        run.terminal.notice(
            f"{number_of(long, 'text')} with longer spans than asked, for lack of sentinels; "
            "hint: --sentinels, or shorter texts"
        )


def _invert(run: Run, stored: CorpusInput, files: list[str] | None, output: str | None, *, as_json: bool) -> None:
    """Prints the texts of records of `input` and `target`."""
    from lmkit.data.span_corruption import restored

    if stored.text_field is not None:
        raise UsageError("--invert reads the fields `input` and `target`, so it takes no --field")
    with outputs.open_output(output) as out:
        for record in _records(run, stored, files):
            fields = dict(record.fields or {})
            source, target = (_text(record, name) for name in ("input", "target"))
            with opening.error_context(record.place):
                text = restored(source, target)
            if as_json:
                left = {name: value for name, value in fields.items() if name not in ("input", "target", "text")}
                out.line(to_json({"text": text, **left}))
            else:
                out.answer(encoded(text, record.place) + b"\n")


def _records(run: Run, stored: CorpusInput, files: list[str] | None) -> Iterator[Record]:
    for name in files or [streams.STDIN]:
        form = form_of(name, stored.input_form, "jsonl")
        if form in ("text", "tsv"):
            raise UsageError(f"--invert reads records, not {form}", hint="--input jsonl")
        yield from open_records(run, name, text_files.TextReader(eager=True)).records(form)


def _text(record: Record, name: str) -> str:
    value = (record.fields or {}).get(name)
    if not isinstance(value, str):
        raise DataError(f"{record.place}: no text in the field {name!r}", hint="`lmkit data spans` writes such records")
    return value
