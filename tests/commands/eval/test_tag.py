"""`lmkit eval tag`."""

import json

import pytest

GOLD = "El O\nReal B-ORG\nMadrid I-ORG\n\nAna B-PER\nva O\na O\nLima B-LOC\n"
GUESS = "El O\nReal B-ORG\nMadrid I-LOC\n\nAna B-PER\nva O\na I-LOC\nLima B-LOC\n"


@pytest.fixture
def judged(lmkit, write):
    def judged(guess, *words, gold=GOLD):
        done = lmkit("eval", "tag", "--gold", write("gold.conll", gold.encode()), *words, stdin=guess.encode())
        assert done.status == 0, done.stderr
        return done

    return judged


def test_a_record_begins_with_its_stable_keys(judged):
    record = judged(GUESS, "--json").records[0]
    assert list(record)[:7] == ["precision", "recall", "f1", "accuracy", "n", "spans", "tokens"]
    assert list(record.values())[:7] == [2 / 3, 2 / 3, 2 / 3, 5 / 7, 2, 3, 7]
    assert record["types"][1] == {"type": "ORG", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert "eval:tag|scheme:bio|spans:strict|" in record["signature"]
    assert judged(GUESS, "--json", "--lenient").records[0]["precision"] == 2 / 5


def test_all_ways_to_give_sentences(judged, lmkit):
    expected = judged(GUESS, "--json").records
    records = [
        {"tokens": ["El", "Real", "Madrid"], "labels": ["O", "B-ORG", "I-LOC"], "gold": ["O", "B-ORG", "I-ORG"]},
        {
            "tokens": ["Ana", "va", "a", "Lima"], "labels": ["B-PER", "O", "I-LOC", "B-LOC"],
            "gold": ["B-PER", "O", "O", "B-LOC"],
        },
    ]  # fmt: skip
    lines = "".join(json.dumps(record) + "\n" for record in records)
    assert judged(lines, "--json").records == expected
    assert lmkit("eval", "tag", "--json", stdin=lines.encode()).records == expected
    both = "\n".join(
        f"{one} {other.split()[-1]}" if one else ""
        for one, other in zip(GOLD.split("\n"), GUESS.split("\n"), strict=True)
    )
    assert lmkit("eval", "tag", "--json", stdin=f"-DOCSTART- O O\n\n{both}".encode()).records == expected


def test_tables_numbers_and_a_second_system(judged, write):
    assert float(judged(GUESS, "-b").text) == pytest.approx(2 / 3)
    assert judged(GUESS, "--types").lines[0] == "type\tprecision\trecall\tf1\tsupport"
    row = judged(GUESS, "--against", write("other.conll", GOLD.encode())).rows[2]
    assert (row["metric"], float(row["difference"])) == ("f1", pytest.approx(-1 / 3, abs=1e-5))


def test_sentences_right_in_one_system_alone_are_tested_exactly(judged, write):
    from scipy.stats import binomtest

    gold = "\n".join(["Ana B-PER\n"] * 9)
    ours, theirs = (
        "\n".join(f"Ana {'B-PER' if own == '1' else 'O'}\n" for own in row) for row in ("111111101", "000011101")
    )
    other = write("other.conll", theirs.encode())
    found = judged(ours, "--against", other, "--json", gold=gold).records[0]["sign_test"]
    assert found == {"only_first": 4, "only_second": 0, "p": pytest.approx(binomtest(4, 4).pvalue)}
    assert "sign_test" not in judged(ours, "--json", gold=gold).records[0]


@pytest.mark.parametrize(
    ("guess", "message"),
    [
        ("", "<stdin>: no sentences"),
        ("El\n", "<stdin>:1: 1 column, expected a token and a label"),
        ("El O\nReal x O\n", "<stdin>:2: 3 columns, but 2 in the lines before"),
        ("El O\n", "gold.conll: 2 sentences, but the predictions have 1"),
        (GUESS.replace("Real", "real"), "gold.conll:1: other tokens than the predictions at <stdin>:1"),
        (GUESS.replace("B-PER", "PER"), "<stdin>:5: the label 'PER' does not belong to BIO"),
        ('{"tokens": ["a"], "labels": []}\n', "<stdin>:1: 1 tokens, but 0 labels"),
        ('{"tokens": "a"}\n', "<stdin>:1: the field 'tokens' is not a list of texts"),
    ],
)
def test_bad_input(lmkit, write, guess, message):
    done = lmkit("eval", "tag", "--gold", write("gold.conll", GOLD.encode()), stdin=guess.encode())
    assert done.status == 3
    assert message in done.stderr


def test_labels_that_make_no_spans_have_an_accuracy(lmkit, write):
    write("gold.conll", b"the D\ncat N\n\na D\n")
    words = ("eval", "tag", "--gold", "gold.conll")
    done = lmkit(*words, stdin=b"the D\ncat V\n\na D\n")
    assert (done.status, "--scheme none measures accuracy alone" in done.stderr) == (3, True)
    record = lmkit(*words, "--scheme", "none", "--json", stdin=b"the D\ncat V\n\na D\n").records[0]
    assert (record["accuracy"], record["tokens"], "f1" in record) == (2 / 3, 3, False)
    assert lmkit(*words, "--scheme", "none", "-b", stdin=b"the D\ncat N\n\na D\n").lines == ["1.0"]
    assert lmkit(*words, "--scheme", "none", "--types", stdin=b"the D\n").status == 2
