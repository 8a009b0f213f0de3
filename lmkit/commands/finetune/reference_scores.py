"""Log-probabilities of answers under the reference model, kept in a file so that they are computed once."""

import os
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.errors import CheckpointError
from lmkit.io import outputs, streams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lmkit.data.answer_sequences import AnswerSequence
    from lmkit.nn.tuned_language_model import TunedLanguageModel
    from lmkit.protocols import F32

KIND = "reference-scores"
SCORES = "scores"
ROWS = 8  # pairs that are scored at once


class ReferenceScores:
    """The file of scores for one model and some pairs, which `key` identifies; nowhere without a name."""

    def __init__(self, run: Run, name: str | None, key: "Mapping[str, Any]") -> None:
        self._run, self._name, self._key = run, name, dict(key)

    def of(self, network: "TunedLanguageModel", pairs: "Sequence[tuple[AnswerSequence, AnswerSequence]]") -> "F32":
        """Return the log-probability of each answer, (N, 2), in nats: those on file, else of the network as it is.

        Raises CheckpointError for a file of another kind, OutputError where the scores can't be written.
        """
        found = self._stored(len(pairs))
        if found is not None:
            return found
        found = self._computed(network, pairs)
        if self._name is not None:
            self._write(found)
        return found

    def _stored(self, pairs: int) -> "F32 | None":
        """The scores on file; None where there is none, or it is of another model or other pairs, which is reported."""
        import numpy as np

        from lmkit.checkpoint import parse

        if self._name is None or not os.path.exists(self._name):
            return None
        shown = streams.display(self._name)
        with opening.error_context(self._name):
            content = parse(opening.read_model(self._name))
            if content.kind != KIND:
                raise CheckpointError(f"of kind {content.kind}, expected scores of a reference")
            if dict(content.config) != self._key:
                self._run.terminal.notice(f"{shown}: scores of another model or other pairs, computed anew")
                return None
            content.check()
            scores: F32 = np.array(content.array(SCORES, "F32", (pairs, 2)))
        self._run.terminal.notice(f"{shown}: scores of the reference, read")
        return scores

    def _computed(
        self, network: "TunedLanguageModel", pairs: "Sequence[tuple[AnswerSequence, AnswerSequence]]"
    ) -> "F32":
        import numpy as np
        import torch

        from lmkit.training.answer_batches import PreferencePairs, in_order
        from lmkit.training.objectives.objective import tensors_of
        from lmkit.training.objectives.preferences import answer_sums

        items = PreferencePairs(pairs, np.zeros((len(pairs), 2), np.float32))
        progress = self._run.terminal.progress("scoring with the reference", len(pairs), "")
        parts = []
        network.eval()
        with torch.inference_mode(), network.untuned():
            for batch in in_order(items, ROWS):
                parts.append(answer_sums(network, tensors_of(batch.arrays, network.device)).float().cpu().numpy())
                progress.advance(len(parts[-1]))
        network.train()
        self._run.terminal.clear()
        return np.concatenate(parts)

    def _write(self, scores: "F32") -> None:
        from lmkit.checkpoint import Checkpoint, serialize

        with outputs.open_output(self._name, binary=True) as out:
            for piece in serialize(Checkpoint(KIND, self._key, {SCORES: scores})):
                out.write(piece)
