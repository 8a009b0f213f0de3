"""SentencePiece models of every kind, trained on a little prose."""

import tempfile
from functools import cache
from pathlib import Path

from lmkit.data.builtin_text import sentences

PROSE = [*list(sentences())[:700], *["¿Cómo está el niño? «mañana», 1234567 veces… it's ＣＡＦÉ ½ ⅷ  x\t\ty"] * 4]
RULES = {
    "nmt": {"normalization_rule_name": "nmt_nfkc"},
    "folded": {"normalization_rule_name": "nmt_nfkc_cf", "user_defined_symbols": ["<x>", "①", "<sep>", "x"]},
    "bytes": {
        "normalization_rule_name": "nfkc", "byte_fallback": True, "control_symbols": ["<cls>", "②"],
        "user_defined_symbols": ["<x>"],
    },
    "identity": {
        "normalization_rule_name": "identity", "byte_fallback": True, "remove_extra_whitespaces": False,
        "user_defined_symbols": ["<x>", "  "],
    },
    "spaces": {
        "normalization_rule_name": "nmt_nfkc", "add_dummy_prefix": False, "remove_extra_whitespaces": False,
        "split_by_whitespace": False,
    },
    "marks": {"normalization_rule_name": "nmt_nfkc", "user_defined_symbols": ["\u0301", "e"]},
}  # fmt: skip
KINDS = ("unigram", "bpe", "char")


@cache
def model(kind, rule):
    """The file of a model."""
    import sentencepiece

    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder) / "m"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(PROSE), model_prefix=str(stem), minloglevel=2, num_threads=1, model_type=kind,
            vocab_size=420, hard_vocab_limit=False, **RULES[rule],
        )  # fmt: skip
        return stem.with_suffix(".model").read_bytes()


@cache
def processor(kind, rule):
    """sentencepiece's own tokenizer of a model."""
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_proto=model(kind, rule))
