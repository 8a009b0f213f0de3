"""`lmkit sample` with --draft and --lookup: the same bytes, and what does not go together."""

import pytest
from conftest import without_context_notice

WAYS = [["--greedy"], [], ["-t", "0.7", "-k", "5"], ["-p", "0.9"]]
DRAFTED = [
    ["--lookup", "3"],
    ["--lookup", "1", "--draft-tokens", "1"],
    ["--draft", "{char-other-tokens.lm}"],
    ["--draft", "{transformer-stream.lm}", "--draft-tokens", "4", "--lookup", "2"],
]


@pytest.fixture(scope="module")
def named(shelf, lmkit):
    """Arguments with names of files of the shelf filled in; of an n-gram of the same characters too."""
    made = shelf.folder / "char-other-tokens.lm"
    done = lmkit(
        "ngram", "fit", "--order", "2", "--tokens", shelf["char-witten-bell.lm"], shelf["other.txt"], "-q", "-o", made
    )
    assert done.status == 0, done.stderr

    def named(arguments):
        return [shelf[word[1:-1]] if word.startswith("{") else word for word in arguments]

    return named


@pytest.mark.few(1)
@pytest.mark.parametrize("model", ["transformer.lm", "transformer-stream.lm", "lstm.lm", "char-witten-bell.lm"])
@pytest.mark.parametrize("drafted", DRAFTED)
def test_the_same_bytes(model, drafted, lmkit, shelf, named):
    for way in WAYS:
        command = [
            "sample",
            "-m",
            shelf[model],
            "--prompt",
            "the cat",
            "-n",
            "2",
            "--max-tokens",
            "25",
            "--json",
            *way,
        ]
        alone, both = lmkit(*command), lmkit(*command, *named(drafted))
        assert (both.status, both.stdout) == (0, alone.stdout)
        assert without_context_notice(both.stderr) == ""


def test_stops_and_verbose(lmkit, shelf, named):
    command = [
        "sample",
        "-m",
        shelf["transformer-stream.lm"],
        "--prompt",
        "the the",
        "--greedy",
        "--stop",
        "a",
        "-n",
        "1",
    ]
    done = lmkit(*command, "-v", *named(["--draft", "{transformer-stream.lm}"]))
    assert done.stdout == lmkit(*command).stdout
    assert "tokens drafted, " in done.stderr
    assert " accepted" in done.stderr


def test_usage(fails, shelf, work):
    model = shelf["char-witten-bell.lm"]
    assert "--draft-tokens needs" in fails(2, "sample", "-m", model, "--draft-tokens", "3").stderr
    assert "stdin" in fails(2, "sample", "--draft", "-").stderr
    fails(2, "sample", "-m", model, "--lookup", "0")
    assert "no.lm" in fails(3, "sample", "-m", model, "--draft", "no.lm").stderr


def test_other_tokens(fails, shelf, write):
    model = shelf["char-witten-bell.lm"]
    done = fails(4, "sample", "-m", model, "--draft", shelf["witten-bell-3.lm"])
    assert "witten-bell-3.lm: the draft has " in done.stderr
    assert "expected the model's" in done.stderr
    fails(4, "sample", "-m", model, "--draft", shelf["counts.lm"])
    write("junk.lm", b"\x00\xff\x00junk")
    write("empty.lm", b"")
    for name in ("junk.lm", "empty.lm"):
        assert name in fails(4, "sample", "-m", model, "--draft", name).stderr
