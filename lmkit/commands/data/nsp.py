"""`lmkit data nsp`: examples of next-sentence prediction."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.data.encoder_text import Show, encoder_format
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Json, Output, Run, Seed, Tokens
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.errors import UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table, to_json

COLUMNS = ("example", "position", "segment", "token", "label")
LEAST = 5
"""Tokens of the shortest pair: one of each sentence, and those around."""


@with_groups()
def nsp(
    run: Run,
    files: TextFiles = None,
    *,
    text_input: TextInput,
    tokens: Tokens,
    context: Annotated[int, typer.Option("--context", metavar="N", min=1, help="Context length, in tokens.")] = 512,
    seed: Seed = 0,
    show: Show = False,
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    output: Output = None,
) -> None:
    """Make sentence pairs of a text, for next-sentence prediction.

    Each line is a sentence, and blank lines end documents. Each sentence that another follows in its document makes
    an example, [CLS] first [SEP] second [SEP]: `input_ids`, `token_type_ids` (0 up to the first [SEP], then 1),
    `label` and both texts. In half of the examples the second sentence is the true next one (label 1), in the others
    one drawn from another document among some thousand sentences (label 0). The longer sentence is cut where a pair
    exceeds the context.

    Examples:
      lmkit data nsp --tokens wp.lm book.txt > pairs.jsonl
      lmkit data nsp --tokens wp.lm --show book.txt
    """
    import numpy as np

    from lmkit.data.sentence_pairs import cut_pair, in_documents

    if context < LEAST:
        raise UsageError(f"--context {context} has no room for two sentences, at least {LEAST} tokens")
    names = list(files or [streams.STDIN])
    opening.check_single_stdin(tokens, *names)
    tokenizer, form = encoder_format(tokens, "cls", "sep")
    reader = running_text.text_reader(encoding_errors, text_input.source, raw=tokenizer.accepts_any_bytes, eager=True)
    generator = np.random.default_rng(seed)
    most = context - 2 - form.separators
    with outputs.open_output(output) as out:
        table = Table(out, COLUMNS, as_json=json)
        blocks = running_text.read_blocks(run, reader, names, "pairing")
        lines = (line for block in blocks for line in block[:-1].split(b"\n"))
        number = 0
        for part in in_documents(lines):
            ids, ends = tokenizer.encode_block(b"".join(text + b"\n" for text in part.texts))
            sentences = np.split(ids, ends[:-1])
            for pair in part.pairs(generator):
                number += 1
                example = form.pair(*cut_pair(sentences[pair.first], sentences[pair.second], most))
                if show:
                    table.rows(_rows(tokenizer, number, example, pair))
                else:
                    out.line(to_json(_record(example, pair, part.texts)))


def _record(example: Any, pair: Any, texts: Sequence[bytes]) -> dict[str, Any]:
    first, second = (texts[number].decode(errors="replace") for number in pair[:2])
    return {
        "input_ids": example.ids.tolist(), "token_type_ids": example.segments.tolist(), "label": int(pair.follows),
        "first": first, "second": second,
    }  # fmt: skip


def _rows(tokenizer: Any, number: int, example: Any, pair: Any) -> Iterator[dict[str, Any]]:
    for place, (token, segment) in enumerate(zip(example.ids.tolist(), example.segments.tolist(), strict=True)):
        written = tokenizer.written(token).decode(errors="backslashreplace")
        yield {"example": number, "position": place, "segment": segment, "token": written, "label": int(pair.follows)}
