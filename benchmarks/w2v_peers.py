"""What runs in the peers' Python: gensim and fastText train as their documentation says, with one thread count for all.

w2v_peers.py gensim|fasttext TEXT OUT.npz SETTINGS(JSON)
"""

import json
import sys

import numpy as np


def gensim(text: str, told: dict) -> tuple[list[str], np.ndarray]:
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=told["dim"], window=told["window"], negative=told["negatives"], sample=told["sample"],
        min_count=told["min_count"], workers=told["threads"], sg=int(told["arch"] == "skipgram"), alpha=told["lr"],
        epochs=told["epochs"], seed=told["seed"], corpus_file=text,
    )  # fmt: skip
    return model.wv.index_to_key, model.wv.vectors


def fasttext(text: str, told: dict) -> tuple[list[str], np.ndarray]:
    import fasttext as peer

    model = peer.train_unsupervised(
        text, model=told["arch"], dim=told["dim"], ws=told["window"], neg=told["negatives"], t=told["sample"],
        minCount=told["min_count"], thread=told["threads"], lr=told["lr"], epoch=told["epochs"], minn=0, maxn=0,
        bucket=1, verbose=0,
    )  # fmt: skip
    words = [word for word in model.get_words() if word != "</s>"]
    return words, np.stack([model.get_word_vector(word) for word in words])


def main() -> None:
    peer, text, out, told = sys.argv[1:]
    words, vectors = {"gensim": gensim, "fasttext": fasttext}[peer](text, json.loads(told))
    np.savez(out, words=np.array([word.encode() for word in words]), vectors=vectors)


if __name__ == "__main__":
    main()
