"""`lmkit prompt rank`."""

import json

import pytest

WORDS = ["--prompt", "the", "-n", "8", "--json", "--max-tokens", "6", "--seed", "2"]


@pytest.fixture
def models(shelf):
    return shelf["witten-bell-2.lm"], shelf["witten-bell-3.lm"]


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def test_the_scores_of_the_model_that_wrote_the_answers_are_its_own(lmkit, models):
    """Also of answers that ended, whose end is scored."""
    written = lmkit("sample", "-m", models[0], *WORDS)
    assert {record["finish_reason"] for record in written.records} == {"eos", "length"}
    found = lmkit("prompt", "rank", "-m", models[0], "--norm", "none", stdin=written.stdout).records
    assert sorted(record["id"] for record in found) == list(range(8))
    assert [record["rank"] for record in found] == list(range(1, 9))
    assert [record["judge_nats"] for record in found] == pytest.approx([record["nats"] for record in found])
    assert [record["score"] for record in found] == sorted([record["nats"] for record in found], reverse=True)
    best = lmkit("prompt", "rank", "-m", models[0], "--norm", "none", "--top", "1", "-b", stdin=written.stdout)
    assert best.text == found[0]["text"] + "\n"


def test_norms_and_margins_are_made_of_log_probabilities(lmkit, models):
    written = lmkit("sample", "-m", models[0], *WORDS).stdout

    def scores(*options):
        found = lmkit("prompt", "rank", "-m", models[0], *options, stdin=written).records
        return {record["id"]: record for record in found}

    plain, tokens, chars, pmi, margin = (
        scores(*options) for options in
        (["--norm", "none"], [], ["--norm", "chars"], ["--norm", "pmi"], ["--reference", models[1], "--beta", "0.5"])
    )  # fmt: skip
    other = lmkit("prompt", "rank", "-m", models[1], "--norm", "none", stdin=written).records
    reference = {record["id"]: record["score"] for record in other}
    for name, one in plain.items():
        assert tokens[name]["score"] == pytest.approx(one["score"] / one["judge_tokens"])
        assert chars[name]["score"] == pytest.approx(one["score"] / max(1, len(one["text"])))
        assert margin[name]["reference_nats"] == reference[name]
        assert margin[name]["score"] == pytest.approx(0.5 * (one["score"] - reference[name]))
    alone = lmkit("score", "-b", "-m", models[0], "--no-eos", stdin=plain[0]["text"].encode()).text
    ended = plain[0]["finish_reason"] == "eos"
    assert ended or pmi[0]["score"] == pytest.approx(plain[0]["score"] - float(alone))


def test_each_prompt_has_its_own_order_and_ties_keep_theirs(lmkit, models):
    records = [
        {"prompt": prompt, "text": "cat", "n": n} for prompt, n in (("the", 1), ("the", 2), ("a", 3), ("the", 4))
    ]
    found = lmkit("prompt", "rank", "-m", models[0], stdin=lines(*records)).records
    assert [(record["n"], record["rank"]) for record in found] == [(1, 1), (2, 2), (3, 1), (4, 1)]


@pytest.mark.parametrize(
    ("status", "arguments", "stdin", "told"),
    [
        (2, [], b"{}\n", "no model"),
        (2, ["-m", "MODEL", "--reference", "MODEL", "--norm", "none"], b"{}\n", "exclude each other"),
        (3, ["-m", "MODEL"], b'{"prompt": "a"}\n', "<stdin>:1: no text `text`"),
        (3, ["-m", "MODEL"], b'{"text": "a"}\n', "<stdin>:1: no text `prompt`"),
        (3, ["-m", "MODEL"], b'{"prompt": "a", "text": "a\\nb"}\n', "<stdin>:1: an answer has several lines"),
        (3, ["-m", "MODEL"], b"x\n", "<stdin>:1: not JSON"),
    ],
)
def test_what_is_wrong_is_one_line(status, arguments, stdin, told, fails, models):
    arguments = [models[0] if word == "MODEL" else word for word in arguments]
    assert told in fails(status, "prompt", "rank", *arguments, stdin=stdin).stderr
