"""`lmkit info`: what a checkpoint is."""

import math
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Json, Output, Run
from lmkit.errors import CheckpointError, UnmetError, UsageError
from lmkit.io import streams
from lmkit.io.folders import Folder
from lmkit.io.records import cell, to_json

INTACT, UNPROTECTED = "intact", "no digests"
"""What --verify finds where it finds no damage."""


def info(
    run: Run,
    file: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Checkpoint, folder or ARPA file; `-` or none: stdin.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", metavar="MODEL", help="The same.")] = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="List the tensors.")] = False,
    gradients: Annotated[
        bool,
        typer.Option(
            "--gradients", help="Of a neural model: how large the gradient of a token's loss is by distance, on --text."
        ),
    ] = False,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="FILE", show_default=False, help="Text for --gradients; `-` or none: stdin."),
    ] = None,
    distance: Annotated[
        int | None,
        typer.Option(
            "--distance",
            metavar="N",
            min=0,
            max=4096,
            show_default="64",
            help="Largest distance in tokens of --gradients.",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Compare all tensors with their digests: status 4 for damage, 1 for a checkpoint that has no digests.",
        ),
    ] = False,
    json: Json = False,
    output: Output = None,
) -> None:
    """What a checkpoint is: kind, sizes, tokens, provenance.

    Reads the header only, whatever the size of the file, unless --verify or --gradients is given.
    --verify reads the whole checkpoint and adds the line `verified`: `intact` or `no digests`.
    --gradients runs a neural
    model on windows from all over a text, and prints the norm of the gradient of the last token's
    loss by each embedding, and in recurrent models by what later layers see and by the state, at
    each distance back in time, averaged over the windows. So vanishing gradients are seen.

    Examples:
      lmkit info model.lm
      lmkit info --json model.lm
      lmkit info --verify model.lm
      lmkit ngram fit train.txt | lmkit info
      lmkit info --gradients --text valid.txt -m lstm.lm
    """
    if file is not None and model is not None:
        raise UsageError("the model is named twice")
    name = file or model or streams.STDIN
    if gradients:
        if tensors or verify:
            raise UsageError(f"--gradients and --{'tensors' if tensors else 'verify'} exclude each other")
        from lmkit.commands.info_gradients import print_gradients

        print_gradients(run, name, text or streams.STDIN, 64 if distance is None else distance, json, output)
        return
    if text is not None or distance is not None:
        raise UsageError("--text and --distance go with --gradients")
    record = _describe(name, verify=verify)
    with streams.open_output(output, inputs=[name]) as out:
        if json:
            out.line(to_json(record))
        else:
            _print(out, record, tensors=tensors)
    if record.get("verified") == UNPROTECTED:
        raise UnmetError(f"{streams.display(name)}: no digests to compare its tensors with")


def _print(out: streams.Output, record: dict[str, Any], *, tensors: bool) -> None:
    for key, value in _lines(record):
        out.line(f"{cell(key)}\t{cell(value)}")
    if tensors:
        for tensor, (dtype, shape) in record["tensors"].items():
            out.line(f"tensor\t{cell(tensor)}\t{dtype}\t{'x'.join(map(str, shape))}")


def _describe(name: str, *, verify: bool) -> dict[str, Any]:
    from lmkit import checkpoint

    unprotected = {"verified": UNPROTECTED} if verify else {}
    if opening.is_folder(name):
        return {**_describe_folder(name), **unprotected}
    data = opening.read_model(name)
    if not checkpoint.is_checkpoint(data[:9]):
        return {**_describe_arpa(data, name), **unprotected}
    with opening.error_context(name):
        content = checkpoint.parse(data)
        if verify:
            content.check()
    verified = {"verified": INTACT} if verify and content.protected else unprotected
    return {**_describe_checkpoint(content, len(data)), **verified}


def _describe_checkpoint(content: Any, size: int) -> dict[str, Any]:
    shapes = {key: [dtype, list(shape)] for key, (dtype, shape) in content.shapes().items()}
    own = {key: about for key, about in shapes.items() if not key.startswith("tokenizer.")}
    return {
        "kind": content.kind,
        "config": dict(content.config),
        "tokenizer": dict(content.tokenizer),
        "parameters": sum(math.prod(shape) for key, (dtype, shape) in own.items() if _is_parameter(key, dtype)),
        "bytes": size,
        "origin": dict(content.origin),
        "tensors": dict(sorted(shapes.items())),
        "digest": content.digest,
    }


def _is_parameter(name: str, dtype: str) -> bool:
    """Whether a tensor was learned; the lengths of word vectors follow from these."""
    return dtype.lstrip("B").startswith("F") and name != "norms"


def _describe_folder(name: str) -> dict[str, Any]:
    from lmkit import registry
    from lmkit.tokenization import tokenizers

    files = Folder(name)
    found = registry.description_of(files, name)
    settings, usage = found.settings, registry.usage_in(files, found, name)
    own = {"text": usage.form.to_json(), **usage.published.to_config()}
    return {
        "kind": settings.kind,
        "config": {**settings.to_json(), **own, "format": found.architecture},
        "tokenizer": {**tokenizers.describe(usage.tokenizer), **usage.published.to_tokenizer()},
        "parameters": settings.parameters,
        "bytes": sum(len(tensor.data) for tensor in found.stored.values()),
        "origin": {},
        "tensors": {key: [tensor.dtype, list(tensor.shape)] for key, tensor in sorted(found.stored.items())},
        "digest": found.digest,
    }


def _describe_arpa(data: memoryview, name: str) -> dict[str, Any]:
    from lmkit import registry
    from lmkit.ngram.backoff_model import NGram

    model = registry.load(data, streams.display(name))
    if not isinstance(model, NGram):
        raise CheckpointError(f"{streams.display(name)}: neither a checkpoint nor an ARPA file")
    tables = model.tables
    return {
        "kind": "ngram",
        "config": {**model.config, "format": "ARPA", "ngrams": [len(table.log10) for table in tables]},
        "tokenizer": {"type": "word", "size": model.tokenizer.size, "digest": model.tokenizer.digest},
        "parameters": sum(len(table.log10) + len(table.backoff) for table in tables),
        "bytes": len(data),
        "origin": {},
        "tensors": {},
        "digest": model.signature["model"],
    }


def _lines(record: dict[str, Any]) -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = [("kind", record["kind"])]
    config = dict(record["config"])
    form = config.pop("text", {})  # how a neural model reads text
    generation = config.pop("generation", {})
    tokenizer = dict(record["tokenizer"])
    if "chat_templates" in tokenizer:
        tokenizer["chat_templates"] = ", ".join(sorted(tokenizer["chat_templates"]))
    lines += [(key, _short(value)) for key, value in config.items()]
    lines += [(f"text.{key}", _short(value)) for key, value in form.items()]
    lines += [(f"generation.{key}", _short(value)) for key, value in generation.items()]
    lines += [(f"tokenizer.{key}", _short(value)) for key, value in tokenizer.items()]
    lines += [("parameters", record["parameters"]), ("bytes", record["bytes"])]
    lines += [(f"origin.{key}", _short(value)) for key, value in record["origin"].items()]
    return lines + ([("verified", record["verified"])] if "verified" in record else [])


def _short(value: object) -> object:
    return "none" if value is None else to_json({"": value})[5:-1] if isinstance(value, dict | list) else value
