"""`lmkit ngram import` and `export`: ARPA models and tables of counts."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import checkpoint_bytes, file_record, origin
from lmkit.commands.ngram.count_files import count_bytes
from lmkit.commands.options.normalization import Normalize, Punctuation, normalization_of
from lmkit.commands.options.standard import ModelOption, Output, Run
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.io import outputs, streams, text_files
from lmkit.tokenization.normalization import Normalization, of_tokenizer


def import_(
    run: Run,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="ARPA file, or a table with --counts. No FILE reads stdin.")
    ] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="Read a table of counts: n-gram, tab, count. `</s>` ends sentences.")
    ] = False,
    normalize: Normalize = "none",
    punctuation: Punctuation = "keep",
    output: Output = None,
) -> None:
    """Import an ARPA model or a table of counts.

    ARPA files of lmplz, SRILM, OpenGrm and IRSTLM are read, compressed or not. Every command accepts an ARPA
    file as a model; an imported one opens faster. Probabilities stay as in the file, as in KenLM. Where they sum
    to more than 1, a warning says so, and all commands score with them unchanged.

    --counts reads the tables that `ngram export` writes of count files. Repeated n-grams are added up, so
    tables can be joined with `sort -m` or in a database.

    --normalize and --punctuation describe how the model's training text was normalised. The model then
    normalises every text that it reads; the file's own words stay unchanged.

    Examples:
      lmkit ngram import model.arpa.gz -o model.lm
      lmkit ngram import --counts counts.tsv -o counts.lm
    """
    normalization = normalization_of(normalize, punctuation)
    name = file or streams.STDIN
    with outputs.open_output(output, binary=True) as out:
        if counts:
            pieces = count_bytes(_counts_from_table(name, normalization))
        else:
            model = opening.open_kind(name, "ngram")
            _tell_excess(run, name, model)
            record = origin("ngram import", normalization.describe(), [{**file_record(name), "model": model.digest}])
            pieces = checkpoint_bytes(_normalising(model, normalization), record)
        for piece in pieces:
            out.write(piece)


def _normalising(model: Any, normalization: Normalization) -> Any:
    """The model, which normalises the texts that it reads if that is asked for. Raises UsageError."""
    from lmkit.ngram.backoff_model import NGram

    if not normalization:
        return model
    if of_tokenizer(model.tokenizer) or model.tokenizer.kind != "word":
        raise UsageError("--normalize and --punctuation are for ARPA files and tables of counts")
    return NGram(model.checked, model.tokenizer.normalising(normalization), model.config, model.digest)


def _tell_excess(run: Run, name: str, model: Any) -> None:
    """Warns where an ARPA file's probabilities sum to more than 1 after some contexts."""
    if model.normalised or model.config.get("smoothing") != "imported":
        return
    from lmkit.ngram.probability_sums import excess

    found = excess(model.tables)
    worst = model.tokenizer.decode(found.words).decode(errors="replace")
    contexts = "1 context" if found.contexts == 1 else f"{found.contexts} contexts"
    run.terminal.notice(
        f"{streams.display(name)}: the probabilities after {contexts} sum to more than 1, after {worst!r} to "
        f"{found.highest:.6g}; all commands score with the file's numbers as they are"
    )


def export(
    run: Run,
    file: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Model or count file. No MODEL reads stdin.", show_default=False),
    ] = None,
    model: ModelOption = None,
    output: Output = None,
) -> None:
    """Export a model as ARPA, or counts as a table.

    A model becomes an ARPA file. A count file becomes a table of n-grams and counts, sorted by bytes, so that
    `sort -m` can merge tables. Output named *.gz is compressed.

    Examples:
      lmkit ngram export -m model.lm -o model.arpa
      lmkit ngram export model.lm -o model.arpa.gz
      lmkit ngram count text.txt | lmkit ngram export > counts.tsv
    """
    if file is not None and model is not None:
        raise UsageError("the model is named twice")
    name = file or model or streams.STDIN
    opened = opening.open_any(name)
    if opened.kind == "ngram":
        opened.check()
        if opened.unseen:
            run.terminal.notice("ARPA files have no weight for unseen contexts: stupid backoff scores change slightly")
    if opened.kind not in ("ngram", "ngram-counts"):
        raise CheckpointError(f"{streams.display(name)}: a checkpoint of kind {opened.kind} has no n-grams")
    if opened.kind == "ngram" and not opened.tokenizer.separator:
        space = "U+0120, and every byte as a character," if opened.tokenizer.has_merges else "U+2581"
        run.terminal.notice(f"{opened.tokenizer.kind} tokens: spaces are written as {space} in ARPA")
    if normalization := of_tokenizer(opened.tokenizer):
        kind = "an ARPA file" if opened.kind == "ngram" else "a table"
        run.terminal.notice(f"{normalization} cannot be stored in {kind}, omitted: give its readers text in that form")
    pieces = _arpa(opened) if opened.kind == "ngram" else _table(opened)
    with outputs.open_output(output) as out:
        if output is not None and output.endswith(".gz"):
            pieces = outputs.gzipped(pieces)
        for piece in pieces:
            out.write(piece)


def _arpa(model: Any) -> Iterator[bytes]:
    from lmkit.ngram import arpa

    return arpa.write(model.tables, model.tokenizer.fields())


def _table(file: Any) -> Iterator[bytes]:
    """Lines `n-gram TAB count`, sorted by bytes, all orders together."""
    import numpy as np

    from lmkit.ngram.tables import words_of

    pieces = file.tokenizer.fields()
    keys = [level.key for level in file.counts.levels]
    lines = []
    for order, level in enumerate(file.counts.levels, 1):
        ids = np.flatnonzero(level.count)
        rows = words_of(keys, order, ids).tolist()
        for row, count in zip(rows, level.count[ids].tolist(), strict=True):
            lines.append(b"%s\t%d\n" % (b" ".join([pieces[word] for word in row]), count))
    lines.sort()
    yield from lines


def _counts_from_table(name: str, normalization: Normalization) -> Any:
    from lmkit.ngram.count_file import CountFile
    from lmkit.ngram.count_table import from_rows
    from lmkit.tokenization.tokenizers import WordTokenizer
    from lmkit.tokenization.words import split

    def rows() -> Iterator[tuple[list[bytes], int]]:
        for number, line in enumerate(text_files.TextReader().lines(name), 1):
            gram, tab, count = line.rpartition(b"\t")
            if not tab or not count.isdigit() or len(count) > 18 or not split(gram):
                raise DataError(f"{streams.display(name)}:{number}: expected an n-gram, a tab and a count")
            yield split(gram), int(count)

    try:
        counts, vocabulary = from_rows(rows())
    except DataError as error:
        text = str(error)
        raise DataError(
            text if text.startswith(streams.display(name)) else f"{streams.display(name)}: {text}"
        ) from None
    return CountFile(counts, WordTokenizer(vocabulary, normalization))
