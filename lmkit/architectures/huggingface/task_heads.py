"""Heads of transformers' encoders for sequence and for token classification, as heads of ours and back.

    bert         W p + b of the pooler's p            roberta  W tanh(V h + c) + b of the first token's h
    distilbert   W relu(V h + c) + b                  electra  W gelu(V h + c) + b
    modernbert   W norm(f(V h + c)) + b of the first token's h or the mean, with the activation f of the body

A tagger is W h + b of each token's h in all of them but ModernBERT, whose layer it has too. A head of ours that reads
h itself goes through the inner layer of the others: relu(x) - relu(-x) = gelu(x) - gelu(-x) = x, with V = (W; -W), and
tanh(e x) / e is x within e^2 x^3 / 3.
K labels, D width.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.heads import ANY_SIDES, CLASSIFY, FIRST, MEAN, REGRESS, TAG, TaskHead
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
_MODERN = {"head.dense": "head.dense", "head.norm": "head.norm", "head": "classifier"}
_MODERN_POOLINGS = {"cls": FIRST, "mean": MEAN}


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
        return _read_modern(config, settings, stored, tags=tags)
    dense = "" if tags or settings.pooler else _DENSE[kind]
    modules = _TAGGER if tags else _PLACES[kind]
    task, labels = task_of(config, stored, modules["head"], tags=tags)
    head = TaskHead(
        task=task, width=settings.width, labels=labels, pooling=FIRST, sides=1 if tags else ANY_SIDES, dense=dense
    )
    return head, arrays_of(head, modules, stored)


def _read_modern(
    config: Mapping[str, Any], settings: EncoderConfig, stored: Mapping[str, Stored], *, tags: bool
) -> tuple[TaskHead, dict[str, Array]]:
    """ModernBERT's; biases that its settings leave out are zero."""
    pooling = _MODERN_POOLINGS.get(config.get("classifier_pooling") or "cls")
    if pooling is None:
        raise CheckpointError(f"its classifier_pooling {config['classifier_pooling']!r} is neither cls nor mean")
    task, labels = task_of(config, stored, _MODERN["head"], tags=tags)
    head = TaskHead(
        task=task, width=settings.width, labels=labels, pooling=FIRST if tags else pooling,
        sides=1 if tags else ANY_SIDES, dense=settings.plain_activation, norm_epsilon=settings.norm_epsilon,
    )  # fmt: skip
    has = {"head.dense.bias": settings.bias, "head.norm.bias": settings.norm_bias}
    return head, arrays_of(head, _MODERN, stored, [name for name, there in has.items() if not there])


def task_of(
    config: Mapping[str, Any], stored: Mapping[str, Stored], out: str, *, tags: bool
) -> tuple[str, tuple[str, ...]]:
    """The task of a head whose last module is `out`, and its labels; a regressor has none.

    Raises CheckpointError where labels do not fit, or an item has several.
    """
    if config.get("problem_type") == "multi_label_classification":
        raise CheckpointError("its problem_type is multi_label_classification: lmkit gives an item one label")
    rows = stored[f"{out}.weight"].shape[0] if f"{out}.weight" in stored else 0
    labels = _labels(config, rows)
    task = TAG if tags else REGRESS if len(labels) == 1 else CLASSIFY
    return task, () if task == REGRESS else labels


def arrays_of(
    head: TaskHead, modules: Mapping[str, str], stored: Mapping[str, Stored], without: Sequence[str] = ()
) -> dict[str, Array]:
    """The tensors of a head by the names of a file's modules, float32; those `without` a place there are zero."""
    found = {}
    for name, shape in head.shapes().items():
        module, _, end = name.rpartition(".")
        absent = name in without
        found[name] = np.zeros(shape, np.float32) if absent else _array(f"{modules[module]}.{end}", shape, stored)
    return found


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
    config = config_of(head)
    if kind == MODERNBERT:
        return _write_modern(head, tensors, settings, config)
    if head.norm_epsilon:
        raise CheckpointError(f"its head has a layer norm, which {kind}'s has not")
    if head.task == TAG:
        return WrittenHead(kind, TOKENS, config, _named(_TAGGER, tensors), False)
    if head.pooling != FIRST:
        raise CheckpointError(
            f"its head pools by {head.pooling}: transformers' classifiers read the first token",
            hint="fine-tune with --pooling cls",
        )
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


def config_of(head: TaskHead) -> dict[str, Any]:
    """What a config.json says of a head. Raises CheckpointError where transformers has no such."""
    if head.crf:
        raise CheckpointError("its head has a conditional random field, which transformers' taggers have not")
    names = head.labels or ("LABEL_0",)
    config: dict[str, Any] = {
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
    }  # fmt: skip
    if head.task == TAG:
        return config
    return config | {"problem_type": "regression" if head.task == REGRESS else "single_label_classification"}


def _write_modern(
    head: TaskHead, tensors: Mapping[str, Array], settings: EncoderConfig, config: Mapping[str, Any]
) -> WrittenHead:
    if head.dense != settings.plain_activation or head.norm_epsilon != settings.norm_epsilon:
        raise CheckpointError(
            f"its head is linear: ModernBERT's has a layer with {settings.plain_activation} and a norm, which keeps no "
            "lengths"
        )
    own = dict(tensors)
    for name, there in (("head.dense.bias", settings.bias), ("head.norm.bias", settings.norm_bias)):
        if not there and own.pop(name).any():
            raise CheckpointError(f"its head has {name}, which a ModernBERT without such biases has not")
    pooling = next((name for name, ours in _MODERN_POOLINGS.items() if ours == head.pooling), None)
    if pooling is None:
        raise CheckpointError(f"its head pools by {head.pooling}, ModernBERT's by cls or mean")
    suffix = TOKENS if head.task == TAG else SEQUENCE
    return WrittenHead(MODERNBERT, suffix, {**config, "classifier_pooling": pooling}, _named(_MODERN, own), False)


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
