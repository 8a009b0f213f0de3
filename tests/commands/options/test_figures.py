"""`--plot` of commands: a figure beside what they print, which does not change."""

from pathlib import Path

import pytest

TEXT = b"yo soy Juan\nJuan yo soy\nyo no salto\n"
SHOTS = b"yo soy\tJuan\nyo no\tsalto\nJuan yo\tsoy\n"


@pytest.fixture
def made(lmkit, write):
    write("text.txt", TEXT)
    write("shots.tsv", SHOTS)
    assert lmkit("ngram", "fit", "-q", "--order", 2, "--smoothing", "mle", "text.txt", "-o", "juan.lm").status == 0


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["next", "-m", "juan.lm", "--prompt", "yo", "-t", "0.5"], ["Next token after “yo”", "drawn from", "soy"]),
        (["entropy", "--unit-of", "char", "--order", "2", "text.txt", "-q"], ["bits a character", "order"]),
        (["entropy", "--window", "8", "text.txt"], ["Entropy of windows of 8 bytes"]),
        (["ngram", "coverage", "text.txt", "shots.tsv"], ["n-grams of shots.tsv in text.txt", "distinct n-grams"]),
        (["bpe", "stats", "-m", "juan.lm", "text.txt"], ["tokens a word", "9 tokens"]),
        (["prompt", "ablate", "shots.tsv", "shots.tsv", "-m", "juan.lm", "-k", "1,2", "-q"], ["2 examples"]),
    ],
    ids=["next", "entropy", "windows", "coverage", "stats", "ablate"],
)  # fmt: skip
def test_commands_draw(command, shown, lmkit, made):
    plain = lmkit(*command)
    done = lmkit(*command, "--plot", "figure.svg")
    assert (done.status, done.stdout) == (0, plain.stdout), done.stderr
    figure = Path("figure.svg").read_text()
    assert all(text in figure for text in shown)


def test_what_is_refused(fails, made):
    said = fails(2, "entropy", "--probs", "text.txt", "--plot", "a.svg").stderr
    assert "--plot cannot be combined with --probs" in said
    fails(2, "info", "juan.lm", "--plot", "a.svg")
    fails(2, "next", "-m", "juan.lm", "--plot", "a.svg", "-o", "a.svg")
    fails(2, "next", "-m", "juan.lm", "--plot", "juan.lm")
    fails(74, "next", "-m", "juan.lm", "--plot", "none/a.svg")
