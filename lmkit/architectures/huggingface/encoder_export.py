"""An encoder as the files of a folder that transformers loads with no code of its own, and sentence-transformers too.

Settings decide which it is: see `encoder_configuration.kind_for`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from lmkit.architectures.encoder_model import LoadedEncoder, Pooling
from lmkit.architectures.fine_tuned import FineTunedWeights
from lmkit.architectures.huggingface import encoder_tensors, task_heads
from lmkit.architectures.huggingface.encoder_configuration import CLASSES, kind_for, offset_of, written
from lmkit.architectures.huggingface.encoder_folder import MODULES, POOLING, SENTENCES
from lmkit.architectures.huggingface.folder import TOKENIZER, WEIGHTS
from lmkit.architectures.huggingface.task_heads import WrittenHead
from lmkit.architectures.published_settings import CONFIG, to_folder
from lmkit.architectures.published_settings import TOKENIZER as TOKENIZER_CONFIG
from lmkit.checkpoint import serialize_tensors
from lmkit.data.encoder_sequences import ROLES, EncoderFormat
from lmkit.protocols import Tokenizer
from lmkit.tokenization.formats import line_ends

_SUFFIXES = {"none": "Model", "mlm": "ForMaskedLM", "mlm+pair": "ForPreTraining", "discriminator": "ForPreTraining"}
_POOLING_FOLDER = "1_Pooling"


def write(weights: LoadedEncoder, head: WrittenHead | None = None) -> dict[str, Iterable[bytes | memoryview]]:
    """The folder's files, by name, in pieces. Raises CheckpointError where transformers has no such model.

    With a `head`, of an encoder that has none of its own, the folder is that of a classifier or a tagger.
    """
    settings, form, tokenizer = weights.settings, weights.form, weights.tokenizer
    if head is not None:
        settings = replace(settings, pooler=settings.pooler and head.pooler)
    kind, config = written(settings, form.pad, None if head is None else head.kind)
    suffix = _SUFFIXES[settings.task] if head is None else head.suffix
    name = next(begin for begin, own in CLASSES.items() if own == kind) + suffix
    config |= ({} if head is None else dict(head.config)) | {
        "architectures": [name], "model_type": kind, "dtype": "float32", "torch_dtype": "float32",
        "tie_word_embeddings": settings.tied, "bos_token_id": form.cls, "eos_token_id": form.sep,
        "cls_token_id": form.cls, "sep_token_id": form.sep,
    }  # fmt: skip
    tensors = encoder_tensors.write(kind, settings, weights.tensors, offset_of(kind, config))
    if head is not None:
        tensors |= head.tensors
    elif settings.task == "none":
        tensors = {name.removeprefix(encoder_tensors.PREFIXES[kind]): array for name, array in tensors.items()}
    return {
        CONFIG: _json(config),
        WEIGHTS: serialize_tensors(tensors, {"format": "pt"}),
        TOKENIZER: [_with_specials_around(line_ends.write(tokenizer, None), form, tokenizer)],
        TOKENIZER_CONFIG: _json(_tokenizer_config(weights)),
        **{file: [data] for file, data in to_folder(weights.published).items()},
        **({} if weights.pooling is None else _sentences(weights.pooling, settings.context, settings.width)),
    }


def write_fine_tuned(weights: FineTunedWeights) -> dict[str, Iterable[bytes | memoryview]]:
    """The folder of a classifier, regressor or tagger. Raises CheckpointError where transformers has no such model."""
    assert isinstance(weights.body, LoadedEncoder), "decoders are those of decoder_heads"
    body, settings = weights.body, weights.body.settings
    head = task_heads.write(weights.head, weights.tensors, body.tensors, settings, kind_for(settings))
    return write(body, head)


def _json(value: object) -> Iterator[bytes]:
    yield (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _name(tokenizer: Tokenizer, token: int) -> str:
    return tokenizer.piece(token).decode(errors="replace")


def _with_specials_around(data: bytes, form: EncoderFormat, tokenizer: Tokenizer) -> bytes:
    """A tokenizer.json that puts the special tokens around texts, as it comes where it has a way to."""
    document = json.loads(data)
    if document.get("post_processor") is not None or form.around == 0:
        return data

    def special(token: int | None, segment: int) -> list[Mapping[str, Any]]:
        return [] if token is None else [{"SpecialToken": {"id": _name(tokenizer, token), "type_id": segment}}]

    first = [*special(form.cls, 0), {"Sequence": {"id": "A", "type_id": 0}}, *special(form.sep, 0) * form.separators]
    second = [{"Sequence": {"id": "B", "type_id": 1}}, *special(form.sep, 1)]
    names = {_name(tokenizer, token): token for token in (form.cls, form.sep) if token is not None}
    single = first if form.separators == 1 or form.sep is None else first[:-1]
    document["post_processor"] = {
        "type": "TemplateProcessing", "single": single, "pair": [*first, *second],
        "special_tokens": {name: {"id": name, "ids": [token], "tokens": [name]} for name, token in names.items()},
    }  # fmt: skip
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _tokenizer_config(weights: LoadedEncoder) -> dict[str, Any]:
    form, tokenizer = weights.form, weights.tokenizer
    named = {f"{role}_token": getattr(form, role) for role in ROLES}
    unknown = tokenizer.specials.get("unk")
    named |= {"unk_token": unknown} if unknown is not None else {}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": weights.settings.context,
        "clean_up_tokenization_spaces": False,
        **{role: _name(tokenizer, token) for role, token in named.items() if token is not None},
        **weights.published.special_tokens,
    }  # fmt: skip


def _sentences(pooling: Pooling, context: int, width: int) -> dict[str, Iterable[bytes]]:
    """The files of sentence-transformers."""
    kinds = {"Transformer": "", "Pooling": _POOLING_FOLDER} | (
        {"Normalize": "2_Normalize"} if pooling.normalize else {}
    )
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(kinds.items())
    ]
    keys = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens"}
    modes = {f"pooling_mode_{key}": mode == pooling.mode for mode, key in keys.items()}
    return {
        MODULES: _json(modules),
        SENTENCES: _json({"do_lower_case": False, "max_seq_length": pooling.limit or context}),
        f"{_POOLING_FOLDER}/{POOLING}": _json({"word_embedding_dimension": width, **modes}),
    }
