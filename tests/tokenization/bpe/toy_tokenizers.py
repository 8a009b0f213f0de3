"""Small tokenizers, and the same ones as the tokenizers library has them."""

import json
import unicodedata

import tokenizers
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from lmkit.data.builtin_text import sentences
from lmkit.tokenization.bpe.byte_characters import visible
from lmkit.tokenization.bpe.pretoken_counts import Counter, from_table
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.trainer import fit

EXPRESSIONS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "gpt4": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "whitespace": r" ?\S+|\s+(?!\S)|\s+",
}
"""The published regular expressions of the patterns that are not `none`."""

PROSE = "".join(sentence + "\n" for sentence in sentences()).encode()
CHAR = Scheme(level="char", pattern="whitespace", end_of_word="</w>")
TOY = [b"low 5", b"lower 2", b"newest 6", b"widest 3"]
"""The corpus of Sennrich et al. 2016."""

TELLING = [
    *"aabcsStTdDmMlLvVrReE  \n\n\r\t'''\"..(-1234567",
    *"\u00a0¼²éñÑ¿中\u0301😀\u3000½Ⅷ\u017f\u2028\x1c\x85\0",
    "'s", "'LL", "'re",
]  # fmt: skip
"""Characters on which patterns turn."""
old = st.characters(exclude_categories=["Cs", "Cn"]).filter(lambda c: unicodedata.ucd_3_2_0.category(c) != "Cn")
telling_text = st.lists(st.one_of(st.sampled_from(TELLING), old), max_size=16).map("".join)
"""Text of characters that every version of Unicode in use knows, most of them ones on which patterns turn."""
telling_bytes = st.lists(
    st.one_of(st.sampled_from([part.encode() for part in TELLING]), st.binary(max_size=3)), max_size=16
).map(b"".join)
"""The same with bytes that are not UTF-8."""


def counted(text, scheme):
    """Counts of the pre-tokens of a text."""
    counter = Counter(scheme)
    counter.add(counter.scan(text))
    return counter.total()


def trained(text, merges, scheme=None, special=(), minimum=1):
    """A tokenizer with so many merges learned from a text."""
    counts = counted(text, scheme or Scheme())
    alphabet = 256 if counts.scheme.level == "byte" else len(set(text.decode()) - set(" \n")) + 1
    return fit(counts, 3 + len(special) + alphabet + merges, minimum=minimum, special=special)


def toy(merges=10, special=()):
    """The tokenizer of Sennrich et al. 2016."""
    return fit(from_table(TOY, CHAR), 3 + len(special) + 11 + merges, special=special)


def library(tokenizer):
    """A byte-level tokenizer as the tokenizers library reads it; special tokens left out."""
    names = set(tokenizer.names.values())
    shown = [visible(piece) for piece in tokenizer.vocabulary.pieces()]
    vocabulary = {piece: token for token, piece in enumerate(shown) if token not in names}
    merges = [[shown[left], shown[right]] for left, right, _ in tokenizer.merges.pairs.tolist()]
    made = tokenizers.Tokenizer.from_str(
        json.dumps({
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": None, "post_processor": None, "decoder": {
                "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False
            },
            "model": {
                "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                "vocab": vocabulary, "merges": merges,
            },
        })
    )  # fmt: skip
    steps = [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    if tokenizer.scheme.pattern != "none":
        expression = EXPRESSIONS.get(tokenizer.scheme.pattern, tokenizer.scheme.pattern)
        steps.insert(0, pre_tokenizers.Split(Regex(expression), behavior="isolated"))
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    return made
