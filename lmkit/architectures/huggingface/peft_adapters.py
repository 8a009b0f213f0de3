"""Low-rank adapters as folders of peft, both ways: adapter_config.json and adapter_model.safetensors.

peft adds (alpha / r) B A to a module of transformers, of which several matrices of ours may be the rows, as GPT-2's
c_attn is queries, keys and values. There A is shared when read; when written, the A of each lie one upon another and
B is block-diagonal, of as many times the rank. A model of peft has no digest of its base: ours is in the metadata.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lmkit.architectures.adapters import Adapter, AdapterWeights
from lmkit.architectures.encoder_model import LoadedEncoder
from lmkit.architectures.fine_tuned import Body
from lmkit.architectures.heads import TAG, TaskHead
from lmkit.architectures.huggingface import encoder_tensors, task_heads
from lmkit.architectures.huggingface import tensors as decoder_tensors
from lmkit.architectures.huggingface.configuration import GPT2, KINDS
from lmkit.architectures.huggingface.encoder_configuration import MODERNBERT, kind_for
from lmkit.architectures.huggingface.export import architecture_for
from lmkit.architectures.published_settings import Files
from lmkit.architectures.transformer import TransformerConfig
from lmkit.checkpoint import Array, Stored, serialize_tensors, stored_tensors
from lmkit.errors import CheckpointError
from lmkit.safetensors_layout import read_header
from lmkit.tokenization.formats.vocab_and_merges import parse_json

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
OWN = "lmkit"
"""The key of the metadata under which a folder of ours has its base's digest and the labels."""
_FRONT = "base_model.model."
_REFUSED = {
    "use_dora": "DoRA", "alora_invocation_tokens": "activated LoRA", "use_qalora": "QA-LoRA", "lora_bias": "a bias",
    "layer_replication": "replicated layers", "target_parameters": "adapted parameters",
    "trainable_token_indices": "trainable tokens",
}  # fmt: skip


class Module(NamedTuple):
    """A module of transformers, and the matrices of ours that its rows are, with how many rows each has."""

    name: str
    ours: Mapping[str, int]


def is_adapter(files: Files) -> bool:
    """Whether a folder holds an adapter of peft."""
    return CONFIG in files


def modules_of(body: Body, kind: str) -> list[Module]:
    """The modules of transformers' model of a `model_type` or an architecture that hold the matrices of ours."""
    settings = body.settings
    wanted = set(settings.matrices())
    places: Iterable[tuple[str, Any]]
    if isinstance(body, LoadedEncoder):
        places = ((name, ours) for name, ours in encoder_tensors.places(kind, body.settings))
    else:
        assert isinstance(settings, TransformerConfig)
        places = ((name, ours) for name, _, ours in decoder_tensors.names_of(kind, settings))
    return [
        Module(name.removesuffix(".weight"), {own: shape[0] for own, shape in ours.items()})
        for name, ours in places
        if not wanted.isdisjoint(ours)
    ]


def kind_of(body: Body) -> str:
    """The `model_type` of an encoder, or the architecture of another model. Raises CheckpointError for others."""
    return kind_for(body.settings) if isinstance(body, LoadedEncoder) else architecture_for(body.settings)


def read(files: Files, body: Body, kind: str) -> AdapterWeights:
    """The adapter in a folder for a model of a `model_type`; where the folder names no digest, it is the model's.

    Raises CheckpointError for what lmkit can't run exactly, and for an adapter of another shape of model.
    """
    config = _config(files)
    stored, about = _weights(files)
    modules = _by_name(modules_of(body, kind))
    pairs: dict[str, dict[str, Stored]] = {}
    others: dict[str, Stored] = {}
    for name, tensor in stored.items():
        inner = name.removeprefix(_FRONT)
        module, _, half = inner.removesuffix(".weight").rpartition(".")
        if half in ("lora_A", "lora_B"):
            if module not in modules:
                raise CheckpointError(f"{WEIGHTS}: {module!r} is no matrix of the model", hint=_hint(config))
            pairs.setdefault(module, {})[half] = tensor
        else:
            others[inner.replace("modules_to_save.", "")] = tensor
    if not pairs:
        raise CheckpointError(f"{WEIGHTS}: no lora_A and lora_B")
    found = [(modules[name], _pair(name, halves, config)) for name, halves in pairs.items()]
    adapter, tensors = _ours(found, body)
    head = _head(config, about, others, body, kind)
    digest = hashlib.sha256(bytes(files[CONFIG]) + bytes(files[WEIGHTS])).hexdigest()
    parent = about.get("parent", body.digest)
    return AdapterWeights(adapter, parent, {**tensors, **head[1]}, digest, head[0])


def _hint(config: Mapping[str, Any]) -> str | None:
    base = config.get("base_model_name_or_path")
    return f"its base is {base}" if isinstance(base, str) and base else None


def _config(files: Files) -> Mapping[str, Any]:
    config = parse_json(bytes(files[CONFIG]), "an object of settings")
    if config.get("peft_type") != "LORA":
        raise CheckpointError(f"{CONFIG}: its peft_type is {config.get('peft_type')!r}, lmkit reads LORA")
    for key, name in _REFUSED.items():
        if config.get(key):
            raise CheckpointError(f"{CONFIG}: {name} ({key}), which lmkit does not run")
    if config.get("bias", "none") != "none":
        raise CheckpointError(f"{CONFIG}: its biases were trained (bias), which lmkit does not read")
    return config


def _weights(files: Files) -> tuple[dict[str, Stored], Mapping[str, Any]]:
    if WEIGHTS not in files:
        if PICKLE in files:
            raise CheckpointError(
                f"{PICKLE} is a pickle, which can run code when it is read",
                hint="`save_pretrained` of peft writes the adapter anew as safetensors",
            )
        raise CheckpointError(f"{WEIGHTS} is missing")
    data = files[WEIGHTS]
    header, _, _ = read_header(memoryview(data))
    said = header.get("__metadata__")
    own = said.get(OWN) if isinstance(said, dict) else None
    about = parse_json(own.encode(), "an object of settings") if isinstance(own, str) else {}
    return stored_tensors(data), about


def _by_name(modules: Iterable[Module]) -> dict[str, Module]:
    """Modules by their names, and by those in a body alone, which lack the first part."""
    found = {}
    for module in modules:
        found[module.name] = module
        found.setdefault(module.name.partition(".")[2], module)
    return found


class _Pair(NamedTuple):
    """A, (r, n), B, (m, r), and what their product is multiplied by."""

    a: Array
    b: Array
    scale: float


def _pair(name: str, halves: Mapping[str, Stored], config: Mapping[str, Any]) -> _Pair:
    if len(halves) < 2:
        raise CheckpointError(f"{WEIGHTS}: of {name!r} there is only {next(iter(halves))}")
    for tensor in halves.values():
        if tensor.dtype not in encoder_tensors.FLOATS or len(tensor.shape) != 2:
            raise CheckpointError(f"{WEIGHTS}: the matrices of {name!r} are {tensor.dtype} {list(tensor.shape)}")
    a, b = (halves[half].array().astype(np.float32) for half in ("lora_A", "lora_B"))
    if len(a) != b.shape[1]:
        raise CheckpointError(f"{WEIGHTS}: A and B of {name!r} are {list(a.shape)} and {list(b.shape)}")
    alpha = _patterned(config, "alpha_pattern", name, config.get("lora_alpha", 8))
    return _Pair(a, b, alpha / (math.sqrt(len(a)) if config.get("use_rslora") else len(a)))


def _patterned(config: Mapping[str, Any], key: str, name: str, usual: object) -> float:
    """A setting of a module, by the ends of names; peft also knows regular expressions."""
    patterns = config.get(key) or {}
    other = next((end for end in patterns if not re.fullmatch(r"[\w.]+", end)), None)
    if other is not None:
        raise CheckpointError(f"{CONFIG}: {key} has the regular expression {other!r}, lmkit reads ends of names")
    value = next((value for end, value in patterns.items() if name == end or name.endswith(f".{end}")), usual)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise CheckpointError(f"{CONFIG}: an alpha of {value!r}")
    return float(value)


def _ours(found: list[tuple[Module, _Pair]], body: Body) -> tuple[Adapter, dict[str, Array]]:
    """One rank and one scale for all, which B makes up for; zeros where a layer has no adapter."""
    rank = max(len(pair.a) for _, pair in found)
    scale = found[0][1].scale or 1.0
    targets = {own.split(".")[-2] for module, _ in found for own in module.ours}
    adapter = Adapter(rank=rank, alpha=scale * rank, targets=tuple(sorted(targets)))
    tensors = {name: np.zeros(shape, np.float32) for name, shape in adapter.shapes(body.settings).items()}
    for module, pair in found:
        begin = 0
        for own, rows in module.ours.items():
            a, b = tensors[f"{own}.lora_a"], tensors[f"{own}.lora_b"]
            part = pair.b[begin : begin + rows]
            if pair.a.shape[1] != a.shape[1] or len(pair.b) != sum(module.ours.values()):
                shape = [len(pair.b), pair.a.shape[1]]
                raise CheckpointError(f"{WEIGHTS}: {module.name!r} is {shape}, in the model {[len(b), a.shape[1]]}")
            a[: len(pair.a)], b[:, : len(pair.a)] = pair.a, part * np.float32(pair.scale / scale)
            begin += rows
    return adapter, tensors


def _head(
    config: Mapping[str, Any], about: Mapping[str, Any], others: Mapping[str, Stored], body: Body, kind: str
) -> tuple[TaskHead | None, dict[str, Array]]:
    """The head that was saved beside the adapter; labels that nothing names are LABEL_0 and so on."""
    if not others:
        return None, {}
    pools = isinstance(body, LoadedEncoder) and body.settings.pooler
    known = ("classifier.", "pre_classifier.", *(() if pools else ("bert.pooler.",)))
    other = next((name for name in others if not name.startswith(known)), None)
    if other is not None or not isinstance(body, LoadedEncoder):
        raise CheckpointError(f"{WEIGHTS}: {other!r} was trained whole, which lmkit does not read")
    if kind == MODERNBERT:
        raise CheckpointError(f"{WEIGHTS}: it has a part of ModernBERT's classifier, the rest of which is in its base")
    suffix = task_heads.TOKENS if config.get("task_type") == "TOKEN_CLS" else task_heads.SEQUENCE
    said = {"architectures": [suffix], "id2label": about.get("id2label")}
    return task_heads.read(kind, said, body.settings, others)


def write(adapter: AdapterWeights, body: Body, kind: str, base: str) -> dict[str, Iterable[bytes | memoryview]]:
    """The folder's files, by name, in pieces, for the model `body` of a `model_type`; `base` is what it is called.

    Raises CheckpointError where transformers has no such head.
    """
    tensors: dict[str, Array] = {}
    patterns: dict[str, int] = {}
    rank, alpha = adapter.adapter.rank, adapter.adapter.alpha
    adapted = set(adapter.adapter.matrices(body.settings))
    own = [module for module in modules_of(body, kind) if not adapted.isdisjoint(module.ours)]
    for module in own:
        a, b = _joined(module, adapter.tensors, adapted)
        tensors |= {f"{_FRONT}{module.name}.lora_A.weight": a, f"{_FRONT}{module.name}.lora_B.weight": b}
        if len(a) != rank:
            patterns[module.name] = len(a) // rank
    task, head, labels = _written_head(adapter, body, kind)
    tensors |= {f"{_FRONT}{name}": array for name, array in head.items()}
    saved = sorted({"pooler" if ".pooler." in name else name.partition(".")[0] for name in head})
    config = {
        "peft_type": "LORA", "task_type": task, "base_model_name_or_path": base, "r": rank, "lora_alpha": alpha,
        "target_modules": [module.name for module in own], "modules_to_save": saved or None, "bias": "none",
        "lora_dropout": 0.0, "fan_in_fan_out": kind == GPT2, "inference_mode": True, "use_rslora": False,
        "rank_pattern": {name: rank * times for name, times in patterns.items()},
        "alpha_pattern": {name: alpha * times for name, times in patterns.items()},
    }  # fmt: skip
    metadata = {"format": "pt", OWN: json.dumps({"parent": adapter.parent, **labels}, sort_keys=True)}
    return {
        CONFIG: iter([(json.dumps(config, indent=2, sort_keys=True) + "\n").encode()]),
        WEIGHTS: serialize_tensors(tensors, metadata),
    }


def _joined(module: Module, tensors: Mapping[str, Array], adapted: set[str]) -> tuple[Array, Array]:
    """A and B of a module, of the matrices that are its rows."""
    own = [name for name in module.ours if name in adapted]
    a = np.concatenate([tensors[f"{name}.lora_a"] for name in own])
    b = np.zeros((sum(module.ours.values()), len(a)), np.float32)
    row = column = 0
    for name, rows in module.ours.items():
        if name in adapted:
            part = tensors[f"{name}.lora_b"]
            b[row : row + rows, column : column + part.shape[1]] = part
            column += part.shape[1]
        row += rows
    return a, b


def _written_head(
    adapter: AdapterWeights, body: Body, kind: str
) -> tuple[str | None, dict[str, Array], dict[str, Any]]:
    """The task as peft calls it, the head's tensors by transformers' names, and the names of the labels."""
    if adapter.head is None:
        return ("CAUSAL_LM" if kind in KINDS else None), {}, {}
    if not isinstance(body, LoadedEncoder):
        raise CheckpointError(
            f"an adapter with a head on a model of kind {body.settings.kind}: transformers' classifiers of such "
            "models have no bias, and read texts another way",
            hint="`lmkit finetune merge` makes one model of both",
        )
    made = task_heads.write(adapter.head, adapter.head_tensors(), body.tensors, body.settings, kind)
    task = "TOKEN_CLS" if adapter.head.task == TAG else "SEQ_CLS"
    return task, dict(made.tensors), {"id2label": made.config["id2label"]}
