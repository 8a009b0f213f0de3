"""Heads of transformers' encoders for sequence and for token classification, as heads of ours and back.

    bert         W p + b of the pooler's p            roberta  W tanh(V h + c) + b of the first token's h
    distilbert   W relu(V h + c) + b                  electra  W gelu(V h + c) + b

A tagger is W h + b of each token's h in all of them. A head of ours that reads h itself goes through the inner layer
of theirs: relu(x) - relu(-x) = gelu(x) - gelu(-x) = x, with V = (W; -W), and tanh(e x) / e is x within e^2 x^3 / 3.
K labels, D width.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.heads import ANY_SIDES, CLASSIFY, FIRST, REGRESS, TAG, TaskHead
from lmkit.architectures.huggingface.encoder_configuration import (
    BERT,
    DISTILBERT,
    ELECTRA,
    MODERNBERT,
    ROBERTA,
    XLM_ROBERTA,
)
from lmkit.checkpoint import Array, Stored
from lmkit.errors import CheckpointError

SEQUENCE, TOKENS = "ForSequenceClassification", "ForTokenClassification"
"""How the classes of such models end."""
SMALL = 2.0**-14
"""e: of a logit of 30 it keeps all but 3e-5."""
_DENSE = {BERT: "tanh", ROBERTA: "tanh", XLM_ROBERTA: "tanh", ELECTRA: "gelu", DISTILBERT: "relu"}
_PLACES = {
    BERT: {"head.dense": "bert.pooler.dense", "head": "classifier"},
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
    dense = "" if tags or settings.pooler else _DENSE[kind]
    modules = _TAGGER if tags else _PLACES[kind]
    out = modules["head"]
    rows = stored[f"{out}.weight"].shape[0] if f"{out}.weight" in stored else 0
    labels = _labels(config, rows)
    task = TAG if tags else REGRESS if len(labels) == 1 else CLASSIFY
    head = TaskHead(
        task=task, width=settings.width, labels=() if task == REGRESS else labels, pooling=FIRST,
        sides=1 if tags else ANY_SIDES, dense=dense,
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


def write(
    head: TaskHead, tensors: Mapping[str, Array], body: Mapping[str, Array], settings: EncoderConfig, kind: str
) -> WrittenHead:
    """A head on an encoder of a `model_type`. Raises CheckpointError where transformers has no such."""
    if kind == MODERNBERT:
        raise CheckpointError("transformers puts a further layer between ModernBERT and its classifier")
    if head.crf:
        raise CheckpointError("its head has a conditional random field, which transformers' taggers have not")
    names = head.labels or ("LABEL_0",)
    config = {
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
    }  # fmt: skip
    if head.task == TAG:
        return WrittenHead(kind, TOKENS, config, _named(_TAGGER, tensors), False)
    if head.pooling != FIRST:
        raise CheckpointError(
            f"its head pools by {head.pooling}: transformers' classifiers read the first token",
            hint="fine-tune with --pooling cls",
        )
    problem = "regression" if head.task == REGRESS else "single_label_classification"
    config |= {"problem_type": problem}
    pools = kind == BERT and settings.pooler
    if pools and not head.dense:
        return WrittenHead(kind, SEQUENCE, config, _named(_PLACES[kind], tensors), True)
    made = dict(tensors)
    dense = head.dense
    if settings.pooler and not dense:  # our pooler is what the classifier's own layer does
        made |= {f"head.dense.{part}": body[f"pooler.{part}"] for part in ("weight", "bias")}
        dense = "tanh"
    elif not dense:
        dense = _DENSE[kind]
        made = _through(dense, tensors, head)
    if dense != _DENSE[kind] or pools:
        raise CheckpointError(f"its head has a layer with {dense}, which {kind}'s has not")
    return WrittenHead(kind, SEQUENCE, config, _named(_PLACES[kind], made), False)


def _named(modules: Mapping[str, str], tensors: Mapping[str, Array]) -> dict[str, Array]:
    found = {}
    for name, array in tensors.items():
        module, _, end = name.rpartition(".")
        found[f"{modules[module]}.{end}"] = np.ascontiguousarray(array, dtype=np.float32)
    return found


def _through(activation: str, tensors: Mapping[str, Array], head: TaskHead) -> dict[str, Array]:
    """W h + b through a layer with an activation. Raises CheckpointError where its D numbers are too few."""
    rows, width = head.outputs, head.width
    signs = (1.0,) if activation == "tanh" else (1.0, -1.0)
    scale = SMALL if activation == "tanh" else 1.0
    if len(signs) * rows > width:
        raise CheckpointError(f"{rows} labels, of which the classifier's layer of {width} numbers holds too few")
    dense, shift = np.zeros((width, width), np.float32), np.zeros(width, np.float32)
    out = np.zeros((rows, width), np.float32)
    for place, sign in enumerate(signs):
        own = slice(place * rows, (place + 1) * rows)
        dense[own], shift[own] = sign * scale * tensors["head.weight"], sign * scale * tensors["head.bias"]
        out[:, own] = np.eye(rows) * (sign / scale)
    return {
        "head.dense.weight": dense, "head.dense.bias": shift, "head.weight": out,
        "head.bias": np.zeros(rows, np.float32),
    }  # fmt: skip
