"""Writes scikit-learn's handwritten digits as .npz files, and the sentences that a language model reads, to a folder.

The model is to read *soft* words in front of a question, so it is trained on sentences whose first words name a digit
among others. Without such sentences nothing in front of the question could change what it writes.

Needs numpy and scikit-learn: python captions-data.py FOLDER
"""

import os
import sys

import numpy as np
from sklearn.datasets import load_digits

NAMES = "zero one two three four five six seven eight nine".split()
OTHERS = "it saw near a far the there what".split()
QUESTION = "what is in the picture ?"
TRAINING, VALIDATION = 1097, 200
"""The other 500 of 1,797 images are the test."""
SENTENCES = 6000


def main(folder):
    os.makedirs(folder, exist_ok=True)
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    images = (digits.images[order] * 15.9375).astype(np.uint8)  # 0 to 16 becomes 0 to 255
    names = np.array([NAMES[label] for label in digits.target[order]])
    captions = np.array([f"this is the digit {name} ." for name in names])
    parts = {"train": slice(TRAINING), "valid": slice(TRAINING, TRAINING + VALIDATION)}
    parts["test"] = slice(TRAINING + VALIDATION, None)
    for part, chosen in parts.items():
        np.savez(f"{folder}/{part}.npz", images=images[chosen], labels=names[chosen], captions=captions[chosen])
    test = parts["test"]
    records(f"{folder}/test.jsonl", images[test], names[test], captions[test])
    records(f"{folder}/shifted.jsonl", np.roll(images[test], 1, axis=0), names[test], captions[test])
    text(f"{folder}/text.txt", np.random.default_rng(1))


def records(name, images, names, captions):
    """Write JSON Lines, with the pixels in each."""
    import json

    with open(name, "w", encoding="utf-8") as lines:
        for number, (image, label, caption) in enumerate(zip(images, names, captions, strict=True)):
            fields = {"id": number, "image": image.tolist(), "prompt": QUESTION, "label": label, "caption": caption}
            lines.write(json.dumps(fields, default=str) + "\n")


def text(name, generator):
    """Write sentences such as `near four it saw what is in the picture ? this is the digit four .`"""
    with open(name, "w", encoding="utf-8") as lines:
        for _ in range(SENTENCES):
            digit = NAMES[generator.integers(10)]
            words = list(generator.choice(OTHERS, 4))
            words[generator.integers(4)] = digit
            lines.write(f"{' '.join(words)} {QUESTION} this is the digit {digit} .\n")


if __name__ == "__main__":
    main(sys.argv[1])
