"""`lmkit prompt ablate` and `prompt search`, with models written by hand."""

import json

import pytest
from hand_written import arpa

SHOTS = b"".join(f"text{number}\t{'ab'[number % 2]}\n".encode() for number in range(12))
DEV = b"".join(f"item{number}\t{'ab'[number % 2]}\n".encode() for number in range(8))
ONE_LABEL = b"".join(b"item%d\ta\n" % number for number in range(8))
FIRST = ["--sep", " => ", "--example-sep", " . "]
"""A prompt in one line, as n-gram models read each line by itself."""


def ignoring():
    """A model to which `a` is more probable than `b`, whatever came before."""
    return arpa({"=>": {"a": 0.6, "b": 0.4}, "<s>": {"=>": 1.0}, "a": {"</s>": 1.0}, "b": {"</s>": 1.0}})


@pytest.fixture
def files(write):
    write("shots.tsv", SHOTS)
    write("dev.tsv", DEV)
    write("all-a.tsv", ONE_LABEL)
    write("ignoring.arpa", ignoring())
    return write


def records(done):
    assert done.status == 0, done.stderr
    return [json.loads(line) for line in done.lines]


def test_a_model_that_ignores_labels_has_equal_arms(files, lmkit):
    done = lmkit(
        "prompt", "ablate", "shots.tsv", "dev.tsv", "-m", "ignoring.arpa", "-k", "0,2", "--seeds", 3, *FIRST, "--json"
    )
    found = records(done)
    assert [(one["arm"], one["k"]) for one in found] == [
        (arm, k) for k in (0, 2) for arm in ("gold", "random", "flipped", "none")
    ]
    assert {one["accuracy"] for one in found} == {0.5}
    assert all(
        one["difference"] == 0 and one["difference_interval"] is None and one["p"] == 1
        for one in found
        if one["arm"] != "gold"
    )
    assert all((one["seeds"], one["n"]) == (3, 8) for one in found)


def test_the_same_command_gives_the_same_bytes_and_finished_items_are_not_asked_again(files, lmkit, work):
    command = ["prompt", "ablate", "shots.tsv", "dev.tsv", "-m", "ignoring.arpa", "-k", "1", *FIRST, "--items", "items"]
    first = lmkit(*command)
    items = (work / "items").read_bytes()
    again = lmkit(*command, "--cache", "cache")
    assert (first.stdout, items) == (again.stdout, (work / "items").read_bytes())
    size = (work / "cache").stat().st_size
    assert lmkit(*command, "--cache", "cache").stdout == first.stdout
    assert (work / "cache").stat().st_size == size
    listed = [json.loads(line) for line in items.splitlines()]
    assert len(listed) == 4 * 5 * 8
    assert list(listed[0]) == ["arm", "k", "seed", "id", "answer", "gold", "correct", "shots", "shown"]
    gold, flipped = ([one for one in listed if one["arm"] == arm] for arm in ("gold", "flipped"))
    assert [one["shots"] for one in gold] == [one["shots"] for one in flipped]
    assert all(one["shown"] != other["shown"] for one, other in zip(gold, flipped, strict=True))
    done = lmkit(*command, "-o", "items")
    assert (done.status, "items is to hold two things at once" in done.stderr) == (2, True)


def test_seeds_draw_examples_and_labels(files, lmkit):
    done = lmkit(
        "prompt", "ablate", "shots.tsv", "dev.tsv", "-m", "ignoring.arpa", *FIRST, "--labels", "random", "--json"
    )
    (one,) = records(done)
    assert (one["arm"], one["difference"], len(one["by_seed"])) == ("random", None, 5)


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--labels", "silver"], 2, "--labels: 'silver' is not one of"),
        (["-k", "many"], 2, "--shots 'many' is not a list of numbers"),
        (["-k", "13"], 3, "too few examples: expected 13, got 12"),
        (["--norm", "domain"], 2, "--domain"),
        (["--seeds", "0"], 2, "--seeds"),
    ],
)
def test_what_makes_no_sense(files, lmkit, options, status, message):
    done = lmkit("prompt", "ablate", "shots.tsv", "dev.tsv", "-m", "ignoring.arpa", *FIRST, *options)
    assert (done.status, done.stdout) == (status, b"")
    assert message in done.stderr


def test_one_label_can_not_be_flipped(files, lmkit):
    done = lmkit("prompt", "ablate", "all-a.tsv", "dev.tsv", "-m", "ignoring.arpa", *FIRST)
    assert done.status == 3
    assert "cannot be flipped" in done.stderr


def test_items_need_outputs(files, lmkit):
    files("bare.txt", b"item\n")
    done = lmkit("prompt", "ablate", "shots.tsv", "bare.txt", "-m", "ignoring.arpa", *FIRST)
    assert done.status == 3
    assert "bare.txt:1: no output" in done.stderr
    assert lmkit("prompt", "ablate", "shots.tsv", "-m", "ignoring.arpa", *FIRST, stdin=b"").status == 3


# Search.


@pytest.fixture
def templates(files):
    """A model that reads the item's last word where the template leaves it next to the answer."""
    files("copying.arpa", arpa({
        "good": {"a": 0.9, "b": 0.1}, "bad": {"a": 0.1, "b": 0.9}, "so": {"a": 0.6, "b": 0.4},
        "<s>": {"good": 0.5, "bad": 0.5}, "a": {"</s>": 1.0}, "b": {"</s>": 1.0},
    }))  # fmt: skip
    files("dev.tsv", b"good\ta\nbad\tb\ngood\ta\nbad\tb\n")
    files("test.tsv", b"bad\tb\ngood\ta\n")
    files("near.j2", b"{{ input }} [Z]\n")
    return files


def test_the_best_template_is_found_and_alone_is_asked_about_the_test(templates, lmkit):
    done = lmkit(
        "prompt", "search", "-m", "copying.arpa", "--dev", "dev.tsv", "--test", "test.tsv", "--json", "--templates",
        "[X] so [Z]", "near.j2",
    )  # fmt: skip
    best, other, tested = records(done)
    assert (best["template"], best["accuracy"], best["n"], best["on"]) == ("near.j2", 1.0, 4, "dev.tsv")
    assert (other["template"], other["accuracy"], other["difference"]) == ("[X] so [Z]", 0.5, -0.5)
    assert (tested["template"], tested["accuracy"], tested["n"], tested["on"]) == ("near.j2", 1.0, 2, "test.tsv")


def test_the_test_has_no_say(templates, lmkit):
    templates("test.tsv", b"good\tb\nbad\ta\n")
    command = ["prompt", "search", "-m", "copying.arpa", "--dev", "dev.tsv", "--templates", "[X] so [Z]", "near.j2"]
    without = lmkit(*command, "--json")
    done = lmkit(*command, "--json", "--test", "test.tsv")
    assert done.records[:2] == without.records
    assert records(done)[2]["accuracy"] == 0.0


def test_ties_go_to_the_first(templates, lmkit):
    done = lmkit("prompt", "search", "-m", "copying.arpa", "--dev", "dev.tsv", "--templates", "[X] [Z]", "near.j2")
    assert [row["template"] for row in done.rows] == ["[X] [Z]", "near.j2"]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--dev", "dev.tsv"], 2, "no templates"),
        (["--templates", "near.j2"], 2, "--dev and --model are required"),
        (["--dev", "none.tsv", "--templates", "near.j2"], 3, "none.tsv: No such file"),
        (["--dev", "dev.tsv", "--templates", "no such"], 2, "has no [X]"),
        (["--dev", "dev.tsv", "--templates", "none.j2"], 3, "none.j2: No such file"),
    ],
)
def test_searches_that_make_no_sense(templates, lmkit, options, status, message):
    done = lmkit("prompt", "search", "-m", "copying.arpa", *options)
    assert (done.status, done.stdout) == (status, b"")
    assert message in done.stderr


def test_what_is_right_may_be_no_candidate(files, lmkit):
    done = lmkit("prompt", "ablate", "shots.tsv", "dev.tsv", "-m", "ignoring.arpa", *FIRST, "--candidates", "a, c")
    assert "lmkit: 4 records have a gold label that is not among the candidates\n" in done.stderr
    templates = ["--templates", "[X] => [Z]", "[X] so => [Z]"]
    done = lmkit("prompt", "search", "-m", "ignoring.arpa", "--dev", "dev.tsv", "--labels", "a,c", *templates)
    assert "lmkit: 4 records have a gold label that is not among the candidates\n" in done.stderr
