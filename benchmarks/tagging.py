"""`lmkit finetune tag` without a model beside sklearn-crfsuite: span F1 and CPU seconds on the same split.

    python benchmarks/tagging.py TRAIN.conll DEV.conll [--tags]

crfsuite has the features of its tutorial (words, affixes, shapes, one neighbour on each side), with --tags parts of
speech from the second column too; 100 iterations of L-BFGS, c1 and c2 of 0.1. Both are scored strictly, by BIO.
"""

import argparse
import time
from collections.abc import Callable

Rows = list[list[tuple[str, ...]]]


def sentences(file: str) -> Rows:
    found: Rows = [[]]
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            columns = tuple(line.split())
            if columns:
                found[-1].append(columns)
            elif found[-1]:
                found.append([])
    return found if found[-1] else found[:-1]


def own(train: Rows) -> Callable[[Rows], list[list[str]]]:
    """The linear tagger."""
    import numpy as np

    from lmkit.linear_models import tagger_training

    names = tuple(sorted({row[-1] for rows in train for row in rows}))
    numbers = {name: number for number, name in enumerate(names)}
    labels = [np.array([numbers[row[-1]] for row in rows]) for rows in train]
    model = tagger_training.train([[row[0] for row in rows] for rows in train], labels, names)
    return lambda found: model.word_labels([[row[0] for row in rows] for rows in found])


def described(rows: list[tuple[str, ...]], place: int, tags: bool) -> dict[str, object]:
    """The features of the tutorial of sklearn-crfsuite."""
    word = rows[place][0]
    found: dict[str, object] = {"bias": 1.0, "s3": word[-3:], "s2": word[-2:], "digit": word.isdigit()}
    for offset in (-1, 0, 1):
        if not 0 <= place + offset < len(rows):
            found["BOS" if offset < 0 else "EOS"] = True
            continue
        other, tag = rows[place + offset][:2]
        found |= {
            f"{offset}:lower": other.lower(),
            f"{offset}:title": other.istitle(),
            f"{offset}:upper": other.isupper(),
        }
        found |= {f"{offset}:tag": tag, f"{offset}:tag2": tag[:2]} if tags else {}
    return found


def theirs(train: Rows, tags: bool) -> Callable[[Rows], list[list[str]]]:
    import sklearn_crfsuite

    def features(found: Rows) -> list[list[dict[str, object]]]:
        return [[described(rows, place, tags) for place in range(len(rows))] for rows in found]

    model = sklearn_crfsuite.CRF(
        algorithm="lbfgs", c1=0.1, c2=0.1, max_iterations=100, all_possible_transitions=True
    ).fit(features(train), [[row[-1] for row in rows] for rows in train])
    return lambda found: [list(labels) for labels in model.predict(features(found))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("dev")
    parser.add_argument("--tags", action="store_true")
    options = parser.parse_args()
    from lmkit.metrics import span_extraction, tagging

    train, dev = sentences(options.train), sentences(options.dev)
    gold = [[row[-1] for row in rows] for rows in dev]
    print("tagger\tf1\tprecision\trecall\ttraining_cpu_s\tprediction_cpu_s")
    for name, make in (("lmkit", own), ("crfsuite", lambda rows: theirs(rows, options.tags))):
        begin = time.process_time()
        predict = make(train)
        trained = time.process_time()
        guesses = predict(dev)
        ended = time.process_time()
        counts = tagging.count(gold, guesses, lambda labels: span_extraction.strict_spans(labels, span_extraction.BIO))
        found = tagging.values(counts)
        numbers = (found["f1"], found["precision"], found["recall"], trained - begin, ended - trained)
        print("\t".join([name, *(f"{number:.4g}" for number in numbers)]), flush=True)


if __name__ == "__main__":
    main()
