"""`lmkit bpe stats`: statistics of a tokenizer on a text."""

from collections.abc import Iterator
from typing import Any

from lmkit.commands.bpe.pretoken_counting import TokenizerOption
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.options.figures import Plot
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Json, Output, Run
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.errors import DataError
from lmkit.io import outputs
from lmkit.io.figures import charts
from lmkit.io.figures import files as figure_files
from lmkit.io.records import Table, to_json, write_pairs
from lmkit.io.text_sources import SourceReader


@with_groups()
def stats(
    run: Run,
    files: TextFiles = None,
    model: TokenizerOption = None,
    *,
    text_input: TextInput,
    encoding_errors: EncodingErrors = "strict",
    plot: Plot = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Report tokenizer statistics: fertility, compression, vocabulary use.

    Prints words, characters and bytes per token (line ends count as text, not as tokens), unknown tokens, and
    the share of the vocabulary that the text uses. A second table shows, by word frequency, fertility (tokens
    per word) and the share of words that stay whole; --plot draws it.

    Examples:
      lmkit bpe stats -m bpe.lm text.txt
      lmkit bpe stats -m model.lm --json < text.txt
    """
    names, inputs = opening.sources([model] if model is not None else [], files)
    with outputs.open_output(output) as out:
        tokenizer = opening.open_tokenizer(names[0])
        record = _record(run, tokenizer, inputs, running_text.text_reader(encoding_errors, text_input.source))
        if plot is not None:
            figure_files.write(plot, _figure(record))
        if json:
            out.line(to_json(run.signed(record)))
            return
        bands = record.pop("fertility_by_frequency")
        write_pairs(out, record.items())
        out.line("")
        Table(out, ("frequency", "types", "words", "tokens_per_word", "whole_words"), as_json=False).rows(bands)


def _figure(record: dict[str, Any]) -> charts.Figure:
    """Fertility and the share of whole words by the frequency of words."""
    bands = record["fertility_by_frequency"]
    frequencies = charts.Axis("occurrences of a word", names=[band["frequency"] for band in bands])
    panels = [
        charts.Panel([charts.Bars("", [band[key] for band in bands], color=color)], frequencies, axis)
        for color, (key, axis) in enumerate(
            (
                ("tokens_per_word", charts.Axis("tokens a word", low=0.0)),
                ("whole_words", charts.Axis("share of words that are one token", low=0.0, high=1.0)),
            )
        )
    ]
    title = f"{record['tokens']:,} tokens, {record['characters_per_token']:.2f} characters each"
    return charts.Figure(title, panels)


def _record(run: Run, tokenizer: Any, inputs: list[str], reader: SourceReader) -> dict[str, Any]:
    """All that is printed. Raises DataError for an empty text."""
    import numpy as np

    from lmkit.evaluation.perplexity import measure
    from lmkit.tokenization.fertility import Tally

    tally = Tally(tokenizer)
    reader.raw = tokenizer.accepts_any_bytes
    sizes = np.zeros(4, dtype=np.int64)
    for block in running_text.read_blocks(run, reader, inputs, "encoding"):
        tally.add(block, tokenizer.encode_block(block)[0])
        sizes += measure(block)
    lines, words, characters, size = sizes.tolist()
    characters, size = characters - reader.completed, size - reader.completed  # line ends that the files do not have
    if not tally.tokens:
        raise DataError("no text to encode: the input is empty")
    return {
        "lines": lines,
        "words": words,
        "characters": characters,
        "bytes": size,
        "tokens": tally.tokens,
        "unknown_tokens": tally.unknown_tokens,
        "unknown_share": tally.unknown_tokens / tally.tokens,
        "words_per_token": words / tally.tokens,
        "characters_per_token": characters / tally.tokens,
        "bytes_per_token": size / tally.tokens,
        "tokens_per_word": tally.tokens / words if words else None,
        "vocabulary": tokenizer.size,
        "vocabulary_used": tally.used,
        "vocabulary_used_share": tally.used / tokenizer.size,
        "fertility_by_frequency": list(_bands(tally, tokenizer)),
    }


def _bands(tally: Any, tokenizer: Any) -> Iterator[dict[str, Any]]:
    """Fertility by word frequency; words are encoded as they stand inside a line."""
    for band in tally.bands(b" " if tokenizer.spells_whitespace else b""):
        yield {
            "frequency": f"{band.least}-{band.most}" if band.most else f"{band.least}-",
            "types": band.types,
            "words": band.words,
            "tokens_per_word": band.tokens / band.words,
            "whole_words": band.whole / band.words,
        }
