"""Learning a WordPiece vocabulary: words as BERT cuts them, merged by frequency, as Hugging Face's trainer does.

Text is cleaned and split as Devlin et al. (2019) do: control characters are dropped, white space ends words, each
punctuation mark and each Chinese character is a word. Pieces inside words are written with `##`. What is learned is a
tokenizer.json, which the tokenizers library serves: greedy longest match, words that cannot be spelled are `[UNK]`.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import I32, I64, Bool
from lmkit.tokenization.bpe.merge_learning import Words, learn
from lmkit.tokenization.bpe.pretoken_counts import Counter, PretokenCounts
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.huggingface_library import normalizer
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer
from lmkit.tokenization.normalization import FORMS
from lmkit.tokenization.punctuation import separate

NAMES = PAD, UNK, CLS, SEP, MASK = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""Special tokens, ids 0 to 4."""
STRIP_ACCENTS = "strip-accents"
WORDPIECE_FORMS = (*FORMS, STRIP_ACCENTS)
"""Normal forms that text may be brought into; the last one drops the marks of decomposed letters (NFD)."""
LONGEST_WORD = 100
"""Characters of a word, from which on it is unknown."""
ALPHABET = 1000
"""Characters that are spelled at most, the most frequent; words with others are unknown."""
_PREFIX = "##"
_FIRST = b"\0"  # begins pieces at the beginning of words, so that they differ from those inside; no text has it
_STEPS = {"nfc": [{"type": "NFC"}], "nfkc": [{"type": "NFKC"}], "lowercase": [{"type": "Lowercase"}]}
_STEPS[STRIP_ACCENTS] = [{"type": "NFD"}, {"type": "StripAccents"}]


def normalizer_steps(forms: Sequence[str]) -> list[dict[str, Any]]:
    """Return the steps of a normalizer: BERT's own where it knows all forms, else others behind it."""
    own = set(forms) <= {"lowercase", STRIP_ACCENTS}
    bert = {
        "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
        "strip_accents": own and STRIP_ACCENTS in forms, "lowercase": own and "lowercase" in forms,
    }  # fmt: skip
    return [bert] if own else [bert, *(step for form in forms for step in _STEPS[form])]


class WordCounter:
    """Counts the words of blocks of whole lines."""

    def __init__(self, forms: Sequence[str]) -> None:
        self._counter = Counter(Scheme(level="char", pattern="whitespace"))
        self._normalize = normalizer(normalizer_steps(forms)).normalize_str

    def add(self, block: bytes) -> None:
        """Count a block's words."""
        normal: str = self._normalize(block.decode())
        self._counter.add(self._counter.scan(separate(normal.encode() + b"\n", keep_names=False)))

    def total(self) -> PretokenCounts:
        """Return all that was counted."""
        return self._counter.total()


def fit(
    counts: PretokenCounts, size: int, forms: Sequence[str], *, minimum: int = 1, special: Sequence[str] = (),
    progress: Callable[[int], None] = lambda _done: None,
) -> HuggingFaceTokenizer:  # fmt: skip
    """Return a tokenizer of exactly `size` pieces: special tokens, characters, the same inside words, merges.

    The pair of adjacent pieces with the highest count is merged, again and again; of pairs with equal counts the one
    with the lower ids. Raises DataError, with what can be reached, where the size can't be.
    """
    names = [*NAMES, *special]
    characters, words = _spelled_words(counts, len(names))
    pieces = [*(name.encode() for name in names), *characters]
    if size < len(pieces):
        raise DataError(
            f"a vocabulary of {size} can't hold {len(names)} special tokens and {len(characters)} characters at the "
            "beginning of words and inside",
            hint=f"--vocab-size {len(pieces)} or more",
        )
    symbols = {piece: token for token, piece in enumerate(pieces[len(names) :], len(names))}
    learned = learn(words, pieces, symbols, size, minimum, first_seen=False, told=progress)
    reached = len(pieces) + len(learned.pieces)
    if reached < size:
        raise DataError(
            f"a vocabulary of {size} can't be reached: this text has merges for {reached}",
            hint=f"--vocab-size {reached}" + (", or a lower --min-frequency" if minimum > 1 else ", or more text"),
        )
    written = [_written(piece) for piece in (*pieces[len(names) :], *learned.pieces)]
    return HuggingFaceTokenizer.from_json(tokenizer_json(names, written, forms), {})


def _written(piece: bytes) -> str:
    return (piece.removeprefix(_FIRST) if piece.startswith(_FIRST) else _PREFIX.encode() + piece).decode()


def _spelled_words(counts: PretokenCounts, first: int) -> tuple[list[bytes], Words]:
    """Return the characters, by code point, then those seen inside words, and the words in them, numbered from `first`.

    Raises DataError where no word is left.
    """
    points = np.frombuffer(counts.blob.tobytes().decode().encode("utf-32-le"), dtype="<i4")
    ends = np.append(0, np.cumsum((counts.blob & 0xC0) != 0x80))[counts.offsets]
    lengths: I64 = np.diff(ends)
    seen, inverse = np.unique(points, return_inverse=True)
    frequency = np.bincount(inverse, np.repeat(counts.counts, lengths), minlength=len(seen))
    kept = np.sort(np.lexsort((seen, -frequency))[:ALPHABET])
    usable: Bool = (lengths <= LONGEST_WORD) & np.logical_and.reduceat(np.isin(inverse, kept), ends[:-1])
    if not usable.any():
        raise DataError(f"no words to learn from: all are longer than {LONGEST_WORD} characters")
    inner = np.ones(len(points), dtype=np.bool_)
    inner[ends[:-1]] = False
    spelled = np.repeat(usable, lengths)
    inside = np.intersect1d(kept, inverse[spelled & inner])
    begins = first + np.searchsorted(kept, inverse)
    continues = first + len(kept) + np.searchsorted(inside, inverse)
    symbols: I32 = np.where(inner, continues, begins)[spelled].astype(np.int32)
    characters = [_FIRST + chr(point).encode() for point in seen[kept].tolist()]
    characters += [chr(point).encode() for point in seen[inside].tolist()]
    return characters, Words(symbols, lengths[usable], counts.counts[usable])


def tokenizer_json(names: Sequence[str], pieces: Sequence[str], forms: Sequence[str]) -> bytes:
    """Return a tokenizer.json of BERT's kind: special tokens first, then pieces, in the order of their ids."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    steps = normalizer_steps(forms)
    document = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": token, "content": name, **plain} for token, name in enumerate(names)],
        "normalizer": steps[0] if len(steps) == 1 else {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _pair_template(),
        "decoder": {"type": "WordPiece", "prefix": _PREFIX, "cleanup": True},
        "model": {
            "type": "WordPiece", "unk_token": UNK, "continuing_subword_prefix": _PREFIX,
            "max_input_chars_per_word": LONGEST_WORD,
            "vocab": {piece: token for token, piece in enumerate((*names, *pieces))},
        },
    }  # fmt: skip
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _pair_template() -> dict[str, Any]:
    """Return what is put around one text and two: `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, B in segment 1."""

    def special(name: str, segment: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": segment}}

    def text(name: str, segment: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": segment}}

    single = [special(CLS, 0), text("A", 0), special(SEP, 0)]
    known = {name: {"id": name, "ids": [NAMES.index(name)], "tokens": [name]} for name in (CLS, SEP)}
    return {
        "type": "TemplateProcessing", "single": single,
        "pair": [*single, text("B", 1), special(SEP, 1)], "special_tokens": known,
    }  # fmt: skip
