"""Which tool's format a file is in, by its first bytes."""

import re
from collections.abc import Sequence

from lmkit.errors import CheckpointError

TOKENIZER_JSON, GPT2, TIKTOKEN, SENTENCEPIECE, SUBWORD_NMT = (
    "tokenizer.json", "gpt2", "tiktoken", "sentencepiece", "subword-nmt",
)  # fmt: skip
FORMATS = (TOKENIZER_JSON, GPT2, TIKTOKEN, SENTENCEPIECE, SUBWORD_NMT)
_MODEL = re.compile(rb'"model"\s*:\s*\{')
_RANK = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n?")
_PAIR = re.compile(rb"[^ \t\r\n\0]+ [^ \t\r\n\0]+ ?\r?\n?")
_MARK = b"</w>"


def detect(files: Sequence[bytes]) -> str:
    """The format of the given files, of FORMATS. Raises CheckpointError for another format, or half of one."""
    if len(files) == 2:
        return GPT2
    data = files[0]
    if not data:
        raise CheckpointError("empty")
    if is_json(data):
        if _MODEL.search(data):
            return TOKENIZER_JSON
        raise CheckpointError(
            "neither a tokenizer.json, which has a model, nor a vocab.json with its merges.txt beside it",
            hint="name both files, or their folder",
        )
    if _is_sentencepiece(data):
        return SENTENCEPIECE
    first = _first_line(data)
    if first.startswith(b"#version:") or (_PAIR.fullmatch(first) and not _RANK.fullmatch(first)):
        if _MARK in data:
            return SUBWORD_NMT
        raise CheckpointError(
            "pairs without </w>: a merges.txt, whose vocab.json is missing, or no subword-nmt codes",
            hint="name both files, or say --format subword-nmt",
        )
    if _RANK.fullmatch(first):
        return TIKTOKEN
    raise CheckpointError(f"in none of the formats {', '.join(FORMATS)}")


def begins_like_one(start: bytes) -> bool:
    """Whether a file that begins so may be in one of the formats."""
    first = _first_line(start)
    known = first.startswith(b"#version:") or _PAIR.fullmatch(first) or _RANK.fullmatch(first)
    return bool(is_json(start) or _is_sentencepiece(start) or known)


def _first_line(data: bytes) -> bytes:
    return data[: data.find(b"\n") + 1] or data


def _is_sentencepiece(data: bytes) -> bool:
    return data[:1] == b"\x0a" and data[2:3] == b"\x0a" and data[3:4] != b"\x0a"


def is_json(data: bytes) -> bool:
    """Whether a file begins as JSON objects do."""
    return data[:64].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith(b"{")
