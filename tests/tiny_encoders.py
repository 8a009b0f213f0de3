"""Tiny encoders with random weights, over word pieces."""

import json

from random_weights import random_tensors

from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.encoder_model import LoadedEncoder
from lmkit.checkpoint import serialize
from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer

PIECES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ",", ".", "the", "cat", "dog", "sat", "ran", "on", "mat", "tired",
    "wide", "it", "was", "too", "street", "did", "not", "cross", "because", "a", "b", "c", "##s", "##ed", "##ing",
    "##er", "##a", "##b", "##c",
]  # fmt: skip
SMALL = {"layers": 3, "width": 16, "heads": 4, "hidden": 24, "context": 32}
BERT = {**SMALL, "task": "mlm+pair"}
ELECTRA = {**SMALL, "embedding": 8, "pooler": False, "task": "discriminator"}
MODERN = {
    **SMALL, "positions": "rope", "segments": 0, "norm": "pre", "norm_epsilon": 1e-5, "norm_bias": False,
    "activation": "geglu", "bias": False, "pooler": False, "rope_theta": 160000.0, "global_every": 3,
    "local_window": 8, "task": "mlm",
}  # fmt: skip
OURS = {
    **SMALL, "positions": "rope", "segments": 0, "norm": "pre", "normalisation": "rmsnorm", "norm_epsilon": 1e-6,
    "activation": "geglu", "bias": False, "pooler": False, "query_key_norm": True, "task": "mlm", "tied": False,
}  # fmt: skip
SHAPES = {"bert": BERT, "electra": ELECTRA, "modern": MODERN, "ours": OURS}


def tokenizer_json(pieces=PIECES):
    """A tokenizer.json of word pieces, as BERT's."""
    special = [
        {"id": place, "content": name, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False}
        for place, name in enumerate(pieces)
        if name.startswith("[")
    ]  # fmt: skip
    ids = {name: place for place, name in enumerate(pieces)}
    return json.dumps(
        {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": {
                "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                           {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                         {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                         {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                "special_tokens": {
                    name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")
                },
            },
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {
                "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": ids,
            },
        }
    ).encode()  # fmt: skip


def tokenizer():
    """Word pieces."""
    return HuggingFaceTokenizer.from_json(tokenizer_json(), {})


def tiny_encoder(shape="bert", seed=0, **changes):
    """An encoder of one of SHAPES, but for some settings."""
    own = tokenizer()
    settings = EncoderConfig(**{"vocabulary": own.size, **SHAPES[shape], **changes})
    return LoadedEncoder(settings, EncoderFormat.of(own), own, random_tensors(settings, seed))


def encoder_file(shape="bert", **changes):
    """The bytes of a checkpoint of such an encoder."""
    return b"".join(map(bytes, serialize(tiny_encoder(shape, **changes).to_checkpoint({}))))
