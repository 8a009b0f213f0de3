"""`lmkit attention --align` and `--count`: what an encoder-decoder's targets take of their sources, as a matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.commands.records.corpora import number_of
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.figures import charts, files
from lmkit.io.records import to_json, write_pairs, write_rows
from lmkit.protocols import has_attention, is_encoder_decoder

if TYPE_CHECKING:
    from lmkit.evaluation.alignment import Alignment


class Shown(NamedTuple):
    """What is wanted of an alignment: a layer and a head, None for the last layer and the mean of its heads."""

    layer: int | None
    head: int | None
    json: bool
    term: bool
    plot: str | None
    output: str | None


def show(run: Run, name: str, source: str, target: str | None, shown: Shown) -> None:
    """Prints the alignment of a text and a target, or of what the model makes of it, and draws it."""
    found = _alignment(name, source, target, within=shown.plot is not None and files.format_of(shown.plot) == "html")
    layer, what = _chosen(found, shown)
    weights = found.weights[layer].mean(axis=0) if shown.head is None else found.weights[layer, shown.head]
    with outputs.open_output(shown.output) as out:
        if shown.json:
            record = {"source": found.source, "target": found.target, "weights": weights.tolist()}
            out.line(to_json(run.signed({**record, "layer": layer, "head": shown.head})))
        elif out.screen is not None or shown.term:
            _draw(out, found, weights)
        else:
            rows = [
                [token, *(f"{weight:.4g}" for weight in row)] for token, row in zip(found.target, weights, strict=True)
            ]
            write_rows(out, ["token", *found.source], rows)
    if not shown.json:
        run.terminal.notice(what)
    if shown.plot is not None:
        _plot(shown.plot, source, what, found, weights)


def count(run: Run, name: str, source: str, target: str | None, *, json: bool, output: str | None) -> None:
    """Prints how many scores attention to the source computes: one of each pair of tokens in each head."""
    found = _alignment(name, source, target)
    layers, heads, targets, sources = found.weights.shape
    rows = {
        "source_tokens": sources, "target_tokens": targets, "scores": found.scores, "layers": layers, "heads": heads,
        "all_scores": layers * heads * found.scores,
    }  # fmt: skip
    with outputs.open_output(output) as out:
        if json:
            out.line(to_json(run.signed(rows)))
        else:
            write_pairs(out, rows.items())


def _alignment(name: str, source: str, target: str | None, *, within: bool = False) -> "Alignment":
    """Raises CheckpointError for a model without attention to a source."""
    from lmkit.evaluation.alignment import align, align_within

    model: Any = opening.open_any(name)
    if not is_encoder_decoder(model):
        hint = "without --align and --count its attention is printed" if has_attention(model) else None
        raise CheckpointError(
            f"{streams.display(name)}: a model of kind {model.kind} reads no source, which alignment needs", hint=hint
        )
    with opening.error_context(name):
        texts = streams.argument_bytes(source), None if target is None else streams.argument_bytes(target)
        return (align_within if within else align)(model, *texts)


def _chosen(found: "Alignment", shown: Shown) -> tuple[int, str]:
    """The layer that is shown, and what is said of it. Raises UsageError where there is none such."""
    layers, heads = found.weights.shape[:2]
    layer = layers - 1 if shown.layer is None else shown.layer
    if layer >= layers or (shown.head or 0) >= heads:
        raise UsageError(f"the model has {layers} layers of {heads} heads to its source, counted from 0")
    head = f"mean of {number_of(heads, 'head')}" if shown.head is None else f"head {shown.head}"
    return layer, f"alignment of layer {layer}, {head}; rows are target tokens, columns source tokens"


def _draw(out: outputs.Output, found: "Alignment", weights: Any) -> None:
    """A matrix of characters, as wide as the terminal."""
    from lmkit.io import heat_maps

    lines = "\n".join(heat_maps.named_matrix(found.target, found.source, weights.tolist(), out.columns))
    if out.screen is not None:
        out.release()
        out.screen.show(lines)
    else:
        out.line(lines)


def _plot(name: str, source: str, what: str, found: "Alignment", weights: Sequence[Any]) -> None:
    """A picture of the matrix, or a page with all layers and heads."""
    title = f"Alignment of “{source}”"
    if files.format_of(name) != "html":
        files.write(name, charts.matrix(title, found.target, found.source, weights, x="source", y="target", high=1))
        return
    from lmkit.io.figures.attention_page import AttentionView, attention_page

    views = [AttentionView("target to source", found.target, found.source, found.weights)]
    for side, own in zip(("within the source", "within the target"), found.within or (), strict=False):
        views.append(AttentionView(side, own.tokens, own.tokens, own.weights))
    with outputs.open_output(name, binary=True) as out:
        out.write(attention_page(title, views))
