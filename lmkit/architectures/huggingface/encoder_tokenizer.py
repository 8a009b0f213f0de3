"""The tokenizer in a folder of an encoder: a tokenizer.json, or the older files that say less, as one.

BERT's vocab.txt lists word pieces; RoBERTa's vocab.json and merges.txt are GPT-2's byte-level BPE with other special
tokens; XLM-R's sentencepiece.bpe.model is a unigram model whose ids are moved by one, with four special tokens in
front and the mask behind (Conneau et al. 2020, after fairseq). A mask takes the space in front of it there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lmkit.architectures import published_settings
from lmkit.architectures.huggingface import folder
from lmkit.architectures.published_settings import TOKENIZER, Files, json_in
from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.formats import gpt2, sentencepiece
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer

WORDS, VOCABULARY, MERGES, UNIGRAM = "vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model"
ROLES = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")
_ROBERTA = ("RobertaTokenizer", "BartTokenizer", "LongformerTokenizer")
_XLM_ROBERTA = ("<s>", "<pad>", "</s>", "<unk>"), "<mask>"
"""Names of the ids in front and of the last one."""
_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def read(files: Files) -> Tokenizer:
    """Return the tokenizer. Raises CheckpointError where there is none that can be used."""
    if folder.TOKENIZER in files:
        return folder.read_tokenizer(files)
    said = json_in(files, TOKENIZER)
    if WORDS in files:
        return HuggingFaceTokenizer.from_json(_word_pieces(files, said), said)
    if UNIGRAM in files:
        return HuggingFaceTokenizer.from_json(_unigram(files), said)
    if {VOCABULARY, MERGES} <= set(files) and str(said.get("tokenizer_class", _ROBERTA[0])).startswith(_ROBERTA):
        return HuggingFaceTokenizer.from_json(_byte_level(files, said), said)
    return folder.read_tokenizer(files)


def _names(said: Mapping[str, Any], usual: Sequence[str]) -> list[str]:
    """The names of ROLES, as tokenizer_config.json says, else the usual ones."""
    return [published_settings.content(said.get(role)) or name for role, name in zip(ROLES, usual, strict=True)]


def _added(ids: Mapping[str, int], names: Sequence[str], mask: str | None = None) -> list[dict[str, Any]]:
    """Special tokens of a tokenizer.json; `mask` is one that takes the white space in front of it."""
    there = sorted({name for name in names if name in ids}, key=ids.__getitem__)
    return [{**_PLAIN, "id": ids[name], "content": name, "lstrip": name == mask} for name in there]


def _json(**parts: Any) -> bytes:
    return json.dumps({"version": "1.0", "truncation": None, "padding": None, **parts}).encode()


def _word_pieces(files: Files, said: Mapping[str, Any]) -> bytes:
    """A vocab.txt as a tokenizer.json: a piece a line, its number the id. Raises CheckpointError for other bytes."""
    try:
        pieces = bytes(files[WORDS]).decode().split("\n")
    except UnicodeDecodeError:
        raise CheckpointError(f"{WORDS}: not UTF-8") from None
    if not pieces[-1]:
        pieces.pop()
    ids = {piece.removesuffix("\r"): number for number, piece in enumerate(pieces)}
    names = _names(said, [f"[{role[:-6].upper()}]" for role in ROLES])
    if names[0] not in ids:
        raise CheckpointError(f"{WORDS}: no piece {names[0]!r} for unknown words")
    return _json(
        added_tokens=_added(ids, names),
        normalizer={
            "type": "BertNormalizer", "clean_text": True, "lowercase": said.get("do_lower_case", True) is True,
            "handle_chinese_chars": said.get("tokenize_chinese_chars", True) is True,
            "strip_accents": said.get("strip_accents"),
        },
        pre_tokenizer={"type": "BertPreTokenizer"}, post_processor=None,
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        model={
            "type": "WordPiece", "unk_token": names[0], "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": ids,
        },
    )  # fmt: skip


def _byte_level(files: Files, said: Mapping[str, Any]) -> bytes:
    """A vocab.json and a merges.txt as a tokenizer.json. Raises CheckpointError where they do not belong together."""
    with folder.about(VOCABULARY):
        ids = gpt2.read_vocabulary(bytes(files[VOCABULARY]))
    with folder.about(MERGES):
        _, pairs = gpt2.read_pairs(bytes(files[MERGES]))
    with folder.about(f"{VOCABULARY} with {MERGES}"):
        gpt2.read(ids, pairs)
    names = _names(said, ("<unk>", "<s>", "</s>", "<pad>", "<mask>"))
    level = {"type": "ByteLevel", "trim_offsets": False, "use_regex": True}
    return _json(
        added_tokens=_added(ids, names, names[-1]), normalizer=None,
        pre_tokenizer={**level, "add_prefix_space": said.get("add_prefix_space", False) is True},
        post_processor=None, decoder={**level, "add_prefix_space": False},
        model={
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": ids,
            "merges": [list(pair) for pair in pairs],
        },
    )  # fmt: skip


def _unigram(files: Files) -> bytes:
    """A sentencepiece.bpe.model as a tokenizer.json with the ids of XLM-R. Raises CheckpointError for other files."""
    first, mask = _XLM_ROBERTA
    with folder.about(UNIGRAM):
        model = sentencepiece.parse(bytes(files[UNIGRAM]))
        own = [kind for _, _, kind in model.pieces[:3]]
        if own != [sentencepiece.UNKNOWN, sentencepiece.CONTROL, sentencepiece.CONTROL]:
            raise CheckpointError("its first pieces are not <unk>, <s> and </s>, as XLM-R has them")
        kinds = (*[sentencepiece.CONTROL] * 3, sentencepiece.UNKNOWN)
        pieces = [(name, 0.0, kind) for name, kind in zip(first, kinds, strict=True)]
        moved = replace(model, pieces=[*pieces, *model.pieces[3:], (mask, 0.0, sentencepiece.CONTROL)])
        document = sentencepiece.checked_document(moved)
    for token in document["added_tokens"]:
        token["lstrip"] = token["content"] == mask
    return json.dumps(document, ensure_ascii=False).encode()
