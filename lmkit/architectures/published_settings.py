"""What the makers of a model publish beside its weights: chat templates, special tokens by name, generation settings.

Folders of transformers, GGUF files and checkpoints say the same in three ways; all are read here, and how
texts begin and what ends them too. Knows names and bytes of files, and opens none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmkit.checkpoint import Buffer, canonical
from lmkit.errors import CheckpointError

CONFIG, GENERATION, TOKENIZER = "config.json", "generation_config.json", "tokenizer_config.json"
SPECIAL_TOKENS, TEMPLATE, OLD_TEMPLATE = "special_tokens_map.json", "chat_template.jinja", "chat_template.json"
TEMPLATES, JINJA = "additional_chat_templates/", ".jinja"
DEFAULT = "default"
"""The name of a model's only template, or of the one that it uses where nothing else is asked for."""

_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_IDS = ("bos_token_id", "eos_token_id")  # which the form of texts says
_NOT_SETTINGS = (*_IDS, "_from_model_config", "transformers_version")
_GGUF_ENDS = ("eos", "eot", "eom")
_GGUF_TEMPLATE = "tokenizer.chat_template"

Files = Mapping[str, Buffer]


@dataclass(frozen=True)
class Published:
    """What goes with a model and changes none of its numbers."""

    chat_templates: Mapping[str, str] = field(default_factory=dict)
    """Templates in Jinja2 by name."""
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    """Texts of special tokens by the names that templates have for them, such as `bos_token`."""
    generation: Mapping[str, Any] = field(default_factory=dict)
    """Settings of generation as transformers names them, token ids of beginning and end left out."""

    def to_config(self) -> dict[str, Any]:
        """What a checkpoint's `config` says of it."""
        return {"generation": dict(self.generation)} if self.generation else {}

    def to_tokenizer(self) -> dict[str, Any]:
        """What a checkpoint's `tokenizer` says of it."""
        said = {"chat_templates": dict(self.chat_templates), "special_tokens": dict(self.special_tokens)}
        return {name: values for name, values in said.items() if values}

    def template(self, name: str | None = None) -> str:
        """A template by its name, the default one if None. Raises CheckpointError where there is none."""
        if not self.chat_templates:
            raise CheckpointError("it has no chat template", hint="--template names one")
        if (name or DEFAULT) in self.chat_templates:
            return self.chat_templates[name or DEFAULT]
        names = ", ".join(sorted(self.chat_templates))
        what = "no default among its chat templates" if name is None else f"no chat template {name!r}"
        raise CheckpointError(f"{what}: it has {names}", hint="--template names one of them")


NOTHING = Published()


def in_checkpoint(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> Published:
    """What a checkpoint says. Raises CheckpointError where it is damaged."""
    templates, tokens = (tokenizer.get(name, {}) for name in ("chat_templates", "special_tokens"))
    generation = config.get("generation", {})
    texts = [value for some in (templates, tokens) if isinstance(some, dict) for value in some.values()]
    if not all(isinstance(some, dict) for some in (templates, tokens, generation)) or not all(
        isinstance(text, str) for text in texts
    ):
        raise CheckpointError("damaged checkpoint: chat templates or generation settings are not objects")
    return Published(templates, tokens, generation)


# Folders of transformers.


def json_in(files: Files, name: str) -> Mapping[str, Any]:
    """The object in a file of a folder, an empty one where there is no such file. Raises CheckpointError."""
    try:
        found = json.loads(bytes(files[name])) if name in files else {}
        canonical(found)
    except (ValueError, RecursionError):
        raise CheckpointError(f"{name}: not JSON") from None
    except CheckpointError as error:  # the file can't be read
        raise CheckpointError(f"{name}: {error}", hint=error.hint) from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{name}: not an object of settings")
    return found


def in_folder(files: Files) -> Published:
    """What the files of a folder say, as transformers reads them. Raises CheckpointError for damaged ones."""
    settings = json_in(files, TOKENIZER)
    named = {**json_in(files, SPECIAL_TOKENS), **settings}
    tokens = {name: text for name in _TOKENS if (text := content(named.get(name))) is not None}
    said = json_in(files, GENERATION).items()
    generation = {key: value for key, value in said if key not in _NOT_SETTINGS and value is not None}
    return Published(_templates_in(files, settings), tokens, generation)


def _templates_in(files: Files, settings: Mapping[str, Any]) -> dict[str, str]:
    """The templates by name; files of their own come before those in tokenizer_config.json, as in transformers."""
    own = {name.removeprefix(TEMPLATES).removesuffix(JINJA): name for name in files if _is_additional(name)}
    if TEMPLATE in files:
        own[DEFAULT] = TEMPLATE
    if own:
        return {name: _text(files, file) for name, file in own.items()}
    found = settings.get("chat_template") or json_in(files, OLD_TEMPLATE).get("chat_template")
    if isinstance(found, list):
        found = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
    named = found if isinstance(found, dict) else {DEFAULT: found}
    return {name: text for name, text in named.items() if isinstance(name, str) and isinstance(text, str)}


def _is_additional(name: str) -> bool:
    return name.startswith(TEMPLATES) and name.endswith(JINJA)


def _text(files: Files, name: str) -> str:
    try:
        return bytes(files[name]).decode()
    except UnicodeDecodeError:
        raise CheckpointError(f"{name}: not UTF-8") from None
    except CheckpointError as error:  # the file can't be read
        raise CheckpointError(f"{name}: {error}", hint=error.hint) from None


def content(token: Any) -> str | None:
    """A token's text, which is written as such or as an object that has it."""
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None


def to_folder(published: Published) -> dict[str, bytes]:
    """The files of the templates, as transformers writes them."""
    files = {}
    for name, text in sorted(published.chat_templates.items()):
        files[TEMPLATE if name == DEFAULT else f"{TEMPLATES}{name}{JINJA}"] = text.encode()
    return files


def ends_in(config: Mapping[str, Any], files: Files, size: int) -> tuple[int, ...]:
    """The tokens that end what is generated, of `size`: of generation_config.json if there is one, else of config.json.

    Raises CheckpointError for a value that is no token, nor a list of such.
    """
    source = GENERATION if GENERATION in files else CONFIG
    value = json_in(files, GENERATION).get("eos_token_id") if GENERATION in files else config.get("eos_token_id")
    return tokens_of(value, f"{source}: eos_token_id", size)


def tokens_of(value: Any, what: str, size: int) -> tuple[int, ...]:
    """Token ids that may be written as one or as a list; those beyond a vocabulary are never drawn, and left out.

    Raises CheckpointError where they are no ids.
    """
    values = [] if value is None else value if isinstance(value, list) else [value]
    for one in values:
        if type(one) is not int or one < 0:
            raise CheckpointError(f"{what} {one!r} is no token")
    return tuple(dict.fromkeys(one for one in values if one < size))


def first_tokens(document: Mapping[str, Any]) -> Sequence[int]:
    """The tokens that a tokenizer.json puts in front of a text. Raises CheckpointError where they can't be had."""
    return _first(document.get("post_processor"), "cls", 1)


def last_tokens(document: Mapping[str, Any]) -> Sequence[int]:
    """The tokens that a tokenizer.json puts behind a text. Raises CheckpointError where they can't be had."""
    return _first(document.get("post_processor"), "sep", -1)[::-1]


def _first(part: Any, role: str, step: int) -> list[int]:
    """The tokens from one end of a text: the first of a template, or with a `step` of -1 the last, inwards."""
    kind = part.get("type") if isinstance(part, dict) else None
    try:
        if kind == "Sequence":
            several = [_first(member, role, step) for member in part["processors"]]
            return [token for some in reversed(several) for token in some]
        if kind in ("BertProcessing", "RobertaProcessing"):
            return [int(part[role][1])]
        if kind != "TemplateProcessing":
            return []
        found: list[int] = []
        for item in part["single"][::step]:
            if "SpecialToken" not in item:
                break
            found += part["special_tokens"][item["SpecialToken"]["id"]]["ids"][::step]
        return [int(token) for token in found]
    except (KeyError, TypeError, ValueError, IndexError):
        raise CheckpointError("tokenizer.json: its post_processor is damaged") from None


# GGUF files.


def in_gguf(values: Mapping[str, Any]) -> Published:
    """What a GGUF file says: `tokenizer.chat_template` and those with a name behind it."""
    templates = {}
    for key, value in values.items():
        if isinstance(value, str) and (key == _GGUF_TEMPLATE or key.startswith(f"{_GGUF_TEMPLATE}.")):
            templates[key.removeprefix(_GGUF_TEMPLATE).removeprefix(".") or DEFAULT] = value
    tokens = values.get("tokenizer.ggml.tokens")
    roles = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}
    named = {}
    for role, name in roles.items():
        token = values.get(f"tokenizer.ggml.{role}_token_id")
        if type(token) is int and isinstance(tokens, list) and 0 <= token < len(tokens):
            named[name] = str(tokens[token])
    return Published(templates, named)


def ends_in_gguf(values: Mapping[str, Any], size: int) -> tuple[int, ...]:
    """The tokens that end what is generated, of `size`: end of sequence, of turn and of message."""
    said = [values.get(f"tokenizer.ggml.{role}_token_id") for role in _GGUF_ENDS]
    return tuple(dict.fromkeys(one for one in said if type(one) is int and 0 <= one < size))
