"""GPT-2's pair of files: vocab.json, visible tokens to ids, and merges.txt, a pair of them a line."""

import json
import re

from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.formats.tokenizer_json_writer import spell, spelled_merges
from lmkit.tokenization.formats.vocab_and_merges import byte_level, check_ids, is_name, parse_json, roles

_VERSION = "#version: 0.2"


def read_vocabulary(data: bytes) -> dict[str, int]:
    """Ids of a vocab.json. Raises CheckpointError for other files."""
    ids = parse_json(data, "a vocab.json")
    if isinstance(ids.get("model"), dict):
        raise CheckpointError("not a vocab.json: a tokenizer.json", hint="it needs no merges.txt beside it")
    check_ids(ids)
    return ids


def read_pairs(data: bytes, what: str = "a merges.txt") -> tuple[str | None, list[tuple[str, str]]]:
    """The version in the first line, if it is there, and the pairs. Raises CheckpointError naming the line."""
    try:
        lines = data.decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"not {what}: line {data.count(10, 0, error.start) + 1} is not UTF-8") from None
    version = lines[0].removeprefix("#version:").strip() if lines[0].startswith("#version:") else None
    if version is not None and not re.fullmatch(r"[0-9.]{1,9}", version):
        raise CheckpointError(f"not {what}: line 1 says version {version[:20]!r}")
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line or (number == 1 and version is not None):
            continue
        left, _, right = line.rstrip(" ").partition(" ")
        if not left or not right or " " in right:
            raise CheckpointError(f"not {what}: line {number} is not two tokens with a space between")
        pairs.append((left, right))
    return version, pairs


def read(vocabulary: dict[str, int], pairs: list[tuple[str, str]], pattern: str = "gpt2") -> BPETokenizer:
    """The tokenizer of both files; names in brackets that no merge makes are special tokens.

    Raises CheckpointError where they do not belong together.
    """
    made = {left + right for left, right in pairs}
    names = {
        token: number for token, number in vocabulary.items() if is_name(token) and len(token) > 2 and token not in made
    }
    if not pairs and len(vocabulary) > 256 + len(names):
        raise CheckpointError("merges.txt has no merges, the vocabulary has tokens that they make")
    return byte_level(vocabulary, pairs, names, Scheme(pattern=pattern), roles(vocabulary, {}))


def write(tokenizer: Tokenizer) -> tuple[bytes, bytes]:
    """A vocab.json and a merges.txt. Raises CheckpointError for anything but plain byte-level BPE."""
    if not isinstance(tokenizer, BPETokenizer) or tokenizer.scheme.level != "byte":
        raise CheckpointError("vocab.json and merges.txt hold byte-level BPE only", hint="try --format tokenizer.json")
    if tokenizer.scheme.whole_first or tokenizer.scheme.normalize:
        what = "normalisation" if tokenizer.scheme.normalize else "that whole pre-tokens come before merges"
        raise CheckpointError(f"vocab.json and merges.txt can't say {what}", hint="try --format tokenizer.json")
    spelled = spell(tokenizer)
    ids = {token: number for number, token in enumerate(spelled) if token is not None}
    lines = [_VERSION, *(f"{left} {right}" for left, right in spelled_merges(tokenizer, spelled)), ""]
    return (json.dumps(ids, ensure_ascii=False) + "\n").encode(), "\n".join(lines).encode()
