"""Reading tokenizer.json of the Hugging Face tokenizers library.

A byte-level BPE that asks for nothing but what lmkit does itself becomes a `BPETokenizer` with
the same ids; every other file is kept as it is and served by that library.
"""

import re
from collections.abc import Mapping
from typing import Any

from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.bpe.byte_characters import BYTE_TO_CHARACTER, CHARACTER_TO_BYTE
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.formats.vocab_and_merges import byte_level, is_name, parse_json, roles
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer

WHAT = "a tokenizer.json"
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_GPT2_LONG = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WHITESPACE = r" ?\S+|\s+(?!\S)|\s+"
_DIGITS = re.compile(r"(?<=\|)\\p\{N\}(?:\{1,([1-9]\d?)\})?(?=\|)")
FORMS = {"NFC": "nfc", "NFKC": "nfkc", "Lowercase": "lowercase"}


class NotNative(Exception):
    """What a file asks for that lmkit leaves to the tokenizers library."""


def read(data: bytes, config: bytes | None = None) -> Tokenizer:
    """The tokenizer of a tokenizer.json, special tokens' roles from a tokenizer_config.json where given.

    Raises CheckpointError for other files.
    """
    document = parse_json(data, WHAT)
    if not isinstance(document.get("model"), dict):
        raise CheckpointError(f"not {WHAT}: it has no model")
    said = said_roles(document["model"], config)
    try:
        return _native(document, said)
    except NotNative:
        return HuggingFaceTokenizer.from_json(data, said)


def why_foreign(data: bytes) -> str | None:
    """What in a file lmkit leaves to the tokenizers library; None where nothing is."""
    try:
        _native(parse_json(data, WHAT), {})
    except NotNative as reason:
        return str(reason)
    return None


def said_roles(model: Mapping[str, Any], config: bytes | None) -> dict[str, str | None]:
    """Names of special tokens by role, as a model and a tokenizer_config.json say."""
    settings = parse_json(config, "a tokenizer_config.json") if config is not None else {}
    said: dict[str, str | None] = {}
    for role in ("unk", "bos", "eos"):
        value = settings.get(f"{role}_token")
        value = value.get("content") if isinstance(value, dict) else value
        said[role] = value if isinstance(value, str) else None
    unknown = model.get("unk_token")
    if said["unk"] is None and isinstance(unknown, str):
        said["unk"] = unknown
    return said


def _native(document: Mapping[str, Any], said: Mapping[str, str | None]) -> BPETokenizer:
    model = document["model"]
    _check_model(model)
    pattern, digits = _pattern(document.get("pre_tokenizer"))
    scheme = Scheme(
        pattern=pattern, digits=digits, normalize=_forms(document.get("normalizer")),
        whole_first=model.get("ignore_merges") is True,
    )  # fmt: skip
    _type_of(document.get("decoder"), "ByteLevel", what="decoder")
    _check_post_processor(document.get("post_processor"))
    tokens, merges = model["vocab"], _merges(model["merges"])
    names = _names(document.get("added_tokens"), tokens, normalized=bool(scheme.normalize))
    _check_vocabulary(tokens, merges, names, scheme)
    return byte_level(tokens, merges, names, scheme, roles({**tokens, **names}, said))


def _check_model(model: Mapping[str, Any]) -> None:
    """Raises NotNative where the model is no plain BPE, CheckpointError where it is damaged."""
    kind = model.get("type", "BPE" if "merges" in model else None)
    if kind != "BPE":
        raise NotNative(f"its model is {kind}")
    if not isinstance(model.get("vocab"), dict) or not isinstance(model.get("merges"), list):
        raise CheckpointError(f"not {WHAT}: its BPE model has no vocabulary or no merges")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise NotNative(f"its model has {key} {model[key]!r}")


def _merges(merges: list[Any]) -> list[tuple[str, str]]:
    """Pairs, whether written as `a b` or as lists."""
    pairs = []
    for number, merge in enumerate(merges, 1):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) and part for part in pair):
            raise CheckpointError(f"merge {number} is not a pair of tokens")
        pairs.append((pair[0], pair[1]))
    return pairs


def _type_of(value: Any, *wanted: str, what: str) -> str:
    """The type of a part of the file. Raises NotNative for others than those wanted."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in wanted:
        raise NotNative(f"its {what} is {kind}")
    return str(kind)


def _parts(value: Any, key: str) -> list[Any]:
    """The members of a sequence."""
    members = value.get(key)
    if not isinstance(members, list):
        raise CheckpointError(f"not {WHAT}: a Sequence has no {key}")
    return members


def _forms(normalizer: Any) -> tuple[str, ...]:
    if normalizer is None:
        return ()
    kind = _type_of(normalizer, *FORMS, "Sequence", what="normalizer")
    if kind != "Sequence":
        return (FORMS[kind],)
    return tuple(form for part in _parts(normalizer, "normalizers") for form in _forms(part))


def _pattern(part: Any) -> tuple[str, int]:
    """The pattern of a pre-tokenizer, and its longest run of digits."""
    digits = Scheme().digits
    if _type_of(part, "ByteLevel", "Sequence", what="pre-tokenizer") == "ByteLevel":
        return ("gpt2" if _splits(part) else "none"), digits
    members = _parts(part, "pretokenizers")
    if len(members) != 2:
        raise NotNative(f"its pre-tokenizer has {len(members)} steps")
    _type_of(members[0], "Split", what="first pre-tokenizer")
    _type_of(members[1], "ByteLevel", what="second pre-tokenizer")
    if _splits(members[1]):
        raise NotNative("its pre-tokenizer splits twice")
    named, digits = _named(_expression(members[0]))
    kept = members[0].get("behavior") == "Isolated"
    complete = named in ("gpt2", "gpt4", "whitespace")  # these leave nothing unmatched that would be dropped
    if not kept and not (complete and members[0].get("behavior") == "Removed" and members[0].get("invert") is True):
        raise NotNative(f"its pre-tokenizer splits {members[0].get('behavior')}")
    return named, digits


def _splits(part: Mapping[str, Any]) -> bool:
    """Whether a ByteLevel splits as GPT-2 does."""
    if part.get("add_prefix_space", True) is not False:
        raise NotNative("its pre-tokenizer puts a space in front")
    return part.get("use_regex", True) is not False


def _expression(split: Mapping[str, Any]) -> str:
    pattern = split.get("pattern")
    expression = pattern.get("Regex") if isinstance(pattern, dict) else None
    if not isinstance(expression, str):
        raise NotNative("its pre-tokenizer splits at a string")
    return expression


def _named(expression: str) -> tuple[str, int]:
    """The pattern that a regular expression is, with its digits; itself for an unknown one."""
    digits = Scheme().digits
    if expression in (GPT2, _GPT2_LONG):
        return "gpt2", digits
    if expression == WHITESPACE:
        return "whitespace", digits
    numbers = _DIGITS.search(expression)
    if numbers and GPT4 % numbers.group() == expression and int(numbers.group(1) or 1) <= 64:
        return "gpt4", int(numbers.group(1) or 1)
    return expression, digits


def _check_post_processor(part: Any) -> None:
    """Raises NotNative for one that does more than put special tokens around."""
    if part is None:
        return
    known = ("ByteLevel", "TemplateProcessing", "RobertaProcessing", "BertProcessing", "Sequence")
    if _type_of(part, *known, what="post-processor") == "Sequence":
        for member in _parts(part, "processors"):
            _check_post_processor(member)


def _names(added: Any, tokens: Mapping[str, Any], *, normalized: bool) -> dict[str, int]:
    """Ids of the added tokens, as the library gives them: those of the vocabulary, else the next ones."""
    names: dict[str, int] = {}
    following = len(tokens)
    raw = set()
    if not isinstance(added, list | None):
        raise CheckpointError(f"not {WHAT}: its added tokens are no list")
    for entry in added or ():
        content = entry.get("content") if isinstance(entry, dict) else None
        if not isinstance(content, str) or not content:
            raise CheckpointError(f"not {WHAT}: an added token has no content")
        if content in names:
            raise NotNative(f"{content!r} is added twice")
        if any(entry.get(key) for key in ("lstrip", "rstrip", "single_word")):
            raise NotNative(f"the added token {content!r} takes white space with it")
        if not (entry.get("special") or is_name(content)):
            raise NotNative(f"the added token {content!r} is an ordinary word")
        raw.add(bool(entry.get("normalized")))
        number = tokens.get(content, following)
        following += content not in tokens
        if entry.get("id") != number:
            raise NotNative(f"the added token {content!r} has an id out of order")
        names[content] = number
    if True in raw and (normalized or False in raw):
        raise NotNative("added tokens are looked for in normalised text")
    return names


def _check_vocabulary(
    tokens: Mapping[str, Any], merges: list[tuple[str, str]], names: Mapping[str, int], scheme: Scheme
) -> None:
    """Raises NotNative where tokens are not all bytes, or text could become an added one without its name."""
    characters = set().union(*tokens)
    if not characters.issuperset(BYTE_TO_CHARACTER) or not tokens.keys() >= set(BYTE_TO_CHARACTER):
        raise NotNative("its vocabulary lacks bytes")
    visible = CHARACTER_TO_BYTE.keys()
    if not visible >= characters:
        for token in tokens:
            if token not in names and not visible >= set(token):
                raise NotNative(f"the token {token!r} is no bytes")
    parts = {part for pair in merges for part in (*pair, "".join(pair))}
    for name in names:
        if name in parts or name in visible or (name in tokens and scheme.whole_first and name.isalnum()):
            raise NotNative(f"the added token {name!r} is an ordinary one as well")
    if scheme.whole_first and scheme.pattern not in ("gpt2", "gpt4") and not names.keys().isdisjoint(tokens):
        raise NotNative("text could become an added token")
