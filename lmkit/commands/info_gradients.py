"""`lmkit info --gradients`: how far back in a text a neural model's errors reach."""

from itertools import islice
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.options.standard import Run
from lmkit.errors import CheckpointError
from lmkit.io import outputs, streams
from lmkit.io.figures import charts, files
from lmkit.io.records import Table
from lmkit.io.text_sources import SourceReader, TextSource

if TYPE_CHECKING:
    from lmkit.architectures.neural_model import NeuralModel

BLOCKS = 16  # of the text, at most


def print_gradients(
    run: Run, name: str, text: str, distance: int, json: bool, output: str | None, plot: str | None
) -> None:  # fmt: skip
    """Norms by distance, of everything that the gradient is taken by."""
    opening.check_single_stdin(name, text)
    from lmkit.architectures.neural_model import NeuralModel

    model = opening.open_language_model(name)
    if not isinstance(model, NeuralModel):
        raise CheckpointError(
            f"{streams.display(name)}: a model of kind {model.kind} has no gradients, only neural models have"
        )
    ids = _ids(run, model, text)
    with opening.error_context(text):
        found = _norms(model.weights, ids, distance + 1)
    with outputs.open_output(output) as out:
        table = Table(out, ("of", "distance", "norm", "relative"), as_json=json)
        for of, norms in found.items():
            for place, norm in enumerate(norms.tolist()):
                relative = norm / norms[0].item() if norms[0] else None
                table.row({"of": of, "distance": place, "norm": norm, "relative": relative})

    if plot is not None:
        norms = {of: values.tolist() for of, values in found.items()}
        files.write(plot, _figure(f"Gradients of {streams.display(name)} by distance back in time", norms))


def _figure(title: str, norms: dict[str, list[float]]) -> charts.Figure:
    """Norms relative to those at distance 0; what vanishes falls."""
    lines = [
        charts.Line(of, range(len(values)), [value / values[0] if values[0] else 0.0 for value in values])
        for of, values in norms.items()
    ]
    return charts.lines(title, lines, x="tokens back", y="gradient norm, relative", log_y=True)


def _ids(run: Run, model: "NeuralModel", text: str) -> Any:
    """The tokens of a text, of the first part of a very long one."""
    import numpy as np

    from lmkit.data.sequences import sequences

    reader = SourceReader(raw=model.tokenizer.accepts_any_bytes, source=TextSource())
    blocks = islice(running_text.text_for(run, reader, text, [model]), BLOCKS)
    parts = [ids for ids, _ in sequences(model.tokenizer, model.form, blocks)]
    return np.concatenate([np.zeros(0, np.int32), *parts])


def _norms(weights: Any, ids: Any, time: int) -> Any:
    opening.needs_torch("gradients are computed")
    from lmkit.nn import factory
    from lmkit.training import gradient_norms

    if weights.settings.sequence_limit is not None:
        time = min(time, weights.settings.sequence_limit)
    inputs, targets = gradient_norms.windows(ids, time)
    return gradient_norms.by_distance(factory.loaded(weights), inputs, targets, weights.form.start)
