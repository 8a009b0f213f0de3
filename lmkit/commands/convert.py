"""`lmkit convert`: checkpoints to and from folders and files of other tools."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import checkpoint_bytes, file_record, origin
from lmkit.commands.options.standard import Output, Run, choice
from lmkit.errors import CheckpointError, MissingError, UsageError
from lmkit.io import gguf, outputs, streams
from lmkit.io.folders import fill_folder, write_folder

PEFT_CONFIG = "adapter_config.json"
VECTORS = {"word2vec": "text", "word2vec-bin": "bin", "glove": "glove", "projector": "projector"}
"""Formats of word vectors, and how `w2v export` calls them."""
LM, HUGGINGFACE, GGUF, PEFT, CTRANSLATE2, ARPA, TOKENIZER, *_ = FORMS = (
    "lm", "huggingface", "gguf", "peft", "ctranslate2", "arpa", "tokenizer.json", *VECTORS,
)  # fmt: skip
PRECISIONS = ("fp32", "bf16", "q8_0", "q4_0")
_BY_KIND = {"adapter": PEFT, "ngram": ARPA, "ngram-counts": ARPA, "tokenizer": TOKENIZER, "w2v": "word2vec"}


def convert(
    run: Run,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[INPUT]",
            help="Folder, its name in the local cache (`org/name`), checkpoint, GGUF file, ARPA file, tokenizer.json "
            "or file of word vectors.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            callback=choice(*FORMS),
            show_default="by the input",
            help="Output format: `lm` (a checkpoint), `huggingface` (a folder), `gguf` (llama.cpp's), `peft` (of an "
            "adapter), `ctranslate2` (of an encoder-decoder), `arpa` or `tokenizer.json`; for word vectors "
            "`word2vec`, `word2vec-bin`, `glove` or `projector` (a folder).",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            metavar="NAME",
            callback=choice(*PRECISIONS),
            show_default="fp32; for gguf as it is stored",
            help="Precision of the matrices of `lm` or `gguf`: fp32, bf16, q8_0 or q4_0 (8 or 4 bits a weight, in "
            "blocks of 32).",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="MODEL", show_default=False, help="Model that an adapter belongs to, to or from `peft`."
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Convert checkpoints to and from other tools' formats.

    Hugging Face folders (GPT-2, Llama, Mistral, Qwen2, Qwen3 and models of their shape, such as SmolLM; encoders:
    BERT, DistilBERT, RoBERTa, XLM-R, ELECTRA, ModernBERT, MiniLM; encoder-decoders: T5, mT5, MarianMT, BART;
    safetensors, also sharded) become checkpoints; commands also read the folders directly. A transformer, encoder or
    encoder-decoder becomes a folder, new or empty, that transformers loads without remote code; architectures that
    transformers lacks are refused. GGUF files of Llama and Qwen models, quantized or not, become float32 checkpoints
    or GGUF files; other types than F16, BF16, Q8_0, Q4_0 and Q4_1 are read with the extra `gguf`. --precision stores
    matrices of a language model in 16, 8 or 4 bits: its memory and the time of a token shrink alike, where the
    extra `fast` is installed. Pickled weights are refused, because loading them can run code.

    LoRA adapters convert to and from folders of peft, with --base. N-gram models convert to and from ARPA,
    tokenizers to and from tokenizer.json, word vectors to and from word2vec and GloVe, as with `import` and
    `export` of `ngram`, `bpe` and `w2v`.

    Examples:
      lmkit convert SmolLM2-135M -o smollm.lm
      lmkit convert gpt.lm -o folder
      lmkit convert gpt.lm --precision q8_0 -o small.lm
      lmkit convert gpt.lm --precision q4_0 -o gpt.gguf
      lmkit convert model.arpa -o model.lm
      lmkit convert adapter.lm --base folder -o peft-folder
    """
    name = file if file is not None else streams.STDIN
    if to is None and output is not None and output.endswith(".gguf"):
        to = GGUF
    if to is None and precision is not None:
        to = LM
    if precision is not None and to not in (LM, GGUF):
        raise UsageError(f"--precision is for lm and gguf, not for {to}")
    if to == GGUF or precision is not None:
        _in_precision(name, str(to), precision, output)
        return
    if to == CTRANSLATE2:
        _write_ctranslate2(opening.open_weights(name), name, output)
        return
    if opening.is_folder(name):
        files = opening.open_folder(name)
        if PEFT_CONFIG in files:
            _from_peft(name, files, to or LM, base, output)
        elif base is not None:
            raise UsageError("--base is for adapters")
        else:
            _from_folder(name, files, to or LM, output)
        return
    data = opening.given_model(name, "INPUT")
    kind = _kind(data, name)
    if to is None:
        to = LM if kind is None else _BY_KIND.get(kind, HUGGINGFACE)
    _check(streams.display(name), kind, to)
    if base is not None and to != PEFT:
        raise UsageError("--base is for adapters")
    if to == PEFT:
        _to_peft(name, base, output)
    elif bytes(data[:4]) == gguf.MAGIC:
        _from_gguf(name, data, to, output)
    elif to == HUGGINGFACE:
        from lmkit import registry

        _write_folder(registry.weights_of(data, streams.display(name), opening.unprotected(name)), name, output)
    elif name == streams.STDIN:
        raise UsageError(
            f"--to {to} needs the input as a file", hint="`ngram`, `bpe` and `w2v` import and export read stdin"
        )
    elif to in VECTORS or (to == LM and _has_vectors(data)):
        from lmkit.commands.w2v import convert as w2v

        if to == LM:
            w2v.import_(run, name, output=output)
        else:
            w2v.export(run, name, format=VECTORS[to], output=output)
    else:
        _through(run, name, to, output, is_json=bytes(data[:1]) == b"{")


def _in_precision(name: str, to: str, precision: str | None, output: str | None) -> None:
    """A language model as a checkpoint whose matrices are in a precision, or as a GGUF file."""
    from dataclasses import replace

    from lmkit.architectures import gguf_export
    from lmkit.architectures.neural_model import LoadedModel
    from lmkit.architectures.weight_formats import FP32, in_precision

    weights = opening.open_weights(name)
    if not isinstance(weights, LoadedModel):
        raise CheckpointError(f"{streams.display(name)}: no language model, whose matrices have one precision")
    if precision == FP32:
        weights = replace(weights, tensors=dict(weights.tensors), precision=FP32)
    elif precision is not None:
        weights = replace(weights, tensors=in_precision(weights.tensors, precision), precision=precision)
    if to == GGUF:
        with opening.error_context(name):
            pieces = gguf_export.write(weights)
    else:
        records = list(_records(opening.open_folder(name))) if opening.is_folder(name) else [file_record(name)]
        settings = {**opening.cached_revision(name), "precision": precision}
        pieces = checkpoint_bytes(weights, origin("convert", settings, [one for one in records if one]))
    with outputs.open_output(output, binary=True) as out:
        for piece in pieces:
            out.write(piece)


def _has_vectors(data: memoryview) -> bool:
    """Whether a file that is no checkpoint has word vectors."""
    from lmkit.errors import DataError
    from lmkit.ngram.arpa import is_arpa
    from lmkit.word_vectors.readers import SNIFF, detect

    start = bytes(data[:SNIFF])
    if is_arpa(start) or start[:1] == b"{":
        return False
    try:
        detect(start)
    except DataError:
        return False
    return True


def _check(shown: str, kind: str | None, to: str) -> None:
    """Raises UsageError or CheckpointError where a checkpoint of a kind can't become what is asked for."""
    if kind is None:
        return
    if to == LM:
        raise UsageError(f"{shown} is a checkpoint already", hint="--to huggingface, arpa, word2vec or another")
    if (to == PEFT) != (kind == "adapter"):
        raise CheckpointError(f"{shown}: a checkpoint of kind {kind}, which does not convert to {to}")
    if to in VECTORS and kind != "w2v":
        raise CheckpointError(f"{shown}: a checkpoint of kind {kind} has no word vectors")
    if to == ARPA and _BY_KIND.get(kind) != ARPA:
        raise CheckpointError(f"{shown}: a checkpoint of kind {kind} has no n-grams")


def _kind(data: memoryview, name: str) -> str | None:
    """The kind of a checkpoint; None for other files."""
    from lmkit import checkpoint

    if not checkpoint.is_checkpoint(data[:9]):
        return None
    with opening.error_context(name):
        return checkpoint.parse(data).kind


def _from_peft(name: str, files: Mapping[str, memoryview], to: str, base: str | None, output: str | None) -> None:
    """A folder of peft as an adapter's checkpoint."""
    from lmkit.commands.loading import adapted_models

    if to != LM:
        raise UsageError(f"{name} is an adapter of peft, which converts to lm, not to {to}")
    if base is None:
        raise UsageError("an adapter of peft needs the model that it belongs to", hint="--base MODEL")
    adapter = adapted_models.open_adapter(name, adapted_models.open_base(base), base)
    with outputs.open_output(output, binary=True) as out:
        for piece in checkpoint_bytes(adapter, origin("convert", {}, list(_records(files)))):
            out.write(piece)


def _to_peft(name: str, base: str | None, output: str | None) -> None:
    """An adapter's checkpoint as a folder of peft."""
    from lmkit.architectures.huggingface import peft_adapters
    from lmkit.commands.loading import adapted_models

    if base is None:
        raise UsageError("an adapter becomes a folder of peft by its model's names", hint="--base MODEL")
    if output in (None, streams.STDIN):
        raise UsageError("a folder is several files", hint="name a new one with -o")
    opening.check_single_stdin(name, base)
    adapter, weights = adapted_models.open_adapter(name), adapted_models.open_base(base)
    with opening.error_context(name):
        adapter.check_parent(weights)
        files = peft_adapters.write(adapter, weights, adapted_models.architecture(weights, base), base)
    write_folder(str(output), files)


def _from_folder(name: str, files: Mapping[str, memoryview], to: str, output: str | None) -> None:
    from lmkit import registry

    if to == HUGGINGFACE:
        _write_folder(registry.fine_tuned_in(files, name) or registry.weights_in(files, name), name, output)
        return
    if to != LM:
        raise UsageError(f"{name} is a folder, which converts to lm or huggingface, not to {to}")
    with outputs.open_output(output, binary=True) as out:
        weights = registry.fine_tuned_in(files, name) or registry.weights_in(files, name)
        record = origin("convert", opening.cached_revision(name), list(_records(files)))
        for piece in checkpoint_bytes(weights, record):
            out.write(piece)


def _from_gguf(name: str, data: memoryview, to: str, output: str | None) -> None:
    from lmkit import registry

    if to not in (LM, HUGGINGFACE) or name == streams.STDIN:
        raise UsageError("a GGUF file must be named, and converts to lm or huggingface only")
    weights = registry.weights_in_gguf(*gguf.read(name), name)
    if to == HUGGINGFACE:
        _write_folder(weights, name, output)
        return
    record = origin("convert", {}, [{"bytes": len(data), "sha256": sha256(data).hexdigest()}])
    with outputs.open_output(output, binary=True) as out:
        for piece in checkpoint_bytes(weights, record):
            out.write(piece)


def _records(files: Mapping[str, memoryview]) -> Iterator[dict[str, Any]]:
    """Size and SHA-256 of the files that a model is made of."""
    for name in files:
        if name.endswith((".json", ".txt", ".safetensors", ".model", ".jinja")):
            data = files[name]
            yield {"file": name, "bytes": len(data), "sha256": sha256(data).hexdigest()}


def _write_folder(weights: Any, name: str, output: str | None) -> None:
    from lmkit.architectures.encoder_model import LoadedEncoder
    from lmkit.architectures.fine_tuned import FineTunedWeights
    from lmkit.architectures.huggingface import decoder_heads, encoder_export, export, seq2seq_export
    from lmkit.architectures.seq2seq_model import LoadedSeq2Seq

    if output in (None, streams.STDIN):
        raise UsageError("a folder is several files", hint="name a new one with -o")
    with opening.error_context(name):
        if isinstance(weights, LoadedSeq2Seq):
            files = seq2seq_export.write(weights)
        elif isinstance(weights, FineTunedWeights):
            on_encoder = isinstance(weights.body, LoadedEncoder)
            files = (encoder_export if on_encoder else decoder_heads).write_fine_tuned(weights)
        else:
            files = (encoder_export if isinstance(weights, LoadedEncoder) else export).write(weights)
    write_folder(str(output), files)


def _write_ctranslate2(weights: Any, name: str, output: str | None) -> None:
    from lmkit.architectures.seq2seq_model import LoadedSeq2Seq

    if output in (None, streams.STDIN):
        raise UsageError("a folder is several files", hint="name a new one with -o")
    if not isinstance(weights, LoadedSeq2Seq):
        raise CheckpointError(f"{streams.display(name)}: of kind {weights.kind}, expected an encoder-decoder")
    try:
        import ctranslate2  # noqa: F401
    except ImportError:
        raise MissingError("writing models of CTranslate2 needs ctranslate2", package="ctranslate2") from None
    from lmkit.architectures.ctranslate2_model import specification

    with opening.error_context(name):
        made = specification(weights)
    made.validate()
    fill_folder(str(output), made.save)


def _through(run: Run, name: str, to: str, output: str | None, *, is_json: bool) -> None:
    """The conversions that `ngram` and `bpe` have."""
    from lmkit.commands.bpe import convert as bpe
    from lmkit.commands.ngram import convert as ngram

    if to == LM and is_json:
        bpe.import_(run, [name], "tokenizer.json", output=output)
    elif to == LM:
        ngram.import_(run, name, output=output)
    elif to == ARPA:
        ngram.export(run, name, output=output)
    else:
        bpe.export(run, name, output=output)
