"""`lmkit sample` with --beam and --contrastive."""

import json
import math

import pytest
from hand_written import arpa

END = {"</s>": 1.0}
THE = {
    "<s>": {"the": 1.0},
    "the": {"nice": 0.5, "dog": 0.4, "car": 0.1},
    "nice": {"woman": 0.4, "house": 0.3, "guy": 0.3},
    "dog": {"has": 0.9, "runs": 0.05, "and": 0.05},
    "car": {"is": 0.5, "drives": 0.3, "turns": 0.2},
    **dict.fromkeys(("woman", "house", "guy", "has", "runs", "and", "is", "drives", "turns"), END),
}
TENTHS = {f"w{digit}": 0.1 for digit in range(10)}
WORSE = {
    "<s>": {"A": 0.4, "B": 0.35, "C": 0.25},
    "A": {"a1": 0.34, "a2": 0.33, "a3": 0.33},
    "B": {"b1": 0.5, "b2": 0.5},
    "C": END,
    **{word: {"x": 1.0} for word in ("a1", "a2", "a3")},
    "b1": TENTHS,
    "b2": TENTHS,
    **dict.fromkeys(("x", *TENTHS), END),
}
"""A model on which two beams lose what greedy search finds."""


@pytest.fixture
def the(write):
    return write("the.arpa", arpa(THE))


@pytest.fixture
def worse(write):
    return write("worse.arpa", arpa(WORSE))


def odds(record):
    return pytest.approx(math.exp(record["nats"]), abs=1e-9)


# Figures of courses.


def test_greedy_misses_the_best(the, lmkit):
    (record,) = lmkit("sample", "-m", the, "--prompt", "the", "--greedy", "--json").records
    assert (record["text"], odds(record)) == ("nice woman", 0.2)


def test_two_beams_find_it(the, lmkit):
    done = lmkit("sample", "-m", the, "--prompt", "the", "--beam", "2", "-n", "2", "--json")
    assert (done.status, done.stderr) == (0, "")
    first, second = done.records
    assert list(first) == ["id", "prompt", "text", "tokens", "nats", "finish_reason"]
    assert (first["id"], first["text"], odds(first), first["finish_reason"]) == (0, "dog has", 0.36, "eos")
    assert (second["id"], second["text"], odds(second)) == (1, "nice woman", 0.2)
    assert lmkit("sample", "-m", the, "--prompt", "the", "--beam", "2").text == "dog has\n"


def test_what_beams_kept(the, lmkit):
    options = ["sample", "-m", the, "--prompt", "the", "--beam", "2", "--explain"]
    assert lmkit(*options).lines == [
        "1\tnice -0.693147\tdog -0.916291",
        "2\tdog has -1.02165\tnice woman -1.60944",
        "3\tdog has </s> -1.02165 eos\tnice woman </s> -1.60944 eos",
        "dog has",
    ]
    (record,) = lmkit(*options, "--json").records
    assert record["steps"][0] == [
        {"tokens": ["nice"], "nats": pytest.approx(math.log(0.5))},
        {"tokens": ["dog"], "nats": pytest.approx(math.log(0.4))},
    ]
    assert record["steps"][2][0]["finish_reason"] == "eos"


def test_two_beams_lose_what_greedy_finds(worse, lmkit, one_line):
    done = lmkit("sample", "-m", worse, "--beam", "2", "--json")
    assert (done.status, odds(done.records[0])) == (0, 0.0175)
    one_line(done.stderr)
    assert "--keep-greedy" in done.stderr
    kept = lmkit("sample", "-m", worse, "--beam", "2", "--keep-greedy", "--json")
    assert (kept.stderr, kept.records[0]["text"], odds(kept.records[0])) == ("", "A a1 x", 0.136)
    wide = lmkit("sample", "-m", worse, "--beam", "100", "-n", "24", "--json")
    assert wide.stderr == ""
    shares = [math.exp(record["nats"]) for record in wide.records]
    assert shares == pytest.approx([0.25, 0.136, 0.132, 0.132, *[0.0175] * 20])
    assert [record["text"] for record in wide.records[4:6]] == ["B b1 w0", "B b1 w1"]


def test_equal_texts_by_lower_ids(write, lmkit):
    path = write("ties.arpa", arpa({"<s>": {"b": 0.5, "a": 0.5}, "a": {"</s>": 0.5, "b": 0.5}, "b": END}))
    records = lmkit("sample", "-m", path, "--beam", "4", "-n", "3", "--json").records
    assert [record["text"] for record in records] == ["b", "a", "a b"]


def test_length_penalty(the, lmkit):
    options = ["sample", "-m", the, "--prompt", "the", "--beam", "3", "-n", "3", "--json"]
    for alpha in (1.0, -0.5):
        records = lmkit(*options, "--length-penalty", alpha).records
        for record in records:
            assert record["score"] == pytest.approx(record["nats"] / 3**alpha)
    assert "score" not in lmkit(*options, "--length-penalty", "0").records[0]


def test_longer_texts_by_length_penalty(write, lmkit):
    path = write("long.arpa", arpa({"<s>": {"</s>": 0.4, "a": 0.6}, "a": {"a": 0.8, "</s>": 0.2}}))
    options = ["sample", "-m", path, "--beam", "3", "--max-tokens", "6", "--json"]
    assert lmkit(*options).records[0]["tokens"] == 0
    (record,) = lmkit(*options, "--length-penalty", "1").records
    assert (record["tokens"], record["finish_reason"]) == (6, "length")
    assert record["score"] == pytest.approx((math.log(0.6) + 5 * math.log(0.8)) / 6)


def test_groups(write, lmkit):
    path = write("flat.arpa", arpa({"<s>": {"a": 0.5, "b": 0.3, "c": 0.2}, **dict.fromkeys("abc", END)}))
    options = ["sample", "-m", path, "--beam", "3", "--groups", "3", "-n", "3"]
    assert lmkit(*options, "--diversity", "5").text == "a\nb\nc\n"
    assert lmkit(*options, "--diversity", "0").text == "a\n"
    lines = lmkit(*options, "--diversity", "5", "--explain").lines
    assert lines[0] == "1\t1: a -0.693147\t2: b -1.20397\t3: c -1.60944"


def test_stops_end_beams(the, lmkit):
    (record,) = lmkit("sample", "-m", the, "--prompt", "the", "--beam", "2", "--stop", " ha", "--json").records
    assert (record["text"], record["finish_reason"], odds(record)) == ("dog", "stop", 0.36)


# Every family.

NAMES = ["witten-bell-3.lm", "char-katz.lm", "lstm.lm", "gru-stream.lm", "transformer.lm", "transformer-stream.lm",
         "ffn.lm"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_family(name, lmkit, shelf):
    options = ["sample", "-m", shelf[name], "--prompt", "the", "--max-tokens", "12", "--json"]
    done = lmkit(*options, "--beam", "4", "-n", "4")
    assert done.status == 0
    totals = [record["nats"] for record in done.records]
    assert totals == sorted(totals, reverse=True)
    assert lmkit(*options, "--beam", "4", "-n", "4", "--explain").records[0]["text"] == done.records[0]["text"]
    (greedy,) = lmkit(*options, "--greedy").records
    (one,) = lmkit(*options, "--beam", "1").records
    assert {key: one[key] for key in one} == {key: greedy[key] for key in one}


@pytest.mark.parametrize("name", NAMES[2:])
def test_contrastive(name, lmkit, shelf):
    options = ["sample", "-m", shelf[name], "--prompt", "the", "--max-tokens", "12", "--json"]
    (greedy,) = lmkit(*options, "--greedy").records
    for same in (["--contrastive", "0"], ["--contrastive", "0.9", "-k", "1"]):
        assert lmkit(*options, *same).records[0]["text"] == greedy["text"]
    (record,) = lmkit(*options, "--contrastive", "0.6", "--explain").records
    assert len(record["steps"]) == record["tokens"] + (record["finish_reason"] == "eos")
    for step in record["steps"]:
        assert len(step) == 4
        for item in step:
            score = 0.4 * item["probability"] - 0.6 * item["likeness"]
            assert item["score"] == pytest.approx(score, abs=1e-9)
        assert [item["score"] for item in step] == sorted((item["score"] for item in step), reverse=True)
    shown = lmkit(*options[:-1], "--contrastive", "0.6", "--explain").lines
    assert shown[0].startswith("1\t")
    assert len(shown) > len(record["steps"])


def test_contrastive_wants_hidden_states(fails, shelf):
    done = fails(4, "sample", "-m", shelf["four.arpa"], "--contrastive", "0.5")
    assert "hidden states" in done.stderr
    assert "--beam" in done.stderr


# Options.


@pytest.mark.parametrize(
    "options",
    [
        ["--beam", "2", "--greedy"], ["--beam", "2", "-t", "0.5"], ["--beam", "2", "-k", "3"],
        ["--beam", "2", "-p", "0.5"], ["--beam", "2", "--ancestral"], ["--beam", "2", "--contrastive", "0.5"],
        ["--beam", "2", "-n", "3"], ["--beam", "4", "--groups", "3"], ["--beam", "4", "--diversity", "1"],
        ["--groups", "2"], ["--length-penalty", "1"], ["--keep-greedy"], ["--diversity", "1"],
        ["--contrastive", "0.5", "-p", "0.5"], ["--contrastive", "0.5", "--greedy"],
        ["--contrastive", "0.5", "--groups", "2"], ["--beam", "100000000"],
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(options, fails, shelf):
    fails(2, "sample", "-m", shelf["four.arpa"], *options)


@pytest.mark.parametrize(
    "options",
    [["--beam", "-1"], ["--beam", "x"], ["--contrastive", "1.1"], ["--contrastive", "nan"], ["--beam", "2", "--groups",
      "0"], ["--beam", "2", "--length-penalty", "nan"], ["--beam", "2", "--length-penalty", "11"],
     ["--beam", "2", "--groups", "2", "--diversity", "-1"], ["--beam", "2", "--groups", "2", "--diversity", "inf"]],
)  # fmt: skip
def test_values_out_of_range(options, lmkit, shelf):
    assert lmkit("sample", "-m", shelf["four.arpa"], *options).status == 2


def test_steps_are_json(the, lmkit):
    done = lmkit("sample", "-m", the, "--beam", "3", "--groups", "3", "--explain", "--json", "-n", "2")
    for line in done.lines:
        assert [kept["group"] for kept in json.loads(line)["steps"][0]] == [0, 1, 2]
