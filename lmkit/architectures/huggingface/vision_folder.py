"""The files of a folder as a vision transformer: ViT, or the images' side of CLIP.

config.json says the sizes, preprocessor_config.json, where there is one, how pixels are scaled. Images are resized to
the model's size as a whole; processors of transformers may cut a square from the middle first.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from lmkit.architectures.heads import CLASSIFY, FIRST, TaskHead
from lmkit.architectures.huggingface import folder
from lmkit.architectures.huggingface.config_numbers import number, real
from lmkit.architectures.huggingface.encoder_tensors import FLOATS
from lmkit.architectures.published_settings import CONFIG, Files, json_in
from lmkit.architectures.vision import VisionConfig
from lmkit.architectures.vision_model import LoadedVision, PixelScale
from lmkit.checkpoint import Array, Stored, canonical
from lmkit.errors import CheckpointError

VIT, CLIP, CLIP_VISION = "vit", "clip", "clip_vision_model"
KINDS = (VIT, CLIP, CLIP_VISION)
PROCESSOR = "preprocessor_config.json"
_PREFIXES = {VIT: ("vit.", ""), CLIP: ("vision_model.",), CLIP_VISION: ("vision_model.", "")}
_ACTIVATIONS = {"gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh", "gelu_new": "gelu_tanh", "quick_gelu": "quick_gelu"}
_OF_VIT = {
    "patches.weight": "embeddings.patch_embeddings.projection.weight",
    "patches.bias": "embeddings.patch_embeddings.projection.bias",
    "class_token": "embeddings.cls_token",
    "embed_positions.weight": "embeddings.position_embeddings",
    "norm": "layernorm",
    "layers.": "encoder.layer.",
    "input_layernorm": "layernorm_before",
    "post_attention_layernorm": "layernorm_after",
    "self_attn.q_proj": "attention.attention.query",
    "self_attn.k_proj": "attention.attention.key",
    "self_attn.v_proj": "attention.attention.value",
    "self_attn.o_proj": "attention.output.dense",
    "mlp.up_proj": "intermediate.dense",
    "mlp.down_proj": "output.dense",
}
_OF_CLIP = {
    "patches.weight": "embeddings.patch_embedding.weight",
    "class_token": "embeddings.class_embedding",
    "embed_positions.weight": "embeddings.position_embedding.weight",
    "embed_norm": "pre_layrnorm",
    "norm": "post_layernorm",
    "layers.": "encoder.layers.",
    "input_layernorm": "layer_norm1",
    "post_attention_layernorm": "layer_norm2",
    "self_attn.q_proj": "self_attn.q_proj",
    "self_attn.k_proj": "self_attn.k_proj",
    "self_attn.v_proj": "self_attn.v_proj",
    "self_attn.o_proj": "self_attn.out_proj",
    "mlp.up_proj": "mlp.fc1",
    "mlp.down_proj": "mlp.fc2",
}


def _kind(files: Files) -> str | None:
    """Which of KINDS a folder's config.json names. Raises CheckpointError where it is damaged."""
    kind = json_in(files, CONFIG).get("model_type") if CONFIG in files else None
    return kind if kind in KINDS else None


def is_vision(files: Files) -> bool:
    """Whether a folder holds a vision transformer. Raises CheckpointError where its config.json is damaged."""
    return _kind(files) is not None


def architecture_in(files: Files) -> str:
    """Which of KINDS the folder holds."""
    return _kind(files) or ""


def read_tokenizer(files: Files) -> Any:
    """Raises CheckpointError: images are not made of tokens."""
    raise CheckpointError("a vision transformer, which has no tokenizer")


def _settings(kind: str, config: Mapping[str, Any]) -> VisionConfig:
    if kind == CLIP:
        config = config.get("vision_config") or {}
    config = {"num_channels": 3, "layer_norm_eps": 1e-5 if kind != VIT else 1e-12, **config}
    if kind != VIT:
        sizes = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
        config = {**sizes, "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu", **config}
    activation = _ACTIVATIONS.get(str(config.get("hidden_act")))
    if activation is None:
        raise CheckpointError(f"config.json: hidden_act {config.get('hidden_act')!r}, which lmkit does not run")
    if config.get("qkv_bias", True) is not True:
        raise CheckpointError("config.json: qkv_bias is false, which lmkit does not run")
    size = number(config, "image_size")
    return VisionConfig(
        image_height=size, image_width=size, channels=number(config, "num_channels"),
        patch=number(config, "patch_size"), layers=number(config, "num_hidden_layers"),
        width=number(config, "hidden_size"), heads=number(config, "num_attention_heads"),
        hidden=number(config, "intermediate_size"), activation=activation, norm_epsilon=real(config, "layer_norm_eps"),
        patch_bias=kind == VIT, embed_norm=kind != VIT, last_norm="all" if kind == VIT else "first",
    )  # fmt: skip


def _theirs(kind: str, name: str) -> str:
    """The name in a file, without its prefix, of a tensor of ours."""
    names = _OF_VIT if kind == VIT else _OF_CLIP
    if name in names:
        return names[name]
    inner, _, end = name.rpartition(".")
    if inner in names:
        return f"{names[inner]}.{end}"
    _, layer, inner = inner.split(".", 2)
    return f"{names['layers.']}{layer}.{names[inner]}.{end}"


def _array(stored: Mapping[str, Stored], name: str, shape: tuple[int, ...]) -> Array:
    """A tensor as float32 of a shape that holds as many numbers. Raises CheckpointError."""
    tensor = stored.get(name)
    if tensor is None:
        raise CheckpointError(f"no tensor {name!r}, which its config.json asks for")
    if tensor.dtype not in FLOATS:
        raise CheckpointError(f"tensor {name!r} is of type {tensor.dtype}, lmkit reads {', '.join(FLOATS)}")
    if int(np.prod(tensor.shape)) != int(np.prod(shape)):
        raise CheckpointError(f"tensor {name!r} is {list(tensor.shape)}, its config.json makes it {list(shape)}")
    return tensor.array().astype(np.float32, copy=False).reshape(shape)


def _head(config: Mapping[str, Any], stored: Mapping[str, Stored], width: int) -> TaskHead | None:
    """The head for labels of a classifier."""
    names = config.get("id2label")
    if "classifier.weight" not in stored or not isinstance(names, Mapping) or len(names) < 2:
        return None
    labels = tuple(str(names.get(str(place), place)) for place in range(len(names)))
    return TaskHead(task=CLASSIFY, width=width, labels=labels, pooling=FIRST)


def _pixels(files: Files, settings: VisionConfig) -> PixelScale:
    said = json_in(files, PROCESSOR) if PROCESSOR in files else {}
    half = [0.5] * settings.channels
    scale = {"mean": said.get("image_mean", half), "deviation": said.get("image_std", half)}
    return PixelScale.from_json(scale, settings.channels)


def read(files: Files) -> LoadedVision:
    """The model in a folder. Raises CheckpointError where it can't be run exactly, or is damaged."""
    config, kind = json_in(files, CONFIG), _kind(files)
    assert kind is not None, "the folder has a vision transformer"
    settings, stored = _settings(kind, config), folder.stored_in(files)
    prefix = next((each for each in _PREFIXES[kind] if each + _theirs(kind, "class_token") in stored), "")
    tensors = {name: _array(stored, prefix + _theirs(kind, name), shape) for name, shape in settings.shapes().items()}
    head = _head(config, stored, settings.width) if kind == VIT else None
    if head is not None:
        shapes = head.shapes()
        tensors |= {name: _array(stored, name.replace("head", "classifier"), shape) for name, shape in shapes.items()}
    made = LoadedVision(settings, _pixels(files, settings), tensors, head)
    about = canonical([folder.digest_of(settings, stored), made.config()])
    return LoadedVision(settings, made.pixels, tensors, head, hashlib.sha256(about.encode()).hexdigest())


def record(files: Files) -> dict[str, Any]:
    """What `info` says of a folder. Raises CheckpointError as `read` does."""
    found, stored = read(files), folder.stored_in(files)
    return {
        "kind": found.kind,
        "config": {**found.config(), "format": _kind(files)},
        "tokenizer": {},
        "parameters": sum(tensor.size for tensor in found.tensors.values()),
        "bytes": sum(len(tensor.data) for tensor in stored.values()),
        "origin": {},
        "tensors": {key: [tensor.dtype, list(tensor.shape)] for key, tensor in sorted(stored.items())},
        "digest": found.digest,
    }
