"""`lmkit compress` and `lmkit decompress`: arithmetic coding with any model."""

import sys
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options.standard import Json, ModelOption, Output, Run
from lmkit.errors import CheckpointError, DataError
from lmkit.io import streams
from lmkit.io.records import to_json

AnyFile = Annotated[
    str | None,
    typer.Argument(metavar="[FILE]", help="Any file; `-` or none: stdin.", show_default=False),
]
CompressedFile = Annotated[
    str | None,
    typer.Argument(metavar="[FILE]", help="What `lmkit compress` wrote; `-` or none: stdin.", show_default=False),
]


def compress(
    run: Run, file: AnyFile = None, model: ModelOption = None, json: Json = False, output: Output = None
) -> None:
    """Compress a text with any model.

    Arithmetic coding: text that the model expects takes few bits, and the compressed file has at
    most 8 bytes more than the model's own bits, -log2 of the probability that `lmkit ppl`
    reports with its default stride, where the model's tokens can spell the text. The model reads
    the text as in `lmkit ppl`: over line ends where it was trained so, and through windows beyond
    its context. Any bytes come back exactly as they were; what the tokens can't spell is spelled
    byte by byte. A text that the model does not expect grows, by as much as it does not expect
    it. The same model is needed to restore the text. Sizes are printed on stderr, with --json as
    JSON. Each token asks the model for its distribution: expect a thousand words or ten thousand
    characters a second.

    The bound is for models whose probabilities sum to one, and for texts without lines of white
    space alone where the model reads documents between blank lines. The last digits of a neural
    model's numbers differ between processors and versions of numpy: restore where you compressed.

    Examples:
      lmkit compress -m model.lm text.txt -o text.lmz
      lmkit compress -m model.lm < text.txt | lmkit decompress -m model.lm
      lmkit compress -m model.lm --json text.txt -o /dev/null
    """
    _run(run, "compress", file, model, json=json, output=output)


def decompress(
    run: Run, file: CompressedFile = None, model: ModelOption = None, json: Json = False, output: Output = None
) -> None:
    """Restore a compressed text.

    Takes the model that compressed it, and says so where it is another one. Reads files of earlier
    versions, too, which coded each line separately. A damaged file is found out at its end: only
    with -o is nothing written then.

    Examples:
      lmkit decompress -m model.lm text.lmz -o text.txt
      lmkit decompress -m model.lm < text.lmz | sort
    """
    _run(run, "decompress", file, model, json=json, output=output)


def _run(run: Run, verb: str, file: str | None, model: str | None, *, json: bool, output: str | None) -> None:
    names, (text,) = opening.sources([model] if model is not None else [], [file] if file is not None else [])
    packing = verb == "compress"
    with streams.open_output(output, binary=packing, inputs=[*names, text]) as out:
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
        print(to_json(record), file=sys.stderr, flush=True)
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
