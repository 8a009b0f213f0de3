"""Classifiers of texts beside their peers: accuracy on a test file, and CPU seconds of training, start included.

    python benchmarks/classification.py TRAIN.tsv TEST.tsv --rounds 3 [--peers PACKAGES] [--vectors v.lm] [--base MODEL]

Files are TSV of a text and a label. Without a base model: lmkit's bag of n-grams, and the same with vectors, beside
scikit-learn's TF-IDF with logistic regression, and fastText where PACKAGES has it. `--vectors` are word vectors to
begin with. `--base`, once or more, is a model that is tuned with the head alone, by LoRA and as a whole, for one epoch;
`--examples` bounds these to the first lines. Contestants of a round run in turn, on one thread; predictions are not
timed.
"""

import argparse
import os
import statistics
import sys
import tempfile

from measure import Contestant

LMKIT = f"{sys.executable} -m lmkit"


def read(name):
    """Texts and labels."""
    with open(name, encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines]
    return [row[0] for row in rows], [row[-1] for row in rows]


def sklearn_tfidf(train, test):
    """scikit-learn, with what is usual: words and pairs, logarithms of counts, C of 10."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, labels = read(train)
    features = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    model = make_pipeline(features, LogisticRegression(C=10, max_iter=1000)).fit(texts, labels)
    return lambda: list(model.predict(read(test)[0]))


def fasttext_best(train, test, *, epoch=25, words=2, rate=0.5, size=50):
    """fastText's supervised mode, with the best of the settings that were tried."""
    import re

    import fasttext

    def words_of(text):
        return " ".join(re.findall(r"\w+", text.lower()))

    texts, labels = read(train)
    names = sorted(set(labels))
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for text, label in zip(texts, labels, strict=True):
            print(f"__label__{names.index(label)} {words_of(text)}", file=file)
        file.flush()
        model = fasttext.train_supervised(
            file.name, epoch=epoch, wordNgrams=words, lr=rate, dim=size, thread=1, verbose=0
        )

    def guesses():
        found = [model.f.predict(f"{words_of(text)}\n", 1, 0.0, "strict") for text in read(test)[0]]
        return [names[int(one[0][1].removeprefix("__label__"))] if one else names[0] for one in found]

    return guesses


def fasttext_quick(train, test):
    """fastText's defaults."""
    return fasttext_best(train, test, epoch=5, words=1, rate=0.1, size=100)


PEERS = {"scikit-learn TF-IDF": sklearn_tfidf, "fastText": fasttext_quick, "fastText best": fasttext_best}


def inside(name, train, test):
    """Train a peer and print its CPU seconds and its accuracy."""
    guesses = PEERS[name](train, test)
    times = os.times()
    gold = read(test)[1]
    right = sum(one == other for one, other in zip(guesses(), gold, strict=True))
    print(times.user + times.system, right / len(gold))


def own(given, folder):
    """lmkit's contestants: how each is trained, and the options of predict."""
    made = [("lmkit bag", "", ""), ("lmkit bag with vectors", "--dim 32", "")]
    if given.vectors:
        made.append(("lmkit word vectors", f"-m {given.vectors}", ""))
    for base in given.base:
        for mode in ("head", "lora", "all"):
            options = f"-m {base} --pooling mean --epochs 1 --threads 1 --train {mode}"
            made.append(
                (f"{os.path.basename(base)} {mode}", options, f"--adapter {folder}/m.lm" if mode == "lora" else "")
            )
    return made


def measured(name, options, adapter, given, folder):
    """CPU seconds of training, and the accuracy of the model."""
    train = given.train
    if "-m" in options and "--train" in options and given.examples:
        with open(train, encoding="utf-8") as lines, open(f"{folder}/some.tsv", "w", encoding="utf-8") as some:
            some.writelines(line for line, _ in zip(lines, range(given.examples), strict=False))
        train = f"{folder}/some.tsv"
    one = Contestant(name, f"{LMKIT} finetune classify -q {options} {train} -o {folder}/m.lm")
    one.run()
    model = f"-m {options.split()[1]} {adapter}" if adapter else f"-m {folder}/m.lm"
    other = Contestant(
        name, f"{LMKIT} predict -q {model} -b {given.test} | {LMKIT} eval classify -b --gold {given.test}"
    )
    other.run()
    return one.cpu[0], float(other.output)


def peer(name, given):
    done = Contestant(name, f"{sys.executable} {__file__} {given.train} {given.test} --inside '{name}'")
    done.run()
    spent, accuracy = map(float, done.output.split())
    return spent, accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", help="folder of packages with fasttext, for PYTHONPATH")
    parser.add_argument("--vectors", help="word vectors to begin with")
    parser.add_argument("--base", action="append", default=[], help="model to fine-tune")
    parser.add_argument("--examples", type=int, default=0, help="so many for a --base, 0: all")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        inside(given.inside, given.train, given.test)
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": given.peers or "", "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: lambda name=name: peer(name, given) for name in PEERS if given.peers or "fastText" not in name}
        for name, options, adapter in own(given, folder):
            runs[name] = lambda row=(name, options, adapter): measured(*row, given, folder)
        found = {name: [] for name in runs}
        for number in range(given.rounds):
            for name, run in runs.items():
                if number == 0 or not name.startswith((*map(os.path.basename, given.base), "\n")):
                    found[name].append(run())
    print("classifier\taccuracy\ttraining_cpu_s")
    for name, rows in found.items():
        spent, accuracy = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{name}\t{accuracy:.4f}\t{spent:.1f}")


if __name__ == "__main__":
    main()
