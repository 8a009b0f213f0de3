"""Models written by hand."""

import math


def arpa(bigrams):
    """A bigram model in ARPA form: what follows each word, by probability; nothing else may."""
    words = sorted({word for word, following in bigrams.items() for word in (word, *following)} - {"<s>", "</s>"})
    unigrams = [f"-99\t{word}\t0" for word in ("<unk>", "<s>", "</s>", *words)]
    pairs = [
        f"{math.log10(share)!r}\t{word} {other}" for word, following in bigrams.items() for other, share in
        following.items()
    ]  # fmt: skip
    lines = ["\\data\\", f"ngram 1={len(unigrams)}", f"ngram 2={len(pairs)}", "", "\\1-grams:", *unigrams, "",
             "\\2-grams:", *pairs, "", "\\end\\", ""]  # fmt: skip
    return "\n".join(lines).encode()
