"""The files of a folder as an encoder: config.json, safetensors, the tokenizer's, and those of sentence-transformers.

A modules.json (Reimers and Gurevych 2019) says how sentences are pooled and whether vectors are divided by their
length; sentence_bert_config.json how many tokens a sentence has at most.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lmkit.architectures import published_settings
from lmkit.architectures.config import ModelConfig
from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.encoder_model import LoadedEncoder, Pooling
from lmkit.architectures.fine_tuned import FineTunedWeights, body_of
from lmkit.architectures.heads import TaskHead
from lmkit.architectures.huggingface import encoder_tensors, encoder_tokenizer, folder, task_heads
from lmkit.architectures.huggingface.encoder_configuration import (
    ELECTRA,
    ROBERTA,
    XLM_ROBERTA,
    encoder_type,
    offset_of,
    settings_of,
)
from lmkit.architectures.published_settings import CONFIG, Files, json_in
from lmkit.checkpoint import Stored, canonical
from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization import tokenizers

MODULES, SENTENCES, POOLING = "modules.json", "sentence_bert_config.json", "config.json"
_TRANSFORMER, _POOLING, _NORMALIZE = "Transformer", "Pooling", "Normalize"
_MODES = {
    "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max",
}  # fmt: skip


def is_encoder(files: Files) -> bool:
    """Whether the folder's config.json is an encoder's. Raises CheckpointError where it is damaged."""
    return CONFIG in files and encoder_type(json_in(files, CONFIG)) is not None


def architecture_in(files: Files) -> str:
    """Which of ENCODERS the folder holds."""
    return encoder_type(json_in(files, CONFIG)) or ""


class Description:
    """What a folder holds, before any tensor is touched.

    Raises CheckpointError where files are absent, damaged, do not fit together, or can't be run exactly.
    """

    def __init__(self, files: Files) -> None:
        config = json_in(files, CONFIG)
        kind = encoder_type(config)
        assert kind is not None, "the folder has an encoder"
        self.architecture = kind
        self.offset = offset_of(kind, config)
        self.stored: Mapping[str, Stored] = encoder_tensors.with_usual_names(kind, folder.stored_in(files))
        task, pooler = encoder_tensors.task_of(kind, self.stored)
        tied = encoder_tensors.ties(kind, self.stored)
        self.settings: EncoderConfig = replace(settings_of(kind, config), task=task, pooler=pooler, tied=tied)
        if task.startswith("mlm") and kind in (ROBERTA, XLM_ROBERTA, ELECTRA) and self.settings.activation != "gelu":
            raise CheckpointError(
                f"its body has {self.settings.activation} and its head gelu, which lmkit does not run"
            )
        encoder_tensors.check(kind, self.settings, self.stored, self.offset)

    @property
    def digest(self) -> str:
        """See `folder.digest_of`."""
        return folder.digest_of(self.settings, self.stored)


def read(files: Files) -> LoadedEncoder:
    """The encoder in a folder. Raises CheckpointError where it can't be run exactly, or is damaged."""
    found = Description(files)
    tokenizer = read_tokenizer(files)
    if found.settings.vocabulary < tokenizer.size:
        raise CheckpointError(f"its tokenizer has {tokenizer.size} tokens, its model {found.settings.vocabulary}")
    beside = published_settings.in_folder(files)
    return LoadedEncoder(
        found.settings, format_of(files, tokenizer), tokenizer,
        encoder_tensors.read(found.architecture, found.settings, found.stored, found.offset), found.digest, beside,
        pooling_in(files),
    )  # fmt: skip


def read_fine_tuned(files: Files) -> FineTunedWeights | None:
    """The classifier, regressor or tagger in a folder; None where it has no such head. Raises as `read` does."""
    config = json_in(files, CONFIG)
    kind = encoder_type(config)
    if kind is None or not task_heads.has_head(config):
        return None
    body = body_of(read(files))
    stored = folder.stored_in(files)
    head, tensors = task_heads.read(kind, config, body.settings, stored)  # type: ignore[arg-type]
    return FineTunedWeights(body, head, tensors, _digest(body.settings, head, stored))


def _digest(settings: ModelConfig, head: TaskHead, stored: Mapping[str, Stored]) -> str:
    about = canonical([folder.digest_of(settings, stored), head.to_json()])
    return hashlib.sha256(about.encode()).hexdigest()


def read_tokenizer(files: Files) -> Tokenizer:
    """The tokenizer in a folder. Raises CheckpointError where there is none that can be used."""
    return encoder_tokenizer.read(files)


def format_of(files: Files, tokenizer: Tokenizer) -> EncoderFormat:
    """The special tokens of the folder's tokenizer."""
    named = published_settings.in_folder(files).special_tokens
    twice = encoder_type(json_in(files, CONFIG)) in (ROBERTA, XLM_ROBERTA)
    return EncoderFormat.of(tokenizer, named, separators=2 if twice else 1)


def pooling_in(files: Files) -> Pooling | None:
    """How a folder of sentence-transformers pools; None where it says nothing.

    Raises CheckpointError for modules and modes that lmkit does not run.
    """
    if MODULES not in files:
        return None
    try:
        modules = json.loads(bytes(files[MODULES]))
        kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
        paths = {kind: str(module["path"]) for kind, module in zip(kinds, modules, strict=True)}
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{MODULES}: not a list of modules with type and path") from None
    _check_modules(kinds)
    limit = json_in(files, SENTENCES).get("max_seq_length")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise CheckpointError(f"{SENTENCES}: max_seq_length is {limit!r}, not a whole number above 0")
    return Pooling(_mode(files, f"{paths[_POOLING]}/{POOLING}"), _NORMALIZE in kinds, limit or 0)


def _check_modules(kinds: Sequence[str]) -> None:
    wanted = [_TRANSFORMER, _POOLING, _NORMALIZE]
    if list(kinds) not in (wanted, wanted[:2]):
        raise CheckpointError(f"{MODULES}: modules {', '.join(kinds)}, lmkit runs {', '.join(wanted)}")


def _mode(files: Files, name: str) -> str:
    if name not in files:
        raise CheckpointError(f"{name} is missing, which {MODULES} names")
    said = json_in(files, name)
    named = [mode for key, mode in _MODES.items() if said.get(key) is True]
    others = [key for key, value in said.items() if key.startswith("pooling_mode_") and value is True]
    if not others and isinstance(said.get("pooling_mode"), str):
        named = others = [said["pooling_mode"]]
    if len(others) != 1 or len(named) != 1 or named[0] not in _MODES.values():
        raise CheckpointError(f"{name}: pooling by {', '.join(others) or 'nothing'}, lmkit pools by mean, cls or max")
    return str(named[0])


def record(files: Files) -> dict[str, Any]:
    """What `info` says of a folder, no tensor touched. Raises CheckpointError as `read` does."""
    found, tokenizer = Description(files), read_tokenizer(files)
    form, beside, pooling = format_of(files, tokenizer), published_settings.in_folder(files), pooling_in(files)
    config = {**found.settings.to_json(), "text": form.to_json(), **beside.to_config(), "format": found.architecture}
    own = json_in(files, CONFIG)
    if task_heads.has_head(own):
        head, _ = task_heads.read(found.architecture, own, found.settings, folder.stored_in(files))
        config["head"] = head.to_json()
    return {
        "kind": found.settings.kind,
        "config": config if pooling is None else {**config, "pooling": pooling.to_json()},
        "tokenizer": {**tokenizers.describe(tokenizer), **beside.to_tokenizer()},
        "parameters": found.settings.parameters,
        "bytes": sum(len(tensor.data) for tensor in found.stored.values()),
        "origin": {},
        "tensors": {key: [tensor.dtype, list(tensor.shape)] for key, tensor in sorted(found.stored.items())},
        "digest": found.digest,
    }
