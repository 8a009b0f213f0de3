"""The files of a folder as a model: config.json, safetensors in one file or several, and the tokenizer's."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from lmkit.architectures import published_settings
from lmkit.architectures.config import ModelConfig
from lmkit.architectures.huggingface import tensors
from lmkit.architectures.huggingface.configuration import (
    DEFAULTS,
    GPT2,
    LLAMA,
    QWEN2,
    architecture,
    has_task,
    settings_of,
)
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.published_settings import CONFIG, Files, Published
from lmkit.architectures.published_settings import TOKENIZER as TOKENIZER_CONFIG
from lmkit.architectures.transformer import TransformerConfig
from lmkit.checkpoint import Stored, canonical, stored_tensors
from lmkit.data.sequences import ALONE, ALWAYS, TextFormat
from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization import tokenizers
from lmkit.tokenization.formats import gpt2, line_ends, sentencepiece
from lmkit.tokenization.formats.vocab_and_merges import parse_json

OWN = "lmkit"
TOKENIZER = "tokenizer.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
_SAMPLE = 1 << 10  # bytes of each end of a tensor that the digest sees


@dataclass(frozen=True)
class Description:
    """What a folder holds, before any tensor is touched."""

    architecture: str
    config: Mapping[str, Any]
    settings: TransformerConfig
    stored: Mapping[str, Stored]

    @property
    def digest(self) -> str:
        """See `digest_of`."""
        return digest_of(self.settings, self.stored)

    @property
    def without(self) -> tuple[str, ...]:
        """Parts of the names whose biases are zero: our settings know biases everywhere or not."""
        if self.architecture == GPT2:
            return ()
        has = {
            ".self_attn.": self.architecture == QWEN2 or self.config.get("attention_bias", False),
            ".mlp.": self.architecture == LLAMA and self.config.get("mlp_bias", False),
        }
        return tuple(part for part, there in has.items() if not there)


def digest_of(settings: ModelConfig, stored: Mapping[str, Stored]) -> str:
    """SHA-256 over settings and names, types, shapes and both ends of all tensors: quick, whatever their size.

    It is in signatures and cache keys, so no name of the code may be part of it.
    """
    seen = hashlib.sha256(canonical([settings.kind, settings.to_json()]).encode())
    for name, tensor in sorted(stored.items()):
        seen.update(f"{name} {tensor.dtype} {tensor.shape} ".encode())
        seen.update(tensor.data[:_SAMPLE])
        seen.update(tensor.data[-_SAMPLE:])
    return seen.hexdigest()


@contextmanager
def about(name: str) -> Iterator[None]:
    """Puts a file's name in front of what is wrong with it."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}", hint=error.hint) from None


def describe(files: Files) -> Description:
    """What the folder's config.json and the headers of its weights say.

    Raises CheckpointError where they are absent, damaged, do not fit together, or can't be run exactly.
    """
    if "adapter_config.json" in files:
        raise CheckpointError("an adapter of peft, no model", hint="name its base with -m, and it with --adapter")
    if CONFIG not in files:
        raise CheckpointError("no config.json in the folder")
    with about(CONFIG):
        config = parse_json(bytes(files[CONFIG]), "an object of settings")
    name, settings = architecture(config), settings_of(config)
    stored = tensors.with_prefix(name, stored_in(files))
    if has_task(config):
        stored = {key: tensor for key, tensor in stored.items() if not key.startswith(tensors.TASK_HEADS)}
    if settings.tied and not tensors.ties(name, stored):
        settings = replace(settings, tied=False)
    found = Description(name, config, settings, stored)
    tensors.check(name, settings, stored, found.without)
    return found


def architecture_in(files: Files) -> str:
    """The architecture of the model in a folder. Raises CheckpointError as `read` does."""
    return describe(files).architecture


def read(files: Files) -> LoadedModel:
    """The model in a folder. Raises CheckpointError where it can't be run exactly, or is damaged."""
    found = describe(files)
    usage = read_usage(files, found)
    if found.settings.vocabulary < usage.tokenizer.size:
        raise CheckpointError(f"its tokenizer has {usage.tokenizer.size} tokens, its model {found.settings.vocabulary}")
    arrays = tensors.read(found.architecture, found.settings, found.stored, found.without)
    return LoadedModel(found.settings, usage.form, usage.tokenizer, arrays, found.digest, usage.published)


class Usage(NamedTuple):
    """What is known of a model's texts: its tokenizer, how it reads them, and what its makers publish beside."""

    tokenizer: Tokenizer
    form: TextFormat
    published: Published


def read_usage(files: Files, found: Description) -> Usage:
    """All but the tensors. Raises CheckpointError where it is absent or damaged."""
    tokenizer, newline_id = _tokenizer(files)
    beside = published_settings.in_folder(files)
    own = found.config.get(OWN)
    if isinstance(own, dict) and "text" in own:
        return Usage(tokenizer, TextFormat.from_json(own["text"], tokenizer.size), beside)
    first = _first_token(files, tokenizer)
    start = first if first is not None else _start(found.config, tokenizer, beside)
    if newline_id is not None:
        return Usage(tokenizer, TextFormat("stream", start, newline_id), beside)
    ends = published_settings.ends_in({**DEFAULTS[found.architecture], **found.config}, files, tokenizer.size)
    bos = ALONE if first is None else ALWAYS
    return Usage(tokenizer, TextFormat("stream", start, None, ends=ends, bos=bos), beside)


def _first_token(files: Files, tokenizer: Tokenizer) -> int | None:
    """The token that the tokenizer puts in front of every text, as transformers 5 has it; None: none.

    A tokenizer.json says it alone; of other files tokenizer_config.json does, SentencePiece's have `bos` if it is
    silent. Raises CheckpointError for several tokens.
    """
    if TOKENIZER in files:
        first = published_settings.first_tokens(parse_json(bytes(files[TOKENIZER]), "a tokenizer.json"))
        if len(first) > 1 or not all(0 <= token < tokenizer.size for token in first):
            raise CheckpointError(f"{TOKENIZER}: it puts tokens {list(first)} in front of texts, lmkit puts one")
        return first[0] if first else None
    pair = "vocab.json" in files
    adds = published_settings.json_in(files, TOKENIZER_CONFIG).get("add_bos_token", not pair)
    return tokenizer.specials.get("bos") if adds is True else None


def _start(config: Mapping[str, Any], tokenizer: Tokenizer, beside: Published) -> int:
    """The token to predict a text's first token from: the tokenizer's `bos`, else `eos`, else those of config.json."""
    for role in ("bos", "eos"):
        if f"{role}_token" in beside.special_tokens and role in tokenizer.specials:
            return tokenizer.specials[role]
    for role in ("bos", "eos"):
        said = published_settings.tokens_of(config.get(f"{role}_token_id"), f"{role}_token_id", tokenizer.size)
        if said:
            return said[0]
    for role in ("bos", "eos"):
        if role in tokenizer.specials:
            return tokenizer.specials[role]
    raise CheckpointError("no token to begin texts with: neither bos_token_id nor eos_token_id is one of its tokenizer")


def record(files: Files) -> dict[str, Any]:
    """What `info` says of a folder, no tensor touched. Raises CheckpointError as `read` does."""
    found = describe(files)
    settings, usage = found.settings, read_usage(files, found)
    own = {"text": usage.form.to_json(), **usage.published.to_config()}
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


def stored_in(files: Files) -> dict[str, Stored]:
    """The tensors of one file or of several. Raises CheckpointError where one is missing or damaged."""
    if WEIGHTS in files:
        with about(WEIGHTS):
            return stored_tensors(files[WEIGHTS])
    if INDEX not in files:
        pickles = [name for name in files if name.endswith(PICKLES)]
        if pickles:
            raise CheckpointError(
                f"{pickles[0]} is a pickle or the like, which can run code when it is read; lmkit reads safetensors",
                hint="`save_pretrained` of transformers writes the model anew as safetensors",
            )
        raise CheckpointError(f"no weights in the folder: neither {WEIGHTS} nor {INDEX}")
    with about(INDEX):
        places = parse_json(bytes(files[INDEX]), "an index of shards").get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
            raise CheckpointError("it has no weight_map from tensors to files")
    shards = {}
    for shard in sorted(set(places.values())):
        if shard not in files:
            raise CheckpointError(f"{shard} is missing, which {INDEX} names")
        with about(shard):
            shards[shard] = stored_tensors(files[shard])
    for name, shard in places.items():
        if name not in shards[shard]:
            raise CheckpointError(f"{shard}: no tensor {name!r}, which {INDEX} says is there")
    return {name: shards[shard][name] for name, shard in places.items()}


def read_tokenizer(files: Files) -> Tokenizer:
    """The tokenizer in a folder. Raises CheckpointError where there is none that can be used."""
    return _tokenizer(files)[0]


def _tokenizer(files: Files) -> tuple[Tokenizer, int | None]:
    """The tokenizer, and the token that its file has for line ends, if `export.write` put one there."""
    said = None
    if TOKENIZER_CONFIG in files or published_settings.SPECIAL_TOKENS in files:
        named = {
            **published_settings.json_in(files, published_settings.SPECIAL_TOKENS),
            **published_settings.json_in(files, TOKENIZER_CONFIG),
        }
        said = json.dumps(named).encode()
    if TOKENIZER in files:
        with about(TOKENIZER):
            return line_ends.read(bytes(files[TOKENIZER]), said)
    if "vocab.json" in files and "merges.txt" in files:
        return _read_pair(files, said), None
    for name in ("tokenizer.model", "spiece.model"):
        if name in files:
            with about(name):
                return sentencepiece.read(bytes(files[name])), None
    raise CheckpointError("no tokenizer in the folder: neither tokenizer.json nor vocab.json with merges.txt")


def _read_pair(files: Files, said: bytes | None) -> Tokenizer:
    """GPT-2's two files; other tokenizers that keep them part text in ways that they do not say."""
    kind = parse_json(said, "a tokenizer_config.json").get("tokenizer_class") if said is not None else None
    if kind is not None and not str(kind).startswith("GPT2Tokenizer"):
        raise CheckpointError(f"no tokenizer.json, and vocab.json with merges.txt do not say all of a {kind}")
    with about("vocab.json"):
        vocabulary = gpt2.read_vocabulary(bytes(files["vocab.json"]))
    with about("merges.txt"):
        _, pairs = gpt2.read_pairs(bytes(files["merges.txt"]))
    with about("vocab.json with merges.txt"):
        return gpt2.read(vocabulary, pairs)
