"""Heads of transformers' encoders for sequence and for token classification, as heads of ours and back.

    bert         W p + b of the pooler's p            roberta  W tanh(V h + c) + b of the first token's h
    distilbert   W relu(V h + c) + b                  electra  W gelu(V h + c) + b

A tagger is W h + b of each token's h in all of them. A head of ours that reads h itself is written as DistilBERT's
or ELECTRA's with V = (W; -W), as relu(x) - relu(-x) = gelu(x) - gelu(-x) = x. K labels, D width.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.fine_tuned import FineTunedWeights
from lmkit.architectures.heads import ANY_SIDES, CLASSIFY, FIRST, REGRESS, TAG, TaskHead
from lmkit.architectures.huggingface.encoder_configuration import (
    BERT,
    DISTILBERT,
    ELECTRA,
    MODERNBERT,
    ROBERTA,
    XLM_ROBERTA,
    kind_for,
)
from lmkit.checkpoint import Array, Stored
from lmkit.errors import CheckpointError

SEQUENCE, TOKENS = "ForSequenceClassification", "ForTokenClassification"
"""How the classes of such models end."""
_DENSE = {ROBERTA: "tanh", XLM_ROBERTA: "tanh", ELECTRA: "gelu", DISTILBERT: "relu"}
_PLACES = {
    BERT: {"head": "classifier"},
    DISTILBERT: {"head.dense": "pre_classifier", "head": "classifier"},
    **{kind: {"head.dense": "classifier.dense", "head": "classifier.out_proj"}
       for kind in (ROBERTA, XLM_ROBERTA, ELECTRA)},
}  # fmt: skip
"""The modules of classifiers, and ours."""
_TAGGER = {"head": "classifier"}


def has_head(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a classifier, a regressor or a tagger."""
    named = config.get("architectures")
    return isinstance(named, list) and len(named) == 1 and str(named[0]).endswith((SEQUENCE, TOKENS))


def read(
    kind: str, config: Mapping[str, Any], settings: EncoderConfig, stored: Mapping[str, Stored]
) -> tuple[TaskHead, dict[str, Array]]:
    """The head that `has_head` found, and its tensors, float32. Raises CheckpointError for what lmkit can't run."""
    tags = str(config["architectures"][0]).endswith(TOKENS)
    if kind == MODERNBERT:
        raise CheckpointError("ModernBERT's heads for classification have a norm, which lmkit does not run")
    if config.get("problem_type") == "multi_label_classification":
        raise CheckpointError("its problem_type is multi_label_classification: lmkit gives an item one label")
    if kind == BERT and not tags and not settings.pooler:
        raise CheckpointError("no tensor 'bert.pooler.dense.weight', which its classifier reads")
    modules = _TAGGER if tags else _PLACES[kind]
    out = modules["head"]
    rows = stored[f"{out}.weight"].shape[0] if f"{out}.weight" in stored else 0
    labels = _labels(config, rows)
    task = TAG if tags else REGRESS if len(labels) == 1 else CLASSIFY
    head = TaskHead(
        task=task, width=settings.width, labels=() if task == REGRESS else labels, pooling=FIRST,
        sides=1 if tags else ANY_SIDES, dense="" if tags else _DENSE.get(kind, ""),
    )  # fmt: skip
    found = {}
    for name, shape in head.shapes().items():
        module, _, end = name.rpartition(".")
        found[name] = _array(f"{modules[module]}.{end}", shape, stored)
    return head, found


def _labels(config: Mapping[str, Any], rows: int) -> tuple[str, ...]:
    """The names of the labels, LABEL_0 and so on where there are none. Raises CheckpointError where they don't fit."""
    said = config.get("id2label")
    if said is None:
        return tuple(f"LABEL_{number}" for number in range(rows))
    if not isinstance(said, dict) or {str(key) for key in said} != {str(number) for number in range(len(said))}:
        raise CheckpointError("its id2label does not name the labels 0, 1 and so on")
    names = tuple(str(said[str(number)]) for number in range(len(said)))
    if len(names) != rows:
        raise CheckpointError(f"its id2label has {len(names)} labels, its classifier {rows}")
    if len(set(names)) < len(names):
        raise CheckpointError("two labels in its id2label have the same name")
    return names


def _array(name: str, shape: tuple[int, ...], stored: Mapping[str, Stored]) -> Array:
    tensor = stored.get(name)
    if tensor is None:
        raise CheckpointError(f"no tensor {name!r}, which a classifier of this architecture has")
    if tensor.shape != shape:
        raise CheckpointError(f"tensor {name!r} is {list(tensor.shape)}, its config.json makes it {list(shape)}")
    if tensor.dtype not in ("F32", "F16", "BF16"):
        raise CheckpointError(f"tensor {name!r} is of type {tensor.dtype}, lmkit reads F32, F16, BF16")
    return tensor.array().astype(np.float32, copy=False)


class WrittenHead(NamedTuple):
    """A head as a folder has it: the `model_type`, the end of the class's name, settings, tensors; pooler: keep it."""

    kind: str
    suffix: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Array]
    pooler: bool


def write(weights: FineTunedWeights, settings: EncoderConfig) -> WrittenHead:
    """The head of an encoder with `settings` for a folder. Raises CheckpointError where transformers has no such."""
    head = weights.head
    kind = kind_for(settings) if not settings.pooler else _with_pooler(settings)
    if kind == MODERNBERT:
        raise CheckpointError("transformers puts a further layer between ModernBERT and its classifier")
    names = head.labels or ("LABEL_0",)
    config = {
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
    }  # fmt: skip
    if head.task == TAG:
        return WrittenHead(kind, TOKENS, config, _named(_TAGGER, weights.tensors), False)
    if head.pooling != FIRST:
        raise CheckpointError(
            f"its head pools by {head.pooling}: transformers' classifiers read the first token",
            hint="fine-tune with --pooling cls",
        )
    problem = "regression" if head.task == REGRESS else "single_label_classification"
    tensors = dict(weights.tensors)
    dense = head.dense
    if settings.pooler and kind == ROBERTA:  # its classifier has a layer that does what our pooler does
        body = weights.body.tensors
        tensors |= {f"head.dense.{part}": body[f"pooler.{part}"] for part in ("weight", "bias")}
        dense = "tanh"
    elif not settings.pooler and not dense:
        dense = "relu" if kind == DISTILBERT else "gelu"
        tensors = _doubled(tensors, head)
    if dense:
        kind = next((one for one in (kind, ROBERTA, ELECTRA) if _DENSE.get(one) == dense), "")
    if not kind or (kind == ROBERTA and settings.embedding):
        raise CheckpointError(
            f"its head has a layer with {dense}, which no encoder of such a shape in transformers has"
        )
    named = _named(_PLACES[kind], tensors)
    return WrittenHead(kind, SEQUENCE, config | {"problem_type": problem}, named, kind == BERT)


def _with_pooler(settings: EncoderConfig) -> str:
    return BERT if settings.segments > 1 else kind_for(settings)


def _named(modules: Mapping[str, str], tensors: Mapping[str, Array]) -> dict[str, Array]:
    found = {}
    for name, array in tensors.items():
        module, _, end = name.rpartition(".")
        found[f"{modules[module]}.{end}"] = np.ascontiguousarray(array, dtype=np.float32)
    return found


def _doubled(tensors: Mapping[str, Array], head: TaskHead) -> dict[str, Array]:
    """W h + b through a layer with relu or gelu. Raises CheckpointError for more than D / 2 labels."""
    count, width = head.outputs, head.width
    if 2 * count > width:
        raise CheckpointError(
            f"{count} labels on {width} numbers: transformers' classifiers of such encoders hold half"
        )
    weight, bias = tensors["head.weight"], tensors["head.bias"]
    dense = np.zeros((width, width), np.float32)
    shift = np.zeros(width, np.float32)
    dense[:count], dense[count : 2 * count] = weight, -weight
    shift[:count], shift[count : 2 * count] = bias, -bias
    out = np.zeros((count, width), np.float32)
    rows = np.arange(count)
    out[rows, rows], out[rows, count + rows] = 1, -1
    return {
        "head.dense.weight": dense, "head.dense.bias": shift, "head.weight": out,
        "head.bias": np.zeros(count, np.float32),
    }  # fmt: skip
