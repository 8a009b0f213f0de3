"""`lmkit info --gradients`: how far back in a text a neural model's errors reach."""

from itertools import islice
from typing import Any

from lmkit.commands import models as opening
from lmkit.commands.options import Run
from lmkit.edge import streams
from lmkit.edge.records import Table
from lmkit.errors import CheckpointError, MissingError

BLOCKS = 16  # of the text, at most


def print_gradients(run: Run, name: str, text: str, distance: int, json: bool, output: str | None) -> None:
    """Norms by distance, of everything that the gradient is taken by."""
    opening.one_stdin(name, text)
    weights = _weights(name)
    ids = _ids(run, weights, text)
    with streams.open_output(output, inputs=[name, text]) as out, opening.about(text):
        table = Table(out, ("of", "distance", "norm", "relative"), as_json=json)
        for of, norms in _norms(weights, ids, distance + 1).items():
            for place, norm in enumerate(norms.tolist()):
                relative = norm / norms[0].item() if norms[0] else None
                table.row({"of": of, "distance": place, "norm": norm, "relative": relative})


def _weights(name: str) -> Any:
    """A neural model's settings and tensors. Raises CheckpointError where it is none."""
    from lmkit import checkpoint
    from lmkit.families.model import FAMILIES, Weights

    data = streams.read_whole(name)
    with opening.about(name):
        if not checkpoint.is_checkpoint(data[:9]):
            raise CheckpointError("not a checkpoint of a neural model, which alone has gradients")
        content = checkpoint.parse(data)
        if content.kind not in FAMILIES:
            raise CheckpointError(f"of kind {content.kind}, which has no gradients; {', '.join(FAMILIES)} have")
        return Weights.from_checkpoint(content)


def _ids(run: Run, weights: Any, text: str) -> Any:
    """The tokens of a text, of the first part of a very long one."""
    import numpy as np

    from lmkit.text.sequences import sequences

    reader = streams.TextReader(raw=weights.tokenizer.takes_bytes)
    blocks = islice(opening.blocks_of(run, reader, [text], "reading"), BLOCKS)
    parts = [ids for ids, _ in sequences(weights.tokenizer, weights.form, blocks)]
    return np.concatenate([np.zeros(0, np.int32), *parts])


def _norms(weights: Any, ids: Any, time: int) -> Any:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingError("gradients are computed with PyTorch", hint="pip install 'lmkit-cli[torch]'")
    from lmkit.neural import build, gradients

    if weights.settings.kind == "transformer":
        time = min(time, weights.settings.context)
    inputs, targets = gradients.windows(ids, time)
    return gradients.by_distance(build.loaded(weights), inputs, targets, weights.form.start)
