"""`lmkit data mask`: examples of masked language modelling."""

from collections.abc import Iterator
from typing import Any

from lmkit.commands.data.encoder_text import Show, encoder_format
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.options.data import Epoch
from lmkit.commands.options.masking import MaskRate, WholeWord
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Json, Output, Run, Seed, Tokens
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.io import outputs, streams
from lmkit.io.records import Table, to_json

COLUMNS = ("line", "position", "input", "label")


@with_groups()
def mask(
    run: Run,
    files: TextFiles = None,
    *,
    text_input: TextInput,
    tokens: Tokens,
    mask_rate: MaskRate = 0.15,
    whole_word: WholeWord = False,
    epoch: Epoch = 0,
    seed: Seed = 0,
    show: Show = False,
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    output: Output = None,
) -> None:
    """Mask tokens of a text: the training examples of BERT.

    Each line is an example: `input_ids`, with [CLS] and [SEP] around the text where the tokenizer has them, and
    `labels`, the true tokens where they are to be predicted and -100 elsewhere. Every token but special ones is
    selected independently. The masks of a line depend on the seed, the epoch and the number of the line only.

    Examples:
      lmkit data mask --tokens wp.lm train.txt > masked.jsonl
      lmkit data mask --tokens wp.lm --whole-word --show train.txt
      lmkit data mask --tokens wp.lm --epoch 1 --mask-rate 0.3 train.txt -o masked.jsonl
    """
    import numpy as np

    from lmkit.data.masking import Masking

    names = list(files or [streams.STDIN])
    opening.check_single_stdin(tokens, *names)
    tokenizer, form = encoder_format(tokens)
    with opening.error_context(tokens):
        masking = Masking.of(tokenizer, form, mask_rate, whole_words=whole_word)
    reader = running_text.text_reader(encoding_errors, text_input.source, raw=tokenizer.accepts_any_bytes, eager=True)
    with outputs.open_output(output) as out:
        table = Table(out, COLUMNS, as_json=json)
        lines = _lines(running_text.read_blocks(run, reader, names, "masking"), tokenizer)
        for number, ids in enumerate(lines, 1):
            masked = masking.apply(form.single(ids).ids, np.random.default_rng([seed, epoch, number]))
            if show:
                table.rows(_rows(tokenizer, number, masked))
            else:
                out.line(to_json({"input_ids": masked.inputs.tolist(), "labels": masked.labels.tolist()}))


def _lines(blocks: Iterator[bytes], tokenizer: Any) -> Iterator[Any]:
    """The ids of each line."""
    for block in blocks:
        ids, ends = tokenizer.encode_block(block)
        begin = 0
        for end in ends.tolist():
            yield ids[begin:end]
            begin = end


def _rows(tokenizer: Any, number: int, masked: Any) -> Iterator[dict[str, Any]]:
    """What is shown of an example: each token, and the true one where it is to be predicted."""
    from lmkit.data.masking import IGNORED

    def shown(token: int) -> str:
        written: bytes = tokenizer.written(token)
        return written.decode(errors="backslashreplace")

    for place, (token, label) in enumerate(zip(masked.inputs.tolist(), masked.labels.tolist(), strict=True)):
        true = None if label == IGNORED else shown(label)
        yield {"line": number, "position": place, "input": shown(token), "label": true}
