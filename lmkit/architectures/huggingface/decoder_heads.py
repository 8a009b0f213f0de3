"""Decoders of transformers with a head for sequence or for token classification, as ours and back.

    sequence   W h of the last token's h, no bias         tokens   W h + b of each token's h

A classifier of ours reads GPT's start, delimiter and extract tokens around texts; a tokenizer.json puts them there.
Its bias b is one of GPT-2's last layer norm, whose g x + c becomes g x + c + c' with W c' = b; Llama's has no c.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from lmkit.architectures import published_settings
from lmkit.architectures.fine_tuned import FineTunedWeights, body_of, item_format
from lmkit.architectures.heads import LAST, TAG, TaskHead
from lmkit.architectures.huggingface import export, folder, task_heads
from lmkit.architectures.huggingface import tensors as decoder_tensors
from lmkit.architectures.huggingface.configuration import GPT2, TASKS, class_of_task, has_task
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.published_settings import CONFIG, TOKENIZER, Files
from lmkit.architectures.transformer import TransformerConfig
from lmkit.checkpoint import Array, canonical, serialize_tensors
from lmkit.data.sequences import ALWAYS
from lmkit.errors import CheckpointError
from lmkit.tokenization.formats.vocab_and_merges import parse_json

_SEQUENCE, _TOKENS = TASKS


def read_fine_tuned(files: Files) -> FineTunedWeights | None:
    """The classifier, regressor or tagger in a folder; None where it has no such head. Raises as `folder.read` does."""
    config = published_settings.json_in(files, CONFIG)
    if not has_task(config):
        return None
    body = body_of(folder.read(files))
    assert isinstance(body, LoadedModel)
    stored = folder.stored_in(files)
    tags = str(config["architectures"][0]).endswith(_TOKENS)
    modules = {"head": _module(str(config["architectures"][0]))}
    task, labels = task_heads.task_of(config, stored, modules["head"], tags=tags)
    settings = body.settings
    assert isinstance(settings, TransformerConfig)
    end = _has_end(files, body)
    head = TaskHead(task=task, width=settings.width, labels=labels, pooling=LAST, end_token=end)
    biased = tags and f"{modules['head']}.bias" in stored
    tensors = task_heads.arrays_of(head, modules, stored, () if biased else ("head.bias",))
    about = canonical([folder.digest_of(settings, stored), head.to_json()])
    return FineTunedWeights(body, head, tensors, hashlib.sha256(about.encode()).hexdigest())


def _module(name: str) -> str:
    """What the head is called in a class."""
    return "classifier" if name == class_of_task(GPT2, _TOKENS) else "score"


def _has_end(files: Files, body: LoadedModel) -> bool:
    """Whether the tokenizer puts the end token of `item_format` behind texts. Raises CheckpointError for others."""
    if folder.TOKENIZER not in files:
        return False
    last = published_settings.last_tokens(parse_json(bytes(files[folder.TOKENIZER]), "a tokenizer.json"))
    if not last:
        return False
    if list(last) != [item_format(body).end]:
        raise CheckpointError(
            f"{folder.TOKENIZER}: it puts tokens {list(last)} behind texts, lmkit puts {item_format(body).end}"
        )
    return True


def write_fine_tuned(weights: FineTunedWeights) -> dict[str, Iterable[bytes | memoryview]]:
    """The folder of a classifier, regressor or tagger. Raises CheckpointError where transformers has no such model."""
    body, head = weights.body, weights.head
    assert isinstance(body, LoadedModel)
    architecture = export.architecture_for(body.settings)
    suffix = _TOKENS if head.task == TAG else _SEQUENCE
    name = class_of_task(architecture, suffix)
    about = task_heads.config_of(head)
    if head.task != TAG:
        if head.pooling != LAST:
            raise CheckpointError(
                f"its head pools by {head.pooling}: transformers' classifiers read the last token",
                hint="fine-tune with --pooling last",
            )
        body, weights = _without_bias(weights, body, architecture)
    files = export.write(body)
    config = json.loads(b"".join(files[CONFIG]))
    pad, name_of_pad = _padding(body, weights.head)
    config |= {**about, "architectures": [name], "pad_token_id": pad}
    module = _module(name)
    tensors = {f"{module}.weight": weights.tensors["head.weight"]}
    if head.task == TAG:
        tensors[f"{module}.bias"] = weights.tensors["head.bias"]
    # GPT-2 of transformers would add embeddings of segments, and moves no positions for padding on the left
    written = decoder_tensors.write(architecture, body.settings, body.tensors)  # type: ignore[arg-type]
    said = json.loads(b"".join(files[TOKENIZER]))
    said |= {"model_input_names": ["input_ids", "attention_mask"], "padding_side": "right"}
    said |= {} if name_of_pad is None else {"pad_token": name_of_pad}
    return {
        **files, CONFIG: export.json_lines(config), TOKENIZER: export.json_lines(said),
        folder.WEIGHTS: serialize_tensors({**written, **tensors}, {"format": "pt"}),
        folder.TOKENIZER: [_with_texts_around(b"".join(files[folder.TOKENIZER]), body, head)],
    }  # fmt: skip


def _without_bias(
    weights: FineTunedWeights, body: LoadedModel, architecture: str
) -> tuple[LoadedModel, FineTunedWeights]:
    """The same numbers from a head without a bias. Raises CheckpointError where nothing before it can have it."""
    bias = weights.tensors["head.bias"].astype(np.float64)
    if not bias.any():
        return body, weights
    if architecture != GPT2:
        raise CheckpointError(
            f"its head has a bias: {class_of_task(architecture, _SEQUENCE)} has none, and no bias before it to hold it",
            hint="a model with learned positions and layer norms is written, as GPT-2 has them",
        )
    matrix = weights.tensors["head.weight"].astype(np.float64)
    more, *_ = np.linalg.lstsq(matrix, bias, rcond=None)
    if np.abs(matrix @ more - bias).max() > 1e-6:
        raise CheckpointError("its head has a bias that no bias of the last layer norm makes: rows of it are alike")
    moved = (body.tensors["norm.bias"].astype(np.float64) + more).astype(np.float32)
    tensors: dict[str, Array] = {**body.tensors, "norm.bias": moved}
    made = replace(body, tensors=tensors)
    none = {**weights.tensors, "head.bias": np.zeros_like(weights.tensors["head.bias"])}
    return made, replace(weights, body=made, tensors=none)


def _padding(body: LoadedModel, head: TaskHead) -> tuple[int | None, str | None]:
    """A token to fill batches with, which no text ends in, and its name; without one a batch is of one text."""
    tokenizer, form = body.tokenizer, body.form
    last = item_format(body).end if head.end_token else None
    wanted = [tokenizer.specials.get("pad"), form.start, tokenizer.specials.get("unk")]
    for token in wanted:
        if token is not None and token != last and token in tokenizer.specials.values():
            return token, tokenizer.piece(token).decode(errors="replace")
    return None, None


def _with_texts_around(data: bytes, body: LoadedModel, head: TaskHead) -> bytes:
    """A tokenizer.json that puts the tokens of `item_format` around one text or two."""
    if not head.end_token:
        return data
    document: dict[str, Any] = json.loads(data)
    form, end = body.form, item_format(body).end
    start = [form.start] if form.bos == ALWAYS else []
    names = {token: body.tokenizer.piece(token).decode(errors="replace") for token in (*start, end)}

    def special(token: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": names[token], "type_id": 0}}

    one, other = ([{"Sequence": {"id": side, "type_id": 0}}, special(end)] for side in "AB")
    begun = [special(token) for token in start]
    document["post_processor"] = {
        "type": "TemplateProcessing", "single": [*begun, *one], "pair": [*begun, *one, *other],
        "special_tokens": {name: {"id": name, "ids": [token], "tokens": [name]} for token, name in names.items()},
    }  # fmt: skip
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
