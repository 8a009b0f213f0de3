"""Models whose numbers are random, over tokens of every kind."""

import json
import zlib
from functools import cache

import numpy as np

from lmkit.data.builtin_text import sentences
from lmkit.data.sequences import TextFormat
from lmkit.tokenization.bpe.pretoken_counts import Counter
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.trainer import fit
from lmkit.tokenization.formats import tokenizer_json
from lmkit.tokenization.tokenizers import ByteTokenizer, from_list

PROSE = "".join(sentence + "\n" for sentence in list(sentences())[:300]).encode()
LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789{}[]",:. -_éñ😀'
WORDS = ["the", "cat", "dog", "sat", "a", "b", "ab", "0", "01", "niña", "😀", "no", "not"]
PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
NAMES = ["<unk>", "<s>", "</s>"]


def learned(scheme):
    counter = Counter(scheme)
    counter.add(counter.scan(PROSE))
    alphabet = 256 if scheme.level == "byte" else len(set(PROSE.decode()) - set(" \n"))
    return fit(counter.total(), 3 + 2 * alphabet + 60)


def foreign(model, decoder, **more):
    added = [{"id": number, "content": name, **PLAIN} for number, name in enumerate(NAMES)]
    document = {"version": "1.0", "added_tokens": added, "model": model, "decoder": decoder, **more}
    return tokenizer_json.read(json.dumps(document).encode())


def bpe_of(pieces, **more):
    return {"type": "BPE", "vocab": {piece: token for token, piece in enumerate(pieces)}, "merges": [], **more}


def llama():
    pieces = [*NAMES, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *LETTERS, *(f"▁{word}" for word in WORDS)]
    parts = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]  # fmt: skip
    return foreign(bpe_of(dict.fromkeys(pieces), byte_fallback=True), {"type": "Sequence", "decoders": parts})


def metaspace():
    pieces = dict.fromkeys([*NAMES, "▁", *LETTERS.replace(" ", ""), *(f"▁{word}" for word in WORDS)])
    model = {"type": "Unigram", "unk_id": 0, "vocab": [[piece, -1.0] for piece in pieces]}
    return foreign(model, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True})


def word_pieces():
    pieces = dict.fromkeys([*NAMES, *LETTERS.replace(" ", ""), *(f"##{c}" for c in LETTERS if c != " "), *WORDS])
    model = {
        "type": "WordPiece", "vocab": {piece: token for token, piece in enumerate(pieces)}, "unk_token": "<unk>",
        "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
    }  # fmt: skip
    return foreign(model, {"type": "WordPiece", "prefix": "##", "cleanup": True})


def marked():
    pieces = dict.fromkeys([*NAMES, *LETTERS.replace(" ", ""), *(f"{c}</w>" for c in LETTERS if c != " ")])
    model = bpe_of([*pieces, *(f"{word}</w>" for word in WORDS if len(word) > 1)], end_of_word_suffix="</w>")
    return foreign(model, {"type": "BPEDecoder", "suffix": "</w>"}, pre_tokenizer={"type": "WhitespaceSplit"})


MAKERS = {
    "word": lambda: from_list("word", [word.encode() for word in WORDS]),
    "char": lambda: from_list("char", [c.encode() for c in LETTERS]),
    "byte": ByteTokenizer,
    "bpe-byte": lambda: learned(Scheme()),
    "bpe-char": lambda: learned(Scheme(level="char", pattern="whitespace", end_of_word="</w>")),
    "llama": llama, "metaspace": metaspace, "word-pieces": word_pieces, "marked": marked,
}  # fmt: skip
SPELLS_LETTERS = tuple(name for name in MAKERS if name not in ("word", "bpe-char"))
"""Those that spell any text of LETTERS without a space at its ends or two side by side."""


@cache
def tokenizer(name):
    return MAKERS[name]()


class RandomModel:
    """Each token of a text makes the next distribution another one."""

    normalised = True

    def __init__(self, name, by="line", seed=0, end=True, sharpness=3.0):
        self.tokenizer = tokenizer(name)
        form = TextFormat.of(by, self.tokenizer)
        self.form = form if end else TextFormat("stream", form.start, None, None)
        self._seed, self._sharpness = seed, sharpness

    def start(self):
        return ()

    def advance(self, state, token):
        return (*state, int(token))

    def next(self, state):
        key = zlib.crc32(np.array([self._seed, *state], dtype=np.int64).tobytes())
        logs = self._sharpness * np.random.default_rng(key).normal(size=self.tokenizer.size)
        return logs - np.log(np.exp(logs).sum())
