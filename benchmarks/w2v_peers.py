"""What runs in the peers' Python: gensim and fastText train as their documentation says; word2vec's binary file.

w2v_peers.py gensim|fasttext TEXT OUT SETTINGS(JSON)
"""

import json
import sys

import numpy as np


def gensim(text: str, out: str, told: dict) -> None:
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=told["dim"], window=told["window"], negative=told["negatives"], sample=told["sample"],
        min_count=told["min_count"], workers=told["threads"], sg=int(told["arch"] == "skipgram"), alpha=told["lr"],
        epochs=told["epochs"], seed=told["seed"], corpus_file=text,
    )  # fmt: skip
    model.wv.save_word2vec_format(out, binary=True)


def fasttext(text: str, out: str, told: dict) -> None:
    import fasttext as peer

    model = peer.train_unsupervised(
        text, model=told["arch"], dim=told["dim"], ws=told["window"], neg=told["negatives"], t=told["sample"],
        minCount=told["min_count"], thread=told["threads"], lr=told["lr"], epoch=told["epochs"], minn=0, maxn=0,
        bucket=1, verbose=0,
    )  # fmt: skip
    words = [word for word in model.get_words() if word != "</s>"]
    with open(out, "wb") as file:
        file.write(f"{len(words)} {told['dim']}\n".encode())
        for word in words:
            file.write(word.encode() + b" " + model.get_word_vector(word).astype(np.float32).tobytes())


def main() -> None:
    peer, text, out, told = sys.argv[1:]
    {"gensim": gensim, "fasttext": fasttext}[peer](text, out, json.loads(told))


if __name__ == "__main__":
    main()
