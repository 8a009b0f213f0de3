"""`lmkit data split`: a corpus in shares, such as one to train on and one to test on."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from lmkit.commands.options.data import CorpusNormalize
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Json, Output, Run, Seed, TempDir
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.weights import named_weights, shares_of
from lmkit.commands.records.corpora import Chunk, Corpus, CorpusInput, RecordWriter
from lmkit.errors import UsageError
from lmkit.io import outputs
from lmkit.io.records import Table

ENDINGS = {"text": ".txt", "tsv": ".tsv", "jsonl": ".jsonl"}


@with_groups()
def split(
    run: Run,
    files: TextFiles = None,
    *,
    stored: CorpusInput,
    shares: Annotated[
        str, typer.Option("--shares", metavar="LIST", help="Names and proportions of the shares, in order.")
    ] = "train=0.9,valid=0.05,test=0.05",
    group: Annotated[
        str | None,
        typer.Option(
            "--group", metavar="NAME", show_default="the text",
            help="Group field: records with the same value get the same share.",
        ),
    ] = None,
    stratify: Annotated[
        str | None,
        typer.Option(
            "--stratify", metavar="NAME", show_default=False,
            help="Stratification field: shares have their proportions among the records of each of its values.",
        ),
    ] = None,
    normalize: CorpusNormalize = False,
    only: Annotated[
        str | None,
        typer.Option(
            "--only", metavar="NAME", show_default=False, help="Write the records of this share alone to stdout."
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    temp_dir: TempDir = None,
    output: Output = None,
) -> None:  # fmt: skip
    """Split a corpus into shares, such as train, valid and test.

    The share of a record depends on the hash of its text (or of --group) and the seed alone. So duplicates are
    never separated, a record keeps its share when the corpus grows, and memory does not grow with it. Proportions
    are approximate; with --stratify they are exact to within one group, and keys of all records are held in
    memory (24 bytes each), the records in a temporary file.

    -o names a folder: each share becomes a file in it, and a table of their sizes is printed.

    Examples:
      lmkit data split corpus.txt -o parts
      lmkit data split --shares train=0.8,test=0.2 --group author --stratify language books.jsonl -o parts
      lmkit data split --only valid corpus.jsonl | lmkit ppl -m model.lm --input jsonl
    """
    weights = named_weights(shares, "--shares")
    proportions, total = shares_of(weights)
    if abs(total - 1) > 1e-9:
        run.terminal.notice(f"the shares sum to {total:g}, renormalised")
    if (output is None) == (only is None):
        raise UsageError(
            "name one place for the shares", hint="-o FOLDER writes all of them, --only NAME one to stdout"
        )
    if only is not None and only not in weights:
        raise UsageError(f"--only {only!r} is not one of {', '.join(weights)}")
    needed = [name for name in (group, stratify) if name is not None]
    corpus = Corpus(run, stored, files, texts=group is None, fields=needed)
    names, form = list(weights), corpus.expect_one_form()
    keyed = _Keys(group, seed, normalize=normalize)
    assigned = (
        _hashed(corpus, keyed, list(proportions.values()))
        if stratify is None
        else _stratified(corpus, keyed, list(proportions.values()), stratify, temp_dir)
    )
    with ExitStack() as stack:
        if output is None:
            writers = {names.index(str(only)): RecordWriter(stack.enter_context(outputs.open_output(None)))}
        else:
            writers = _files(stack, output, names, form, corpus.files)
        for numbers, raws, header in assigned:
            for number, writer in writers.items():
                mine = (numbers == number).nonzero()[0].tolist()
                writer.write([raws[place] for place in mine], header, "a later file")
    if output is not None:
        _report(writers, names, json)


def _files(
    stack: ExitStack, folder: str, names: Sequence[str], form: str, inputs: Sequence[str]
) -> dict[int, RecordWriter]:
    """A writer for each share. Raises UsageError for a share whose name is no file name."""
    for name in names:
        if os.path.basename(name) != name or name.startswith("."):
            raise UsageError(f"--shares: {name!r} is not a file name")
    outputs.make_folder(folder)
    paths = [os.path.join(folder, name + ENDINGS[form]) for name in names]
    for path in paths:
        outputs.refuse_overwriting_inputs(path, inputs)
    return {at: RecordWriter(stack.enter_context(outputs.open_output(path))) for at, path in enumerate(paths)}


def _report(writers: dict[int, RecordWriter], names: Sequence[str], json: bool) -> None:
    total = sum(writer.records for writer in writers.values())
    with outputs.open_output(None) as out:
        table = Table(out, ("share", "records", "bytes", "proportion"), as_json=json)
        for number, writer in writers.items():
            proportion = writer.records / total if total else 0.0
            table.row(
                {"share": names[number], "records": writer.records, "bytes": writer.bytes, "proportion": proportion}
            )


class _Keys:
    """The keys of records: hashes of their texts, or of a field."""

    def __init__(self, group: str | None, seed: int, *, normalize: bool) -> None:
        self._group, self._seed, self._normalize = group, seed, normalize

    def of(self, chunk: Chunk) -> Any:
        from lmkit.data.normal_form import normal_bytes
        from lmkit.data.splitting import keys_of

        contents = chunk.texts if self._group is None else chunk.values(self._group)
        return keys_of([normal_bytes(text) for text in contents] if self._normalize else contents, self._seed)


Assigned = Iterator[tuple[Any, Sequence[bytes], bytes | None]]
"""The numbers of shares of some records, the records, and their header."""


def _hashed(corpus: Corpus, keys: _Keys, proportions: Sequence[float]) -> Assigned:
    from lmkit.data.splitting import shares_of

    for chunk in corpus.chunks():
        yield shares_of(keys.of(chunk), proportions), chunk.raws, chunk.header


def _stratified(
    corpus: Corpus, keys: _Keys, proportions: Sequence[float], field: str, temp_dir: str | None
) -> Assigned:
    """The same, each stratum in the proportions: records wait in a temporary file until all are known."""
    import numpy as np

    from lmkit.data.splitting import stratified_shares
    from lmkit.io.spool import Spool
    from lmkit.io.temp_storage import Disk

    spool, header = Spool(Disk(temp_dir)), None
    found, strata, numbers = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], dict[bytes, int]()
    for chunk in corpus.chunks():
        found.append(keys.of(chunk))
        values = chunk.values(field)
        strata.append(np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64))
        spool.add(chunk.raws)
        header = header or chunk.header
    ranks = {value: rank for rank, value in enumerate(sorted(numbers))}  # so that the order of records is no matter
    rank_of = np.array([ranks[value] for value in numbers], dtype=np.int64)
    shares = stratified_shares(np.concatenate(found), rank_of[np.concatenate(strata)], proportions)
    begin = 0
    for raws in spool.chunks():
        yield shares[begin : begin + len(raws)], raws, header
        begin += len(raws)
