"""`lmkit info`: what a checkpoint is."""

from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.figures import Plot
from lmkit.commands.options.standard import Json, Output, Run
from lmkit.errors import UnmetError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.progress import quantity
from lmkit.io.records import cell, to_json, write_pairs, write_rows, write_sections

INTACT, UNPROTECTED = "intact", "no digests"
"""What --verify finds where it finds no damage."""
PARTS = ("body", "head", "pooling")
"""Parts of the config of an encoder."""


def info(
    run: Run,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", help="Checkpoint, folder, name in the cache or ARPA file. `-`, or none: stdin."
        ),
    ] = None,
    other: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A second one: print what differs between both."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="MODEL", help="The same as the argument MODEL.")
    ] = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="List the tensors: name, type and shape.")] = False,
    gradients: Annotated[
        bool,
        typer.Option(
            "--gradients",
            help="Gradient norms of a token's loss by distance back in time, for neural models, on --text.",
        ),
    ] = False,
    text: Annotated[
        str | None,
        typer.Option(
            "--text", metavar="FILE", show_default=False, help="Text for --gradients. `-`, or no --text, reads stdin."
        ),
    ] = None,
    distance: Annotated[
        int | None,
        typer.Option(
            "--distance",
            metavar="N",
            min=0,
            max=4096,
            show_default="64",
            help="Largest distance of --gradients, in tokens.",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Verify all tensors against their digests. The exit status is 4 if one is damaged, 1 if it has none.",
        ),
    ] = False,
    plot: Plot = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Describe a checkpoint: kind, sizes, tokenizer, provenance.

    Only the header is read, whatever the size of the file, unless --verify or --gradients is given. --verify
    reads the whole checkpoint and adds a line `verified`: `intact` or `no digests`.

    With two models, what differs between them is printed, a line each: settings, inputs, parents, metrics, tensors.

    --gradients runs a neural model on windows from the whole text. It prints the norm of the gradient
    of the last token's loss with respect to each embedding, by distance back in time, averaged over the windows;
    for recurrent models also with respect to the inputs of later layers and to the states. Vanishing gradients
    show as a fast decay, which --plot draws.

    Examples:
      lmkit info model.lm
      lmkit info --json model.lm
      lmkit info --verify model.lm
      lmkit info first.lm second.lm
      lmkit ngram fit train.txt | lmkit info
      lmkit info --gradients --text valid.txt -m lstm.lm
    """
    if file is not None and model is not None:
        raise UsageError("the model is named twice")
    name = file or model or streams.STDIN
    if other is not None:
        if tensors or verify or gradients or text is not None or distance is not None or plot is not None:
            raise UsageError("two models are compared by their headers alone: no other options of `info`")
        from lmkit.commands.info_differences import print_differences

        print_differences(name, other, json, output)
        return
    if gradients:
        if tensors or verify:
            raise UsageError(f"--gradients and --{'tensors' if tensors else 'verify'} exclude each other")
        from lmkit.commands.info_gradients import print_gradients

        print_gradients(run, name, text or streams.STDIN, 64 if distance is None else distance, json, output, plot)
        return
    if text is not None or distance is not None or plot is not None:
        raise UsageError("--text, --distance and --plot need --gradients")
    record = describe(name, verify=verify)
    with outputs.open_output(output) as out:
        if json:
            out.line(to_json(record))
        else:
            _print(out, record, tensors=tensors)
    if record.get("verified") == UNPROTECTED:
        raise UnmetError(f"{streams.display(name)}: no digests to compare its tensors with")


def _print(out: outputs.Output, record: dict[str, Any], *, tensors: bool) -> None:
    listed = [(name, dtype, "x".join(map(str, shape))) for name, (dtype, shape) in record["tensors"].items()]
    if out.screen is not None:
        write_sections(out, _sections(record))
        if tensors:
            out.line("")
            write_rows(out, ("tensor", "type", "shape"), listed)
        return
    write_pairs(out, _lines(record))
    for tensor in listed if tensors else ():
        out.line("\t".join(["tensor", *map(cell, tensor)]))


def _sections(record: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """What a terminal shows: the lines by their prefixes, values as people write them."""
    found: dict[str, list[tuple[str, str]]] = {"": []}
    for key, value in parts(record):
        section, dot, name = key.partition(".")
        size = f"{value:,} ({quantity(value, 'B')})" if key == "bytes" else _readable(value)
        found.setdefault(section if dot else "", []).append((name or key, size))
    return found


def _readable(value: Any) -> str:
    """A value as people write it: thousands apart, yes and no, lists and objects without quotation marks."""
    if value is None or value == [] or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_readable(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        if any(isinstance(inner, list | dict) for inner in value):
            return "; ".join(map(_readable, value))
        return ", ".join(str(inner) if isinstance(inner, int) else _readable(inner) for inner in value)
    return cell(value)


def describe(name: str, *, verify: bool) -> dict[str, Any]:
    """Describe a checkpoint, folder or ARPA file; `verify`: say whether its tensors are those of its digests."""
    from lmkit import checkpoint, registry

    unprotected = {"verified": UNPROTECTED} if verify else {}
    if opening.is_folder(name):
        found = registry.describe_folder(opening.open_folder(name), name)
        return {**found, "origin": opening.cached_revision(name), **unprotected}
    data = opening.given_model(name, "MODEL")
    if not checkpoint.is_checkpoint(data[:9]):
        return {**registry.describe_arpa(data, streams.display(name)), **unprotected}
    with opening.error_context(name):
        content = checkpoint.parse(data)
        if verify:
            content.check()
    verified = {"verified": INTACT} if verify and content.protected else unprotected
    return {**registry.describe_checkpoint(content, len(data)), **verified}


def _lines(record: dict[str, Any]) -> list[tuple[str, object]]:
    return [(key, _short(value)) for key, value in parts(record)]


def parts(record: dict[str, Any]) -> list[tuple[str, Any]]:
    """The record as one list of names and values; names have the prefix of their part."""
    lines: list[tuple[str, Any]] = [("kind", record["kind"])]
    config = dict(record["config"])
    form = config.pop("text", {})  # how a neural model reads text
    generation = config.pop("generation", {})
    source = config.pop("source", None) if isinstance(config.get("source"), dict) else None
    tokenizer = dict(record["tokenizer"])
    if "chat_templates" in tokenizer:
        tokenizer["chat_templates"] = ", ".join(sorted(tokenizer["chat_templates"]))
    parts = {name: config.pop(name) for name in PARTS if isinstance(config.get(name), dict)}
    lines += config.items()
    lines += [(f"{name}.{key}", value) for name, part in parts.items() for key, value in part.items()]
    lines += [(f"text.{key}", value) for key, value in form.items()]
    lines += [(f"source.{key}", value) for key, value in _source(source or {}).items()]
    lines += [(f"generation.{key}", value) for key, value in generation.items()]
    lines += [(f"tokenizer.{key}", value) for key, value in tokenizer.items()]
    lines += [("parameters", record["parameters"]), ("bytes", record["bytes"])]
    lines += [(f"origin.{key}", value) for key, value in record["origin"].items()]
    return lines + ([("verified", record["verified"])] if "verified" in record else [])


def _source(source: dict[str, Any]) -> dict[str, Any]:
    """How an encoder-decoder reads sources, its tokenizer's values among the others."""
    tokenizer = source.get("tokenizer")
    own = {key: value for key, value in source.items() if key != "tokenizer"}
    if isinstance(tokenizer, dict):
        own |= {f"tokenizer.{key}": value for key, value in tokenizer.items()}
    return own


def _short(value: object) -> object:
    return "none" if value is None else to_json({"": value})[5:-1] if isinstance(value, dict | list) else value
