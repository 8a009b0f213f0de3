r"""SentencePiece models, BPE, unigram and characters, as a tokenizer.json.

lmkit itself puts text into normal form, as the model says under the key `sentencepiece` of the
normalizer, and encodes it as if control and byte pieces were not in the vocabulary: see
`normalizers`, `reserved`. Ids are those of sentencepiece, but that of two unigram segmentations
equally good but for rounding either may win, and that a control piece of one character is
never found in text. What other programs read in the document is nearly the same: its normalizers
and cuts are those of the tokenizers library, which maps characters by grapheme.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmkit.errors import CheckpointError
from lmkit.tokenization.charsmap import Charsmap
from lmkit.tokenization.formats import protobuf
from lmkit.tokenization.huggingface_library import normalizer
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer
from lmkit.tokenization.normalizers import META
from lmkit.tokenization.reserved_tokens import EXACT

WHAT = "a SentencePiece model"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
UNIGRAM, BPE, WORD, CHAR = range(1, 5)
LONGEST = 1024  # characters of a piece
_FOREIGN = "\U0010fffc"  # a private character behind pieces that no text is made of
_USUAL = ("<pad>", "<s>", "</s>")
_SPECIAL = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
_STAND_IN = 0xF0000  # private characters that user-defined pieces hide behind while text is normalised


@dataclass
class Model:
    """What a model file says. `pieces`: text, score and type of each id."""

    pieces: list[tuple[str, float, int]] = field(default_factory=list)
    algorithm: int = UNIGRAM
    byte_fallback: bool = False
    suffix: bool = False
    charsmap: bytes = b""
    prefix: bool = True
    tidy: bool = True
    escape: bool = True
    denormalizes: bool = False
    names: dict[str, str] = field(default_factory=lambda: {"unk": "<unk>", "bos": "<s>", "eos": "</s>"})

    def of(self, *kinds: int) -> list[str]:
        """Pieces of the given types."""
        return [piece for piece, _, kind in self.pieces if kind in kinds]


def parse(data: bytes) -> Model:
    """The model in a file. Raises CheckpointError for other files."""
    model = Model()
    try:
        for number, value in protobuf.fields(data):
            if number in (1, 2, 3):
                if not isinstance(value, bytes):
                    raise ValueError("a part that is no message")
                (_piece, _trainer, _normalizer)[number - 1](model, value)
            elif number == 5 and isinstance(value, bytes):
                model.denormalizes = any(field == 2 and content for field, content in protobuf.fields(value))
    except (ValueError, UnicodeDecodeError) as error:
        raise CheckpointError(f"not {WHAT}, or a damaged one: {error}") from None
    if not model.pieces:
        raise CheckpointError(f"not {WHAT}: it has no pieces")
    return model


def _piece(model: Model, data: bytes) -> None:
    piece, score, kind = "", 0.0, NORMAL
    for number, value in protobuf.fields(data):
        if number == 1:
            piece = protobuf.text(value)
        elif number == 2:
            score = protobuf.single(value)
        elif number == 3:
            kind = protobuf.number(value)
    if not piece or not NORMAL <= kind <= BYTE or not abs(score) < 1e30:
        raise ValueError(f"piece {len(model.pieces)} is invalid")
    model.pieces.append((piece, score, kind))


def _trainer(model: Model, data: bytes) -> None:
    roles = {45: "unk", 46: "bos", 47: "eos"}
    for number, value in protobuf.fields(data):
        if number == 3:
            model.algorithm = protobuf.number(value)
        elif number == 24:
            model.suffix = bool(protobuf.number(value))
        elif number == 35:
            model.byte_fallback = bool(protobuf.number(value))
        elif number in roles:
            model.names[roles[number]] = protobuf.text(value)


def _normalizer(model: Model, data: bytes) -> None:
    for number, value in protobuf.fields(data):
        if number == 2:
            model.charsmap = value if isinstance(value, bytes) else b""
        elif number == 3:
            model.prefix = bool(protobuf.number(value))
        elif number == 4:
            model.tidy = bool(protobuf.number(value))
        elif number == 5:
            model.escape = bool(protobuf.number(value))


def read(data: bytes) -> HuggingFaceTokenizer:
    """The tokenizer of a model. Raises CheckpointError for other files, or where tokenizer.json can't say it."""
    model = parse(data)
    text = json.dumps(checked_document(model), ensure_ascii=False, indent=1) + "\n"
    return HuggingFaceTokenizer.from_json(text.encode(), dict(model.names))


def read_with_names(data: bytes, names: Sequence[str]) -> HuggingFaceTokenizer:
    """The tokenizer of a model with special tokens behind its pieces, as T5 has `<extra_id_0>`. Raises as `read`."""
    model = parse(data)
    _check(model)
    made = document(model)
    count = len(model.pieces)
    made["added_tokens"] += [{"id": count + place, "content": name, **_SPECIAL} for place, name in enumerate(names)]
    return HuggingFaceTokenizer.from_json(json.dumps(made, ensure_ascii=False).encode(), dict(model.names))


def read_numbered(data: bytes, ids: Mapping[str, int]) -> HuggingFaceTokenizer:
    """The tokenizer of a model whose pieces have other ids, as Marian's vocab.json says; ids are 0 and up.

    Pieces in `ids` that the model has not spell text, but text never becomes them, save single characters that the
    model would not know, and those of the form `>>name<<`, which say the language of a target. Pieces of the model
    without an id are not used. Raises CheckpointError as `read` does, and where ids have gaps or no unknown token.
    """
    model = parse(data)
    unknown = model.of(UNKNOWN)
    if sorted(ids.values()) != list(range(len(ids))) or not unknown or unknown[0] not in ids:
        raise CheckpointError("its ids are not those of tokens from 0 up, with one for unknown ones")
    own = {piece: (score, kind) for piece, score, kind in model.pieces}
    lowest = min(score for score, _ in own.values())
    languages = [piece for piece in ids if piece.startswith(">>") and piece.endswith("<<")]
    pieces: list[tuple[str, float, int]] = []
    for piece in sorted(ids, key=ids.__getitem__):
        if piece in own:
            pieces.append((piece, *own[piece]))
        elif piece in languages or piece in _USUAL:
            pieces.append((piece, 0.0, CONTROL))
        else:
            pieces.append((piece, lowest - 10, NORMAL) if len(piece) == 1 else (piece + _FOREIGN, lowest, NORMAL))
    model.pieces = pieces
    _check(model)
    made = document(model)
    for token in made["added_tokens"]:
        if token["content"] in languages:
            token["special"] = False
    made["decoder"]["decoders"].insert(0, _replace(_FOREIGN, "", regex=False))
    return HuggingFaceTokenizer.from_json(json.dumps(made, ensure_ascii=False).encode(), dict(model.names))


def checked_document(model: Model) -> dict[str, Any]:
    """The model as a tokenizer.json. Raises CheckpointError for what can't be said in one."""
    _check(model)
    return document(model)


def _check(model: Model) -> None:
    """Raises CheckpointError for what can't be said in a tokenizer.json."""
    texts = [piece for piece, _, _ in model.pieces]
    if len(set(texts)) != len(texts):
        raise CheckpointError(f"a damaged {WHAT[2:]}: a piece occurs twice")
    if max(map(len, texts)) > LONGEST:
        raise CheckpointError(f"a piece has more than {LONGEST} characters")
    if len(model.of(UNKNOWN)) != 1:
        raise CheckpointError(f"a damaged {WHAT[2:]}: {len(model.of(UNKNOWN))} unknown pieces where there is one")
    if model.algorithm not in (UNIGRAM, BPE, CHAR):
        raise CheckpointError("a SentencePiece model of words or of a newer kind; lmkit takes BPE, unigram and char")
    for said, what in (
        (model.suffix, "spaces behind words"), (not model.escape, "spaces that are not escaped"),
        (bool(model.of(UNUSED)), "unused pieces"), (model.denormalizes, "a character map for decoding"),
    ):  # fmt: skip
        if said:
            raise CheckpointError(f"a SentencePiece model with {what}, which tokenizer.json can't say")
    if model.charsmap:
        Charsmap(model.charsmap)
    if model.byte_fallback and set(model.of(BYTE)) != {f"<0x{byte:02X}>" for byte in range(256)}:
        raise CheckpointError(f"a damaged {WHAT[2:]}: bytes are missing to fall back on")


def document(model: Model) -> dict[str, Any]:
    """The model as a tokenizer.json."""
    special = [
        {"id": number, "content": piece, **_SPECIAL}
        for number, (piece, _, kind) in enumerate(model.pieces)
        if kind in (UNKNOWN, CONTROL)
    ]  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(model), EXACT: _said(model)},
        "pre_tokenizer": _pre_tokenizer(model), "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": _decoders(model)},
        "model": _unigram(model) if model.algorithm == UNIGRAM else _bpe(model),
    }  # fmt: skip


def _said(model: Model) -> dict[str, Any]:
    """What the model says of its normalizer besides its character map: see `SentencePieceNormalizer`."""
    return {"prefix": model.prefix, "tidy": model.tidy, "user_defined": model.of(USER_DEFINED)}


def _replace(pattern: str, content: str, *, regex: bool = True) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex" if regex else "String": pattern}, "content": content}


def _normalizers(model: Model) -> list[dict[str, Any]]:
    own: list[dict[str, Any]] = []
    if model.charsmap:
        own.append({"type": "Precompiled", "precompiled_charsmap": base64.b64encode(model.charsmap).decode()})
    if model.tidy:
        own += [_replace(r"\A +", ""), _replace(" {2,}", " ")]
    steps = _around(_protected(model, own), own)
    if model.prefix:
        steps.append({"type": "Prepend", "prepend": META})
    steps.append(_replace(" ", META, regex=False))
    if model.tidy:
        steps.append(_replace(f"{META}+\\z", ""))
    return steps


def _protected(model: Model, steps: list[dict[str, Any]]) -> list[str]:
    """User-defined pieces that the steps would change and SentencePiece leaves alone."""
    pieces = model.of(USER_DEFINED)
    if not pieces or not steps:
        return []
    library = normalizer(steps)
    return [piece for piece in pieces if library.normalize_str(piece) != piece]


def _around(pieces: list[str], steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps with some pieces hidden from them."""
    pieces = sorted(pieces, key=len, reverse=True)
    hidden = [(piece, chr(_STAND_IN + number)) for number, piece in enumerate(pieces)]
    return [
        *(_replace(piece, character, regex=False) for piece, character in hidden),
        *steps,
        *(_replace(character, piece, regex=False) for piece, character in hidden),
    ]


def _pre_tokenizer(model: Model) -> dict[str, Any] | None:
    """Cuts that no piece crosses.

    User-defined pieces of BPE stand alone. Names of pieces that text never becomes are cut
    in two, since the library would find them. Where spaces begin
    pieces and are nowhere else in them, text is cut in front of spaces, to be quick.
    """
    cuts: list[dict[str, Any]] = []
    user = sorted(model.of(USER_DEFINED), key=len, reverse=True)
    if user and model.algorithm != UNIGRAM:
        cuts.append(_split("|".join(map(_quoted, user))))
    hidden = [name for name in model.of(UNKNOWN, CONTROL, BYTE) if len(name) > 1]
    if model.algorithm == UNIGRAM or user:
        known = set(model.of(NORMAL))
        cuts.append(_split("|".join(_inside(name, known) for name in hidden)))
    if not any(META in piece[1:] for piece in model.of(NORMAL, USER_DEFINED)):
        cuts.append({**_split(""), "pattern": {"String": META}, "behavior": "MergedWithNext"})
    return {"type": "Sequence", "pretokenizers": cuts} if cuts else None


def _inside(name: str, known: set[str]) -> str:
    """An expression for the place where a name is cut: not between two unknown characters, which are one token."""
    places = range(1, len(name))
    cut = next((place for place in places if not known.isdisjoint(name[place - 1 : place + 1])), 1)
    return f"(?<={_quoted(name[:cut])})(?={_quoted(name[cut:])})"


def _quoted(text: str) -> str:
    """Text as part of a regular expression that means just this text."""
    return re.sub(r"([^\w\s]|_)", r"\\\1", text, flags=re.ASCII) if text.isascii() else re.escape(text)


def _split(expression: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


def _decoders(model: Model) -> list[dict[str, Any]]:
    fallback = [{"type": "ByteFallback"}] if model.byte_fallback else []
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if model.prefix else []
    return [_replace(META, " ", regex=False), *fallback, {"type": "Fuse"}, *strip]


def _unigram(model: Model) -> dict[str, Any]:
    """User-defined pieces score better than all others that spell the same (`length` bytes of the best score)."""
    best = max((score for _, score, kind in model.pieces if kind == NORMAL), default=0.0)
    vocabulary = [
        [piece, len(piece.encode()) * best - 0.1 if kind == USER_DEFINED else score]
        for piece, score, kind in model.pieces
    ]
    unknown = next(number for number, piece in enumerate(model.pieces) if piece[2] == UNKNOWN)
    return {"type": "Unigram", "unk_id": unknown, "vocab": vocabulary, "byte_fallback": model.byte_fallback}


def _bpe(model: Model) -> dict[str, Any]:
    return {
        "type": "BPE", "dropout": None, "unk_token": model.of(UNKNOWN)[0], "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": model.byte_fallback,
        "ignore_merges": bool(model.of(USER_DEFINED)),
        "vocab": {piece: number for number, (piece, _, _) in enumerate(model.pieces)},
        "merges": [list(pair) for pair in merges_of(model)],
    }  # fmt: skip


def merges_of(model: Model) -> list[tuple[str, str]]:
    """The last merge of each piece, by score: no other ever makes it, see `tiktoken`.

    Raises CheckpointError where two pieces have the same score, so that their order is not said.
    """
    if model.algorithm == CHAR:
        return []
    scores = {piece: score for piece, score, kind in model.pieces if kind == NORMAL}
    merges: list[tuple[str, str]] = []
    by_score: dict[float, str] = {}
    for piece in sorted(scores, key=lambda piece: -scores[piece]):
        parts = _last_parts(piece, scores)
        if parts is None:
            continue
        if by_score.setdefault(scores[piece], piece) != piece:
            raise CheckpointError(
                f"{by_score[scores[piece]]!r} and {piece!r} have the same score; tokenizer.json needs an order"
            )
        merges.append(parts)
    return merges


def _last_parts(piece: str, scores: Mapping[str, float]) -> tuple[str, str] | None:
    """The two pieces that a piece's own characters come to before they are one; None where they never do."""
    parts = list(piece)
    while len(parts) > 2:
        best, place = None, -1
        for index in range(len(parts) - 1):
            score = scores.get(parts[index] + parts[index + 1])
            if score is not None and (best is None or score > best):
                best, place = score, index
        if best is None:
            return None
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 else None
