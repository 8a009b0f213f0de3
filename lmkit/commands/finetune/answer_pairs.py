"""Pairs of answers to one prompt under language models: the log-probability of each answer, and margins."""

from typing import TYPE_CHECKING

from lmkit.commands.finetune.conversation_model import ConversationReader, open_base
from lmkit.commands.loading import models as opening
from lmkit.commands.options.chat_templates import ChatTemplateOptions
from lmkit.commands.options.standard import Run
from lmkit.commands.records.conversations import read_preferences

if TYPE_CHECKING:
    from lmkit.data.answer_sequences import AnswerSequence
    from lmkit.data.sequences import TextFormat
    from lmkit.protocols import F64, StoredModel


class AnswerPairs:
    """The pairs of a file, as any model reads them: each by its own template, or by the one asked for."""

    def __init__(self, run: Run, name: str, templates: ChatTemplateOptions) -> None:
        """Raises DataError where a record is not a pair."""
        self._run, self._templates = run, templates
        self._pairs = read_preferences(run, name)

    def scores(self, policy: str, reference: str | None, beta: float) -> "F64":
        """The margin of each pair, (N,), under a policy, less that of a reference if there is one."""
        import numpy as np

        from lmkit.metrics import preference

        own = self._log_probabilities(policy)
        other = np.zeros_like(own) if reference is None else self._log_probabilities(reference)
        return preference.margins(own[:, 0], own[:, 1], other[:, 0], other[:, 1], np.full(len(own), beta))

    def _log_probabilities(self, name: str) -> "F64":
        """Nats of the chosen and of the rejected answers with their ends, (N, 2)."""
        import numpy as np

        base = open_base(name, self._templates)
        reader = ConversationReader(self._run, base, "refuse")
        sides = [(side, pair.place, pair.id) for pair in self._pairs for side in (pair.chosen, pair.rejected)]
        encoded = reader.encode(sides, last=True)
        reader.close("evaluated")
        model = _reading(opening.open_language_model(name), base.encoder.form)
        nats = [_learned_nats(model, one.sequences[-1]) for one in encoded]
        return np.array(nats).reshape(-1, 2)


def _reading(model: "StoredModel", form: "TextFormat") -> "StoredModel":
    """The model as it reads conversations: models of lines read them as documents of several lines."""
    from copy import copy

    from lmkit.architectures.neural_model import NeuralModel

    assert isinstance(model, NeuralModel)
    made = copy(model)
    made.form = form
    return made


def _learned_nats(model: "StoredModel", sequence: "AnswerSequence") -> float:
    """The log-probability of the learned tokens of a sequence."""
    import numpy as np

    begins = int(model.form.bos == "always")
    ids, learned = sequence.ids[begins:], sequence.learned[begins:]
    return float(model.score_many(ids, np.array([len(ids)], dtype=np.int64))[learned].sum())
