"""The files of a folder as an encoder-decoder: config.json, safetensors, the tokenizer's, generation_config.json.

T5's SentencePiece model has no pieces for its sentinels, `<extra_id_0>` and on, which lie behind, the last first.
Marian has two models, of sources and targets, whose pieces vocab.json numbers; transformers may put punctuation into a
normal form before (sacremoses, where that is installed), which lmkit does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmkit.architectures import published_settings
from lmkit.architectures.huggingface import folder, seq2seq_tensors
from lmkit.architectures.huggingface.seq2seq_configuration import (
    BART,
    MARIAN,
    MT5,
    T5,
    seq2seq_type,
    settings_of,
    values_of,
)
from lmkit.architectures.published_settings import CONFIG, GENERATION, Files, Published, json_in, tokens_of
from lmkit.architectures.published_settings import TOKENIZER as TOKENIZER_CONFIG
from lmkit.architectures.seq2seq_model import LoadedSeq2Seq
from lmkit.architectures.seq2seq_transformer import Seq2SeqTransformerConfig
from lmkit.checkpoint import Stored
from lmkit.data.sequences import TextFormat
from lmkit.data.source_format import SourceFormat
from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization import tokenizers
from lmkit.tokenization.formats import sentencepiece

SPIECE, VOCABULARY, TARGET_VOCABULARY = "spiece.model", "vocab.json", "target_vocab.json"
SOURCE_MODEL, TARGET_MODEL = "source.spm", "target.spm"
_SENTINELS = 100


def is_encoder_decoder(files: Files) -> bool:
    """Whether the folder's config.json is an encoder-decoder's. Raises CheckpointError where it is damaged."""
    return CONFIG in files and seq2seq_type(json_in(files, CONFIG)) is not None


@dataclass(frozen=True)
class Description:
    """What a folder holds, before any tensor is touched."""

    architecture: str
    values: Mapping[str, Any]
    settings: Seq2SeqTransformerConfig
    stored: Mapping[str, Stored]

    @property
    def digest(self) -> str:
        """See `folder.digest_of`."""
        return folder.digest_of(self.settings, self.stored)


def describe(files: Files) -> Description:
    """What config.json and the headers of the weights say.

    Raises CheckpointError where they are absent, damaged, do not fit together, or can't be run exactly.
    """
    config = json_in(files, CONFIG)
    kind = seq2seq_type(config)
    assert kind is not None, "the folder has an encoder-decoder"
    stored = folder.stored_in(files)
    settings = seq2seq_tensors.ties(kind, settings_of(kind, config), stored)
    seq2seq_tensors.check(kind, settings, stored)
    said = {key: value for key, value in json_in(files, GENERATION).items() if value is not None}
    return Description(kind, {**values_of(kind, config), **said}, settings, stored)


class Usage:
    """What is known of a model's texts: tokenizers of both sides, how they are read, and what is published beside."""

    def __init__(self, files: Files, found: Description) -> None:
        self.source_tokenizer, self.tokenizer = _tokenizers(files, found)
        settings = found.settings
        for tokenizer, size in (
            (self.tokenizer, settings.vocabulary),
            (self.source_tokenizer, settings.source_vocabulary),
        ):
            if size < tokenizer.size:
                raise CheckpointError(f"its tokenizer has {tokenizer.size} tokens, its model {size}")
        self.published: Published = published_settings.in_folder(files)
        own = found.values.get(folder.OWN)
        if isinstance(own, dict) and "text" in own and "source" in own:
            self.form = TextFormat.from_json(own["text"], self.tokenizer.size)
            self.source_form = SourceFormat.from_json(own["source"], self.source_tokenizer.size)
        else:
            self.form, self.source_form = _forms(found, self.tokenizer.size)


def _forms(found: Description, size: int) -> tuple[TextFormat, SourceFormat]:
    """How targets and sources are read. Raises CheckpointError where tokens are absent."""

    def tokens(key: str) -> tuple[int, ...]:
        return tokens_of(found.values.get(key), key, size)

    ends, starts = tokens("eos_token_id"), tokens("decoder_start_token_id")
    if not ends or not starts:
        raise CheckpointError("neither config.json nor generation_config.json says how targets begin and end")
    barred = [token for word in _lists(found.values.get("bad_words_ids")) if len(word) == 1 for token in word]
    barred += _ints(found.values.get("suppress_tokens"))
    form = TextFormat(
        "line", starts[0], ends[0], ends=ends[1:], barred=tuple(dict.fromkeys(one for one in barred if one < size))
    )
    before = tokens("bos_token_id") if found.architecture == BART else ()
    return form, SourceFormat(before[:1], ends[:1], tokens("forced_bos_token_id")[:1])


def _lists(values: Any) -> list[list[int]]:
    return [_ints(one) for one in values] if isinstance(values, list) else []


def _ints(values: Any) -> list[int]:
    return [one for one in values if type(one) is int and one >= 0] if isinstance(values, list) else []


def read(files: Files) -> LoadedSeq2Seq:
    """The model in a folder. Raises CheckpointError where it can't be run exactly, or is damaged."""
    found = describe(files)
    usage = Usage(files, found)
    arrays = seq2seq_tensors.read(found.architecture, found.settings, found.stored)
    return LoadedSeq2Seq(
        found.settings, usage.form, usage.source_form, usage.tokenizer, usage.source_tokenizer, arrays, found.digest,
        usage.published,
    )  # fmt: skip


def read_tokenizer(files: Files) -> Tokenizer:
    """The tokenizer of targets in a folder. Raises CheckpointError where there is none that can be used."""
    config = json_in(files, CONFIG)
    kind = seq2seq_type(config)
    return _numbered(files, TARGET_MODEL) if _is_marian(kind, files) else _single(files, kind)


def _is_marian(kind: str | None, files: Files) -> bool:
    return kind == MARIAN and folder.TOKENIZER not in files and TARGET_MODEL in files


def _tokenizers(files: Files, found: Description) -> tuple[Tokenizer, Tokenizer]:
    """Of sources and of targets, one object where they are the same."""
    if _is_marian(found.architecture, files):
        source, target = _numbered(files, SOURCE_MODEL), _numbered(files, TARGET_MODEL)
        return source, source if source.digest == target.digest else target
    one = _single(files, found.architecture)
    if OWN_SOURCE in files:
        return folder.read_tokenizer({**files, folder.TOKENIZER: files[OWN_SOURCE]}), one
    return one, one


OWN_SOURCE = "source_tokenizer.json"
"""Where an export has the tokenizer of sources if it is another."""


def _single(files: Files, kind: str | None) -> Tokenizer:
    """The tokenizer of both sides."""
    if kind in (T5, MT5) and folder.TOKENIZER not in files and SPIECE in files:
        count = json_in(files, TOKENIZER_CONFIG).get("extra_ids", _SENTINELS if kind == T5 else 0)
        if type(count) is not int or not 0 <= count < 1 << 16:
            raise CheckpointError(f"{TOKENIZER_CONFIG}: extra_ids {count!r} is no number of tokens")
        names = [f"<extra_id_{number}>" for number in reversed(range(count))]
        return sentencepiece.read_with_names(bytes(files[SPIECE]), names)
    return folder.read_tokenizer(files)


def _numbered(files: Files, model: str) -> Tokenizer:
    """A SentencePiece model of Marian's with the ids of vocab.json."""
    name = TARGET_VOCABULARY if model == TARGET_MODEL and TARGET_VOCABULARY in files else VOCABULARY
    for needed in (model, name):
        if needed not in files:
            raise CheckpointError(f"no {needed} in the folder, which a Marian model's tokenizer needs")
    ids = json_in(files, name)
    if not all(type(token) is int for token in ids.values()):
        raise CheckpointError(f"{name}: not ids of pieces")
    try:
        return sentencepiece.read_numbered(bytes(files[model]), {piece: int(token) for piece, token in ids.items()})
    except CheckpointError as error:
        raise CheckpointError(f"{model} with {name}: {error}", hint=error.hint) from None


def record(files: Files) -> dict[str, Any]:
    """What `info` says of a folder, no tensor touched. Raises CheckpointError as `read` does."""
    found = describe(files)
    usage = Usage(files, found)
    settings = found.settings
    source: dict[str, Any] = usage.source_form.to_json()
    if usage.source_tokenizer is not usage.tokenizer:
        source["tokenizer"] = tokenizers.describe(usage.source_tokenizer)
    own = {"text": usage.form.to_json(), "source": source, **usage.published.to_config()}
    return {
        "kind": settings.kind,
        "config": {**settings.to_json(), **own, "format": found.architecture},
        "tokenizer": {**tokenizers.describe(usage.tokenizer), **usage.published.to_tokenizer()},
        "parameters": settings.parameters,
        "bytes": sum(len(tensor.data) for tensor in found.stored.values()),
        "origin": {},
        "tensors": {key: [tensor.dtype, list(tensor.shape)] for key, tensor in sorted(found.stored.items())},
        "digest": found.digest,
    }
