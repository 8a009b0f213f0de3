"""`lmkit attention`: masks, and the attention weights of a transformer."""

from typing import Annotated, Any

import typer

from lmkit.commands import attention_alignment, attention_views
from lmkit.commands.loading import models as opening
from lmkit.commands.options.figures import Plot, Term
from lmkit.commands.options.standard import Json, ModelOption, Output, Run, choice
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table, to_json
from lmkit.protocols import AttentionParts, has_attention, is_encoder_decoder

LARGEST = 10_000
RANKS = ("first", "second", "third")
"""Tokens that are named for each head."""


def attention(
    run: Run,
    model: ModelOption = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--text", metavar="TEXT", show_default=False,
            help="Text whose tokens attend to each other.",
        )
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            "--layer", metavar="L", min=0, show_default=False,
            help="Layer to print, counted from 0.",
        )
    ] = None,
    head: Annotated[
        int | None,
        typer.Option(
            "--head", metavar="H", min=0, show_default=False,
            help="Head to print, counted from 0.",
        )
    ] = None,
    mask_only: Annotated[bool, typer.Option("--mask-only", help="Print an attention mask, without a model.")] = False,
    kind: Annotated[
        str,
        typer.Option(
            "--kind", metavar="KIND", callback=choice("causal", "full", "prefix", "cross"),
            help="Mask: `causal`, `full`, `prefix` (causal after the first --prefix tokens), or `cross` (to a source "
            "of --prefix tokens).",
        ),
    ] = "causal",
    number: Annotated[
        int, typer.Option("--number", "-n", metavar="N", min=1, max=LARGEST, help="Size of the mask, in tokens.")
    ] = 4,
    prefix: Annotated[
        int | None,
        typer.Option(
            "--prefix", metavar="N", min=0, show_default=False,
            help="Prefix length of `--kind prefix`, or source length of `cross`: tokens visible to all.",
        ),
    ] = None,
    align: Annotated[
        bool,
        typer.Option(
            "--align",
            help="Alignment, for encoder-decoders: the attention of each target token to the source, which is --text.",
        ),
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", metavar="TEXT", show_default="generated", help="Target of --align, instead of a greedy one."
        ),
    ] = None,
    count: Annotated[
        bool, typer.Option("--count", help="Count the scores that attention to a source computes: N x M in each head.")
    ] = False,
    plot: Plot = None,
    term: Term = False,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Print the attention weights of a transformer, or a mask.

    Prints a row for each layer and head: the tokens that the last token attends to most, with their weights. Tokens
    are numbered, because one may come twice; 0 is the start token, in encoders the first special token. --layer and
    --head print one head as a matrix, a row per attending token, whose weights sum to 1.

    --term draws a picture of each head with characters, or of the one that is named: a row per attending token.
    --plot draws the same as .png or .svg; as .html it writes a page to explore: the heads as lines between tokens, all
    heads as pictures, and the queries and keys that make the weights. --layer and --head choose where it opens.

    --json prints an object in full precision: `tokens`, and `weights` per layer, head, attending and attended
    token; later tokens get exactly 0, except in encoders.

    --align prints a row per target token and a column per source token: of the last layer, or --layer, the mean of
    its heads, or --head. --json has `source`, `target` and `weights`; --plot FILE.html all layers and heads.

    --mask-only prints the mask of N tokens, a row each: 1 where attention is allowed, 0 elsewhere.

    Examples:
      lmkit attention -m model.lm --text "the cat sat"
      lmkit attention -m model.lm --text "the cat sat" --layer 0 --head 1
      lmkit attention -m model.lm --text "the cat sat" --plot heads.html
      lmkit attention -m mt.lm --align --text "el gato duerme" --plot cat.html
      lmkit attention --mask-only --kind prefix --prefix 2 -n 4
    """
    if mask_only:
        if align or count or plot is not None or any(given is not None for given in (model, text, layer, head)):
            raise UsageError("--mask-only cannot be combined with a model, a text or --plot")
        with outputs.open_output(output) as out:
            _print_mask(out, kind, number, prefix, as_json=json)
        return
    if text is None:
        raise UsageError("no text", hint="give --text TEXT, or --mask-only")
    if align or count:
        shown = attention_alignment.Shown(layer, head, json, term, plot, output)
        name = model if model is not None else streams.STDIN
        if count:
            attention_alignment.count(run, name, text, target, json=json, output=output)
        else:
            attention_alignment.show(run, name, text, target, shown)
        return
    if target is not None:
        raise UsageError("--target needs --align")
    if (layer is None) != (head is None):
        raise UsageError("--layer and --head need each other")
    if term and json:
        raise UsageError("--term and --json exclude each other")
    name = model if model is not None else streams.STDIN
    tokens, parts = _attention(name, text)
    weights = parts.weights
    if layer is not None and head is not None and (layer >= len(weights) or head >= len(weights[0])):
        raise UsageError(f"the model has {len(weights)} layers of {len(weights[0])} heads, counted from 0")
    if plot is not None:
        attention_views.draw(plot, name, tokens, parts, layer, head)
    with outputs.open_output(output) as out:
        if term:
            attention_views.show(out, _numbered(tokens), weights, layer, head)
        elif layer is None or head is None:
            if json:
                out.line(to_json(run.signed({"tokens": tokens, "weights": weights.tolist()})))
            else:
                _print_most(out, _numbered(tokens), weights)
        elif json:
            one = weights[layer, head].tolist()
            out.line(to_json(run.signed({"tokens": tokens, "layer": layer, "head": head, "weights": one})))
        else:
            _print_head(out, _numbered(tokens), weights[layer, head].tolist())


def _attention(name: str, text: str) -> tuple[list[str], AttentionParts]:
    """The tokens of the text, behind a start token if it has one, and their attention, (layers, heads, T, T)."""
    from lmkit.data.sequences import encode_prompt
    from lmkit.inference.encoder import EncoderModel

    model = opening.open_any(name)
    if isinstance(model, EncoderModel):
        whole = model.form.single(model.tokenizer.encode(streams.argument_bytes(text).replace(b"\n", b" "))).ids
        with opening.error_context(name):
            parts = model.attention(whole)
        return _checked(name, [_piece(model, token) for token in whole.tolist()], parts)
    if is_encoder_decoder(model):
        with opening.error_context(name):
            source = model.source_ids(streams.argument_bytes(text))
            tokens = [model.source_tokenizer.piece(token).decode(errors="replace") for token in source.tolist()]
            return _checked(name, tokens, model.encoder_attention(source))
    if not has_attention(model):
        raise CheckpointError(f"{streams.display(name)}: a model of kind {model.kind} has no attention")
    tokenizer = model.tokenizer
    ids = encode_prompt(tokenizer, model.form, streams.argument_bytes(text, raw=tokenizer.accepts_any_bytes))
    return _checked(name, [_piece(model, token) for token in model.form.begun(ids).tolist()], model.attention(ids))


def _piece(model: Any, token: int) -> str:
    piece: bytes = model.tokenizer.piece(token)
    return piece.decode(errors="replace")


def _checked(name: str, tokens: list[str], parts: AttentionParts) -> tuple[list[str], AttentionParts]:
    """The same. Raises CheckpointError where weights are no numbers."""
    import numpy as np

    if np.isnan(parts.weights).any():
        raise CheckpointError(f"{streams.display(name)}: damaged checkpoint: its weights give no attention")
    return tokens, parts


def _numbered(tokens: list[str]) -> list[str]:
    """Tokens with their places, since one may come twice."""
    return [f"{place}:{token}" for place, token in enumerate(tokens)]


def _print_most(out: outputs.Output, tokens: list[str], weights: Any) -> None:
    """A row for each layer and head: what the last token attends to most, ties by place."""
    import numpy as np

    columns = RANKS[: len(tokens)]
    table = Table(out, ("layer", "head", "token", *columns), as_json=False)
    for layer, head in np.ndindex(*weights.shape[:2]):
        last = weights[layer, head, -1]
        most = np.argsort(-last, kind="stable")[: len(columns)].tolist()
        found = [f"{tokens[place]} {_digits(last[place])}" for place in most]
        table.row({"layer": layer, "head": head, "token": tokens[-1], **dict(zip(columns, found, strict=True))})


def _print_head(out: outputs.Output, tokens: list[str], rows: list[list[float]]) -> None:
    """The matrix of one head."""
    table = Table(out, ("token", *tokens), as_json=False)
    for token, row in zip(tokens, rows, strict=True):
        table.row({"token": token, **dict(zip(tokens, map(_digits, row), strict=True))})


def _digits(weight: float) -> str:
    """A weight as people read it; 0 alone where there is none."""
    return f"{weight:.2f}" if weight else "0"


def _print_mask(out: outputs.Output, kind: str, size: int, prefix: int | None, *, as_json: bool) -> None:
    from lmkit.inference.attention_scores import mask

    if (kind in ("prefix", "cross")) != (prefix is not None):
        raise UsageError("--kind prefix or cross and --prefix N need each other")
    if kind == "prefix" and prefix is not None and prefix > size:
        raise UsageError(f"a prefix of {prefix} tokens is longer than all {size}")
    allowed = mask(kind, size, prefix or 0)
    if as_json:
        out.line(to_json(allowed.astype(int).tolist()))
        return
    for row in allowed.astype(int).tolist():
        out.line((" " if out.screen else "\t").join(map(str, row)))
