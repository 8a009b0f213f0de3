"""`lmkit eval answers`."""

import json

import pytest

from lmkit.io.limited_process import Limits

COT = b"The answer is 27.\nThey had 23 - 20 = 3. 3 + 6 = 9. The answer is 9.\n"
PATTERN = r"The answer is (.*?)\."


@pytest.fixture
def judged(lmkit):
    """The records of the items, and the last one."""

    def judged(*words, stdin=b"", told=""):
        done = lmkit("eval", "answers", "--json", *words, stdin=stdin)
        assert done.status == 0, done.stderr
        assert told in done.stderr
        return done.records[:-1], done.records[-1]

    return judged


def drawn(rows):
    """Records as `lmkit sample` writes them: id and text."""
    return "".join(json.dumps({"id": known_by, "text": text}) + "\n" for known_by, text in rows).encode()


def test_chains_of_thought(judged, lmkit, write):
    """Roger's tennis balls and the cafeteria: 27 is wrong, 9 is right."""
    gold = write("gold.txt", b"9\n9\n")
    items, summary = judged("--extract", PATTERN, "--gold", gold, stdin=COT)
    assert items == [
        {"answer": "27", "gold": "9", "correct": False},
        {"answer": "9", "gold": "9", "correct": True},
    ]
    assert list(summary)[:3] == ["accuracy", "n", "without_answer"]
    assert (summary["accuracy"], summary["n"], summary["intervals"]) == (0.5, 2, {"accuracy": [0, 1]})
    assert lmkit("eval", "answers", "--extract", PATTERN, "--gold", gold, "-b", stdin=COT).text == "0.5\n"
    table = lmkit("eval", "answers", "--extract", PATTERN, "--gold", gold, stdin=COT).lines
    assert table[1].split("\t")[:4] == ["accuracy", "0.5", "0", "1"]


def test_texts_without_an_answer_are_wrong(judged, write):
    told = "1 of 2 items have no answer, counted as wrong (the first: <stdin>:2)"
    items, summary = judged(
        "--extract", PATTERN, "--gold", write("g", b"9\n9\n"), stdin=b"The answer is 9.\n9\n", told=told
    )
    assert [item["correct"] for item in items] == [True, False]
    assert (items[1]["answer"], summary["without_answer"]) == (None, 1)


def test_first_and_last_match(judged, write):
    gold, text = write("g.txt", b"b\n"), b"x a x b\n"
    assert judged("--extract", "x (.)", "--gold", gold, stdin=text)[0][0]["answer"] == "a"
    assert judged("--extract", "x (.)", "--last", "--gold", gold, stdin=text)[0][0]["answer"] == "b"


def test_numbers(judged, write, fails):
    gold = write("gold.jsonl", b'{"answer": "9 * 8 = 72\\n#### 72"}\n{"answer": "so\\n#### 1,000"}\n')
    items, _ = judged("--numbers", "--gold", gold, stdin=b"it is $72.00\n1000%\n")
    assert [(item["answer"], item["number"]) for item in items] == [("it is $72.00", "72"), ("1000%", "1000")]
    assert [item["correct"] for item in items] == [True, True]
    items, _ = judged("--gold", write("g.txt", b"72\n1,000\n"), stdin=b"72.0\n1,000\n")
    assert [item["correct"] for item in items] == [False, True]
    bad = fails(3, "eval", "answers", "--numbers", "--gold", write("b.txt", b"none\n"), stdin=b"1\n")
    assert "b.txt:1: the gold answer has no number in 'none'" in bad.stderr


def test_case_and_white_space_do_not_count(judged, write):
    items, _ = judged("--gold", write("g.txt", "Río  de la Plata\n".encode()), stdin=" río de LA plata \n".encode())
    assert items[0]["correct"]


def test_a_vote(judged, fails, write):
    gold = write("g.txt", b"3\n7\n")
    texts = drawn([("a", "4"), ("a", "it is 3.0"), ("a", "$3"), ("b", "none"), ("b", "8"), ("b", "7")])
    items, summary = judged("--numbers", "--vote", "--gold", gold, stdin=texts)
    assert items == [
        {"id": "a", "answer": "it is 3.0", "number": "3", "gold": "3", "correct": True, "votes": 2, "texts": 3},
        {"id": "b", "answer": "8", "number": "8", "gold": "7", "correct": False, "votes": 1, "texts": 3},
    ]
    assert (summary["accuracy"], summary["n"]) == (0.5, 2)
    _, each = judged("--numbers", "--gold", gold, stdin=texts)
    assert (each["accuracy"], each["n"]) == (0.5, 6)
    by_id = write("g.jsonl", b'{"id": "b", "gold": 8}\n{"id": "a", "gold": 4}\n')
    assert [item["correct"] for item in judged("--numbers", "--vote", "--gold", by_id, stdin=texts)[0]] == [False, True]
    told = fails(3, "eval", "answers", "--vote", "--gold", gold, stdin=b"3\n7\n").stderr
    assert "<stdin>:1: no `id`" in told


def test_what_sample_writes(shell, write):
    write("model.txt", b"one two\n" * 3)
    write("prompts.jsonl", b'{"id": 1, "prompt": "one", "gold": "two"}\n')
    done = shell("""
    set -e -o pipefail
    lmkit ngram fit --order 2 --smoothing wb model.txt -o model.lm
    lmkit sample -m model.lm -n 5 -k 1 prompts.jsonl | lmkit eval answers --vote -b
    """)
    assert (done.status, done.stdout) == (0, b"1.0\n"), done.stderr


def test_arithmetic(lmkit, judged, write):
    gold = write("gold.txt", b"9\n9\n")
    texts = b"23 - 20 = 4. The answer is 27.\n23 - 20 = 3 and 3 / 0 = 9. The answer is 9.\n"
    items, summary = judged("--extract", PATTERN, "--check-arithmetic", "--gold", gold, stdin=texts)
    assert [item["wrong_steps"] for item in items] == [
        [{"step": "23 - 20 = 4", "value": "3"}],
        [{"step": "3 / 0 = 9", "value": None}],
    ]
    assert (summary["steps"], summary["wrong_steps"]) == (3, 2)
    told = lmkit("eval", "answers", "--extract", PATTERN, "--check-arithmetic", "--gold", gold, stdin=texts).stderr
    assert told.splitlines() == [
        "lmkit: <stdin>:1: 23 - 20 = 4 (correct: 3)",
        "lmkit: <stdin>:2: 3 / 0 = 9 (division by zero)",
        "lmkit: 2 of 3 equations in the texts are wrong",
    ]
    many = lmkit("eval", "answers", "--check-arithmetic", "--gold", gold, stdin=b"1 + 1 = 3 \n" * 2 * 1)
    assert many.stderr.splitlines()[-1] == "lmkit: 2 of 2 equations in the texts are wrong"


def test_a_second_system(judged, write):
    gold = write("gold.txt", b"1\n2\n3\n4\n")
    first, second = write("a.txt", b"1\n2\n3\n5\n"), write("b.txt", b"1\n0\n0\n4\n")
    _, summary = judged(first, "--against", second, "--gold", gold)
    assert summary["against"] == {"accuracy": 0.5}
    assert summary["differences"]["accuracy"]["value"] == 0.25
    rows = [("b", "2"), ("a", "1")]
    named = write("g.jsonl", b'{"id": "a", "gold": 1}\n{"id": "b", "gold": 2}\n')
    one, other = write("a.jsonl", drawn(rows)), write("b.jsonl", drawn(rows[::-1]))
    assert judged(one, "--against", other, "--gold", named)[1]["differences"]["accuracy"]["value"] == 0


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a", "at character 1"),
        ("a**", "multiple repeat at character 3"),
        ("[z-a]", "at character 2"),
        ("a{99999999999}", ""),
    ],
)
def test_bad_patterns(pattern, message, fails):
    done = fails(2, "eval", "answers", "--extract", pattern, stdin=b"a\n")
    assert f"--extract {pattern!r} is not a regular expression: " in done.stderr
    assert message in done.stderr


def test_a_pattern_that_takes_for_ever_ends(fails, write, monkeypatch):
    monkeypatch.setattr("lmkit.io.limited_process.LIMITS", Limits(1.0))
    write("gold.txt", b"a\na\n")
    texts = b"a\n" + b"a" * 60 + b"!\n"
    done = fails(3, "eval", "answers", "--extract", "(a+)+$", "--gold", "gold.txt", stdin=texts)
    assert done.stderr == "lmkit eval answers: <stdin>:2: --extract: not done within 1 s, the limit\n"


def test_gold_of_two_systems_may_come_through_a_pipe(lmkit, write):
    write("one.txt", b"is 1\nis 3\n")
    write("two.txt", b"is 2\nis 2\n")
    write("gold.txt", b"1\n2\n")
    command = ["eval", "answers", "--numbers", "--json", "--against", "two.txt", "one.txt", "--gold"]
    done = lmkit(*command, "-", stdin=b"1\n2\n")
    assert done.status == 0, done.stderr
    assert done.records == lmkit(*command, "gold.txt").records
