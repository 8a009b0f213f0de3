"""`lmkit fill`: what may be at the masks of a text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lmkit.commands.loading import encoders, running_text
from lmkit.commands.loading import models as opening
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Bare, Device, EncodingErrors, Json, ModelOption, ModelThreads, Output, Run
from lmkit.commands.options.text_input import TextInput
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table
from lmkit.protocols import Tokenizer

if TYPE_CHECKING:
    from lmkit.evaluation.masked_places import Masked
    from lmkit.protocols import Encoder

COLUMNS = ("line", "mask", "token", "id", "probability", "nats")


@with_groups()
def fill(
    run: Run,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT]...", show_default=False, help="Texts with masks. No TEXT: the lines of stdin."
        ),
    ] = None,
    model: ModelOption = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Number of tokens for each mask.")] = 5,
    window: Annotated[
        bool,
        typer.Option(
            "--window",
            help="Read only the tokens around each mask of a text longer than the context length, instead of "
            "refusing it.",
        ),
    ] = False,
    *,
    text_input: TextInput,
    encoding_errors: EncodingErrors = "strict",
    threads: ModelThreads = None,
    device: Device = "cpu",
    precision: encoders.Precision = "fp32",
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Fill masks: the most probable tokens at each [MASK] of a text.

    The model is an encoder with a head of masked language modelling, such as BERT. [MASK], or the name that the
    model's own tokenizer has for it, is a place to fill; names of other special tokens mean these tokens too. A
    text with several masks has an answer for each, given the text with all of them masked.

    Columns: line (or number of the TEXT), mask (from 0), token, its id, probability and log-probability. --bare
    prints each text with the most probable token at each mask.

    Examples:
      lmkit fill -m bert-folder "Montevideo es la [MASK] de Uruguay."
      lmkit fill -m enc.lm --top 3 --json < lines.txt
      lmkit fill -m enc.lm -b "the [MASK] sat on the [MASK]"
    """
    if texts and (text_input.input_form != "auto" or text_input.text_field is not None):
        raise UsageError("--input and --field are about stdin and cannot be combined with TEXTs")
    if json and bare:
        raise UsageError("--json and --bare exclude each other")
    if model is None and not texts:
        raise UsageError("no model", hint="name one with -m MODEL, or give TEXTs and the model on stdin")
    name = model if model is not None else streams.STDIN
    if not texts:
        opening.check_single_stdin(name, streams.STDIN)
    opened = encoders.require_encoder(opening.open_any(name), name)
    with opening.error_context(name):
        opened.check_fills()
        mask = opened.tokenizer.piece(opened.form.mask_token)
    backend = encoders.EncoderBackend(
        run, opened, name=name, device=device, precision=precision, threads=threads
    )  # fmt: skip
    reader = running_text.text_reader(encoding_errors, text_input.source, eager=True)
    with outputs.open_output(output) as out:
        table = None if bare else Table(out, COLUMNS, as_json=json)
        for line in _filled(
            backend, _blocks(run, reader, texts), mask, name, top=top, window=window, typed=bool(texts)
        ):
            if table is None:
                out.line(_with_best(line, mask).decode(errors="replace"))
                continue
            for record in _records(opened, line):
                table.row(record)


class _Line(NamedTuple):
    number: int
    text: bytes
    candidates: list[Any]
    """For each mask a list of `masked_places.Candidate`, and the piece of the first."""
    best: list[bytes]


def _blocks(run: Run, reader: Any, texts: list[str] | None) -> Iterator[bytes]:
    """Blocks of whole lines: each TEXT is one, whose own line ends are spaces."""
    if texts:
        yield b"".join(streams.argument_bytes(text).replace(b"\n", b" ") + b"\n" for text in texts)
    else:
        yield from running_text.read_blocks(run, reader, [streams.STDIN], "filling")


def spelled(text: bytes, tokenizer: Tokenizer, mask: bytes) -> bytes:
    """The text with masks as the model's tokenizer names them, where that does not know [MASK]."""
    from lmkit.data.encoder_sequences import MASK

    return text if MASK in tokenizer.names else text.replace(MASK, mask)


def _filled(
    backend: encoders.EncoderBackend, blocks: Iterator[bytes], mask: bytes, name: str, *, top: int, window: bool,
    typed: bool,
) -> Iterator[_Line]:  # fmt: skip
    """The lines with the candidates of their masks. Raises DataError with the line's number."""
    from lmkit.evaluation import masked_places

    number = size = 0
    for block in blocks:
        size += len(block)
        encoder = backend.for_bytes(size)
        tokenizer = encoder.tokenizer.with_specials()
        masked = spelled(block, tokenizer, mask)
        ids, ends = tokenizer.encode_block(masked)
        held: list[tuple[int, bytes, list[Masked]]] = []
        begin = tokens = 0
        for text, end in zip(masked[:-1].split(b"\n"), ends.tolist(), strict=True):
            number += 1
            try:
                found = masked_places.masked_text(encoder, ids[begin:end], window=window)
            except DataError as error:
                place = f"text {number}" if typed else f"{streams.display(streams.STDIN)}:{number}"
                raise DataError(f"{place}: {error}", hint=error.hint) from None
            begin = end
            held.append((number, text, found))
            tokens += sum(len(one.ids) for one in found)
            if tokens >= masked_places.BATCH_TOKENS:
                yield from _answered(encoder, held, name, top)
                held, tokens = [], 0
        if held:
            yield from _answered(encoder, held, name, top)


def _answered(
    encoder: "Encoder", held: "list[tuple[int, bytes, list[Masked]]]", name: str, top: int
) -> Iterator[_Line]:
    from lmkit.evaluation import masked_places

    with opening.error_context(name):
        found = iter(masked_places.fill(encoder, [one for _, _, several in held for one in several], top))
    for number, text, several in held:
        candidates = [next(found) for one in several for _ in one.places]
        yield _Line(number, text, candidates, [encoder.tokenizer.piece(each[0].token) for each in candidates])


def _records(encoder: "Encoder", line: _Line) -> Iterator[dict[str, Any]]:
    from lmkit.evaluation.perplexity import probability

    for place, candidates in enumerate(line.candidates):
        for token, nats in candidates:
            yield {
                "line": line.number, "mask": place, "token": encoder.tokenizer.piece(token).decode(errors="replace"),
                "id": token, "probability": probability(nats), "nats": nats,
            }  # fmt: skip


def _with_best(line: _Line, mask: bytes) -> bytes:
    """The text with the most probable token at each mask."""
    parts = line.text.split(mask)
    shown = [parts[0]]
    for piece, part in zip(line.best, parts[1:], strict=True):
        if piece.startswith(b"##"):  # the piece goes on from the word before
            shown[-1] = shown[-1].rstrip()
        shown += [piece.removeprefix(b"##").strip(), part]
    return b"".join(shown)
