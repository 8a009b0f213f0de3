"""`lmkit compress` and `lmkit decompress`: arithmetic coding with any model."""

import sys
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options.standard import Json, ModelOption, Output, Run
from lmkit.errors import CheckpointError, DataError
from lmkit.io import outputs, streams
from lmkit.io.records import to_json

AnyFile = Annotated[
    str | None,
    typer.Argument(metavar="[FILE]", help="Any file. `-`, or no FILE, reads stdin.", show_default=False),
]
CompressedFile = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]", help="A file that `lmkit compress` wrote. `-`, or no FILE, reads stdin.", show_default=False
    ),
]


def compress(
    run: Run, file: AnyFile = None, model: ModelOption = None, json: Json = False, output: Output = None
) -> None:
    """Compress a file by arithmetic coding with any model.

    The better the model predicts a text, the smaller the result: the file is at most 8 bytes longer than the
    text's -log2 probability, as `lmkit ppl` reports it with the default stride. Any bytes are restored exactly:
    what tokens cannot spell is coded byte by byte, and a badly predicted text grows. The model reads the text as
    in `lmkit ppl`. Sizes are printed on stderr (--json: as JSON). Each token needs a distribution over the
    vocabulary; expect a thousand words or ten thousand characters per second.

    Decompression needs the same model. A neural model's probabilities differ in the last digits between
    processors and versions of numpy, so decompress on the kind of machine that compressed. The bound holds for
    models whose probabilities sum to 1. Lines of white space alone may cost more under models of documents
    that are separated by blank lines.

    Examples:
      lmkit compress -m model.lm text.txt -o text.lmz
      lmkit compress -m model.lm < text.txt | lmkit decompress -m model.lm
      lmkit compress -m model.lm --json text.txt -o /dev/null
    """
    _run(run, "compress", file, model, json=json, output=output)


def decompress(
    run: Run, file: CompressedFile = None, model: ModelOption = None, json: Json = False, output: Output = None
) -> None:
    """Decompress a file that `lmkit compress` wrote.

    Decompression needs the model that compressed the file; another model is an error. Files of earlier
    versions, which coded each line separately, are read too. Damage is detected at the end of a file, so only
    -o guarantees that nothing is written then.

    Examples:
      lmkit decompress -m model.lm text.lmz -o text.txt
      lmkit decompress -m model.lm < text.lmz | sort
    """
    _run(run, "decompress", file, model, json=json, output=output)


def _run(run: Run, verb: str, file: str | None, model: str | None, *, json: bool, output: str | None) -> None:
    names, (text,) = opening.sources([model] if model is not None else [], [file] if file is not None else [])
    packing = verb == "compress"
    with outputs.open_output(output, binary=packing) as out:
        from lmkit.compression import arithmetic_coder, text_codec

        opened = opening.open_language_model(names[0])
        sizes = text_codec.Sizes()
        work = text_codec.compress if packing else text_codec.decompress
        with run.terminal.progress(f"{verb}ing", streams.size_of([text])) as progress:
            try:
                for block in work(opened, progress.over(streams.chunks(text, as_is=packing)), sizes):
                    out.write(block)
            except arithmetic_coder.DamagedError as error:
                raise DataError(f"{streams.display(text)}: {error}") from None
            except text_codec.OtherModelError as error:
                raise CheckpointError(f"{streams.display(text)}: {error}") from None
    if opened.form.by in ("stream", "file"):
        scoring_models.ContextNotice(run, streams.display(names[0]), opened).tell(sizes.tokens + sizes.lines)
    _tell(run, sizes, opening.signature(opened, {"coding": text_codec.VERSION}), as_json=json)


def _tell(run: Run, sizes: Any, signature: str, *, as_json: bool) -> None:
    """The sizes, on stderr: stdout is the text's."""
    if as_json:
        record = {
            "text_bytes": sizes.text_bytes, "compressed_bytes": sizes.compressed_bytes,
            "bits_per_byte": sizes.bits_per_byte, "model_bits": sizes.model_bits, "lines": sizes.lines,
            "tokens": sizes.tokens, "escapes": sizes.escapes, "raw_bytes": sizes.raw_bytes, "signature": signature,
        }  # fmt: skip
        print(to_json(run.signed(record)), file=sys.stderr, flush=True)
        return
    run.terminal.notice(
        f"{sizes.text_bytes} bytes of text, {sizes.compressed_bytes} bytes compressed: "
        f"{sizes.bits_per_byte:.4g} bits per byte"
    )
    if sizes.compressed_bytes > sizes.text_bytes + 8:
        run.terminal.notice("larger than the text, which the model does not expect")
    run.terminal.detail(
        f"the model's own bits: {sizes.model_bits:.2f} for {sizes.tokens} tokens and {sizes.lines} ends of lines; "
        f"{sizes.escapes} escapes, {sizes.raw_bytes} raw bytes"
    )
    run.terminal.detail(f"signature: {signature}")
