"""How well a network with a head does on held-out items: loss, and the measures of its task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lmkit.architectures.heads import CLASSIFY, TAG, TaskHead
from lmkit.label_chain import LabelChain, Packing, expectations
from lmkit.metrics import classification, regression, span_extraction, tagging
from lmkit.nn.network import Network
from lmkit.nn.supervised import SupervisedNetwork
from lmkit.protocols import F64
from lmkit.training.item_batches import Items

ROWS = 64


@dataclass(frozen=True)
class SupervisedValidation:
    """Scores a network on items whose right answers are `gold`: labels, numbers, or labels of each sentence's words.

    `middle` and `scale` turn the network's numbers into those of the task.
    """

    items: Items
    head: TaskHead
    gold: Sequence[object]
    middle: float = 0.0
    scale: float = 1.0

    def __call__(self, network: Network) -> Mapping[str, float]:
        """See `Validation`."""
        assert isinstance(network, SupervisedNetwork)
        outputs = _outputs(network, self.items)
        if self.head.task == TAG:
            return self._of_words(outputs, network.label_chain() if self.head.crf else None)
        found = np.stack(outputs)
        if self.head.task == CLASSIFY:
            logs = found - np.logaddexp.reduce(found, axis=1, keepdims=True)
            return self._of_labels(np.log(self._means(np.exp(logs))) if len(logs) > len(self.gold) else logs)
        found = self._means(found)
        gold = np.array(self.gold, dtype=np.float64)
        measured = regression.measured(gold, self.middle + self.scale * found[:, 0])
        mse = float(measured["mse"] or 0.0)
        return {"loss": mse / 2} | {name: -1.0 if value is None else value for name, value in measured.items()}

    def _means(self, answers: F64) -> F64:
        """The mean of the answers of each text's windows."""
        if len(answers) == len(self.gold):
            return answers
        return np.stack([np.mean(own, axis=0) for own in np.split(answers, np.cumsum(self.items.windows)[:-1])])

    def _sentences(self, parts: Sequence[Any]) -> list[Any]:
        """What there is of each window of words, joined to what there is of each sentence."""
        if not self.items.windows:
            return list(parts)
        ends = np.cumsum(self.items.windows)
        return [np.concatenate(parts[end - count : end]) for end, count in zip(ends, self.items.windows, strict=True)]

    def _of_labels(self, logs: F64) -> dict[str, float]:
        names = self.head.labels
        numbers = {name: number for number, name in enumerate(names)}
        known = [(row, numbers[str(label)]) for row, label in enumerate(self.gold) if label in numbers]
        loss = -float(np.mean([logs[row, label] for row, label in known])) if known else 0.0
        guesses = [names[number] for number in logs.argmax(axis=1).tolist()]
        measured = classification.values(classification.cells([str(label) for label in self.gold], guesses))
        return {"loss": loss, "accuracy": measured["accuracy"], "macro_f1": measured["macro_f1"]}

    def _of_words(self, outputs: Sequence[F64], chain: LabelChain | None) -> dict[str, float]:
        names = self.head.labels
        gold: list[list[str]] = [list(labels) for labels in self.gold]  # type: ignore[call-overload]
        guesses = []
        nats, count = 0.0, 0
        for logits, words in zip(self._sentences(outputs), self._sentences(self.items.words), strict=True):
            best = logits.argmax(axis=1) if chain is None else chain.best(logits)
            guesses.append([names[number] for number in best.tolist()])
            known = np.flatnonzero(words >= 0)
            if chain is None:
                logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
                nats -= float(logs[known, words[known]].sum())
                count += len(known)
            elif len(known) == len(words) > 0:
                packing = Packing.of(np.array([len(words)]))
                nats += expectations(chain, logits, packing).log_partition - chain.score(logits, words)
                count += len(words)
        if not span_extraction.is_scheme([label for labels in (*gold, names) for label in labels]):
            pairs = [pair for labels, own in zip(gold, guesses, strict=True) for pair in zip(labels, own, strict=True)]
            right = sum(one == other for one, other in pairs)
            return {"loss": nats / max(1, count), "accuracy": right / max(1, sum(map(len, gold)))}
        scheme = span_extraction.scheme_of([*gold, names])
        found = tagging.values(tagging.count(gold, guesses, lambda each: span_extraction.strict_spans(each, scheme)))
        return {"loss": nats / max(1, count), **found}


@torch.inference_mode()
def _outputs(network: SupervisedNetwork, items: Items) -> list[F64]:
    """The head's numbers for each item, (K,), or for each of its words, (W, K)."""
    found: list[F64] = [np.zeros(0)] * len(items.sequences)
    for chosen, batch in items.in_order(ROWS):
        arrays = dict(batch.arrays)
        if items.words:  # words of unknown labels have outputs too
            arrays["words"] = np.zeros_like(arrays["words"])
            for row, place in enumerate(chosen.tolist()):
                arrays["words"][row, items.sequences[place].words] = 1
        tensors = {
            name: torch.from_numpy(array.astype(np.int64) if array.dtype.kind in "iu" else array).to(network.device)
            for name, array in arrays.items()
        }
        outputs = network.outputs(tensors).double().cpu().numpy()
        sizes = [len(items.sequences[place].words) for place in chosen.tolist()] if items.words else None
        parts = list(outputs) if sizes is None else np.split(outputs, np.cumsum(sizes)[:-1])
        for place, part in zip(chosen.tolist(), parts, strict=True):
            found[place] = part
    return found
