"""`lmkit prompt tree`."""

import json
import math

import pytest
from hand_written import arpa

END = {"</s>": 1.0}
COINS = {
    "<s>": {"10": 0.6, "5": 0.4},
    "10": {"10": 0.4, "1": 0.35, "5": 0.25},
    "5": {"5": 0.9, "1": 0.1},
    "1": {"1": 0.5, "</s>": 0.5},
}
"""A puzzle: coins one after another; the first step that looks best leads to what is less probable in the end."""


@pytest.fixture
def coins(write):
    return write("coins.arpa", arpa({**COINS, "5": {"5": 0.5, "</s>": 0.5}}))


def tree(lmkit, *options, stdin=b'{"prompt": ""}'):
    done = lmkit("prompt", "tree", *options, stdin=stdin)
    assert (done.status, done.stderr) == (0, "")
    return done.records


def test_one_path_of_one_thought_is_greedy(coins, lmkit):
    (record,) = tree(lmkit, "-m", coins, "--max-tokens", 1, "--depth", 3)
    assert (record["text"], record["thoughts"]) == ("10 10 10", ["10", "10", "10"])
    assert record["text"] == lmkit("sample", "-m", coins, "--greedy", "--max-tokens", 3).text.strip()
    assert record["nats"] == pytest.approx(math.log(0.6 * 0.4 * 0.4))
    assert (record["tokens"], record["finish_reason"]) == (3, "depth")


def test_all_paths_find_the_best(coins, lmkit):
    (record,) = tree(lmkit, "-m", coins, "--max-tokens", 1, "--depth", 3, "--breadth", 100)
    assert (record["text"], record["finish_reason"]) == ("5", "eos")  # .4 x .5, enumerated by hand
    assert record["nats"] == pytest.approx(math.log(0.2))


def test_the_value_may_be_for_each_token(coins, lmkit):
    (record,) = tree(lmkit, "-m", coins, "--max-tokens", 1, "--depth", 3, "--breadth", 100, "--length-penalty", 1)
    assert record["value"] == pytest.approx(record["nats"] / record["tokens"])


def test_what_was_kept_is_explained(coins, lmkit):
    (record,) = tree(lmkit, "-m", coins, "--max-tokens", 1, "--depth", 2, "--breadth", 2, "--explain")
    assert [[path["text"] for path in level] for level in record["kept"][:-1]] == [["10", "5"]]
    assert record["kept"][-1][0]["text"] == record["text"]


def test_thoughts_end_at_a_stop(coins, lmkit):
    (record,) = tree(lmkit, "-m", coins, "--stop", "1", "--depth", 1, "--branch", 3, "--breadth", 3)
    assert record["thoughts"][0].rstrip() in {"", "10", "5"}


def test_records_pass_through_and_go_by_their_ids(coins, lmkit):
    asked = [{"id": "b", "prompt": "10", "gold": "7"}, {"prompt": "5"}]
    data = "".join(json.dumps(one) + "\n" for one in asked).encode()
    first, second = tree(lmkit, "-m", coins, "--max-tokens", 1, stdin=data)
    assert (first["id"], first["prompt"], first["gold"]) == ("b", "10", "7")
    assert second["id"] == 2


def test_drawn_thoughts_hang_on_seed_and_id_alone(coins, lmkit):
    asked = [{"id": name, "prompt": "10"} for name in ("a", "b")]
    lines = [json.dumps(one).encode() + b"\n" for one in asked]
    options = ("-m", coins, "--draw", "--branch", 2, "--seed", 5)
    forward = tree(lmkit, *options, stdin=b"".join(lines))
    assert tree(lmkit, *options, stdin=b"".join(reversed(lines))) == forward[::-1]
    assert tree(lmkit, *options, stdin=lines[1]) == forward[1:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-t", "2"], "--temperature needs --draw"),
        (["--stop", ""], "--stop is empty"),
        (["--prompt", "x", "some.jsonl"], "--prompt and FILEs exclude each other"),
        (["--breadth", "0"], "--breadth"),
    ],
)
def test_options_that_make_no_sense(coins, lmkit, options, message):
    done = lmkit("prompt", "tree", "-m", coins, *options, stdin=b"")
    assert done.status == 2
    assert message in done.stderr


@pytest.mark.parametrize("line", [b"no json", b'{"id": 1}', b'{"prompt": 3}'])
def test_lines_that_are_no_prompts(coins, lmkit, line):
    done = lmkit("prompt", "tree", "-m", coins, stdin=line)
    assert done.status == 3
    assert "<stdin>:1" in done.stderr


def test_most_of_the_drawn_texts_give_the_answer(write, lmkit):
    model = write("vote.arpa", arpa({"<s>": {"so": 1.0}, "so": {"7": 0.7, "8": 0.3}, "7": END, "8": END}))
    options = ("-m", model, "--self-consistency", 40, "--extract", "so (.)")
    (record,) = tree(lmkit, *options)
    assert record["answer"] == "7"
    assert sum(record["votes"].values()) == len(record["texts"]) == 40
    assert record["votes"]["7"] > record["votes"]["8"] > 0
    assert tree(lmkit, *options) == [record]
    (none,) = tree(lmkit, *options[:-1], "never (.)")
    assert (none["answer"], none["votes"]) == (None, {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--extract", "x"], "--extract and --numbers need --self-consistency"),
        (["--self-consistency", "3", "--breadth", "2"], "--self-consistency cannot be combined"),
        (["--self-consistency", "3", "--extract", "("], "is not a regular expression"),
    ],
)
def test_votes_that_make_no_sense(coins, lmkit, options, message):
    done = lmkit("prompt", "tree", "-m", coins, *options, stdin=b"")
    assert done.status == 2
    assert message in done.stderr


def test_an_empty_prompt_is_a_prompt(coins, lmkit):
    done = lmkit("prompt", "tree", "-m", coins, "--prompt", "", stdin=b'{"prompt": "5"}')
    assert [record["prompt"] for record in done.records] == [""]
