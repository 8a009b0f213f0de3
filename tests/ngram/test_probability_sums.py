"""ARPA files whose probabilities sum to more than 1: found, scored as KenLM does, and alike by every command."""

import json
import math

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit import registry
from lmkit.errors import CheckpointError
from lmkit.ngram.probability_sums import LARGEST, excess

LN10 = math.log(10)
OVER = r"""\data\
ngram 1=5
ngram 2=4
ngram 3=2

\1-grams:
-99	<s>	0.5
-0.1	</s>
-1	<unk>
-0.2	a	3.0
-0.3	b	-0.1

\2-grams:
-0.1	<s> a	-0.25
-0.2	a b	2
-0.1	b </s>
-0.05	b a	0.125

\3-grams:
-0.5	a b a
-0.75	b a b

\end\
"""
SENTENCES = ["a b", "a a", "b a a", "zz a", "", "b a b a b", "a b zz b a", "zz", "a b b b a a"]


def opened(text):
    return registry.load(memoryview(text.encode()), "x.arpa")


@pytest.fixture
def over(write):
    return write("over.arpa", OVER.encode())


def test_a_positive_backoff_is_scored_as_kenlm_scores_it(over, lmkit):
    done = lmkit("score", "--explain", "--json", "-m", over, stdin="".join(f"{one}\n" for one in SENTENCES).encode())
    assert done.status == 0
    theirs = kenlm.Model(str(over))
    for record, sentence in zip(done.records, SENTENCES, strict=True):
        full = [log10 * LN10 for log10, _, _ in theirs.full_scores(sentence)]
        assert [factor["nats"] for factor in record["factors"]] == pytest.approx(full, abs=1e-5)


def test_all_commands_count_the_numbers_of_the_file(over, lmkit):
    def nats(*arguments, **more):
        done = lmkit(*arguments, "--json", "-m", over, **more)
        assert done.status == 0, done.stderr
        return done.records

    first, second = (record["nats"] for record in nats("score", "--no-eos", stdin=b"a a\na\n"))
    after = {record["token"]: record for record in nats("next", "--prompt", "a", "--all")}
    assert after["a"]["nats"] == pytest.approx(first - second, abs=1e-6) == pytest.approx(2.55 * LN10, abs=1e-6)
    assert after["a"]["probability"] == pytest.approx(10**2.55, rel=1e-6)
    done = lmkit("prompt", "answer", "-m", over, "--prompt", "a [Z]", "--labels", "a,b")
    assert done.records[0]["scores"]["a"]["none"] == pytest.approx(first - second, abs=1e-6)
    (drawn,) = nats("sample", "--max-tokens", "4")
    (again,) = nats("score", "--no-eos", stdin=drawn["text"].encode())
    if drawn["finish_reason"] == "length":
        assert drawn["nats"] == pytest.approx(again["nats"], abs=1e-6)


def test_filters_of_next_give_what_is_drawn_from(over, lmkit):
    found = lmkit("next", "--json", "--all", "-m", over, "--prompt", "a", "--top-k", "3").records
    assert math.fsum(record["probability"] for record in found) == pytest.approx(1)


def test_compressed_texts_come_back(over, lmkit):
    text = "\n".join(SENTENCES).encode()
    packed = lmkit("compress", "-q", "-m", over, stdin=text).stdout
    assert lmkit("decompress", "-q", "-m", over, stdin=packed).stdout == text


@pytest.mark.parametrize("unigram", ["-0.2", "-2"])
def test_pruning_keeps_the_warning_where_sums_stay_above_one(unigram, lmkit, write):
    """Pruning computes backoff weights anew, so that only unigrams may sum to more than 1 after it."""
    less = OVER.replace("-0.1\t</s>", "-0.5\t</s>").replace("-0.05\tb a", "-2\tb a")
    model = write("m.arpa", less.replace("-0.2\ta\t", f"{unigram}\ta\t").encode())
    assert lmkit("ngram", "prune", "-m", model, "--threshold", "1e-9", "-o", "pruned.lm").status == 0
    total = math.fsum(record["probability"] for record in lmkit("next", "--all", "--json", "-m", "pruned.lm").records)
    told = lmkit("ppl", "-m", "pruned.lm", stdin=b"a b\n").stderr
    assert ("not probabilities" in told) == (total > LARGEST) == (unigram == "-0.2")


def test_import_warns_and_the_checkpoint_stays_as_the_file(over, lmkit):
    done = lmkit("ngram", "import", over, "-o", "over.lm")
    assert done.status == 0
    assert done.stderr.startswith("lmkit: over.arpa: the probabilities after ")
    assert "sum to more than 1, after 'b a' to " in done.stderr
    for command in ("ppl", "score"):
        told = [lmkit(command, "-m", model, stdin=b"a b a\n") for model in ("over.lm", over)]
        assert told[0].stdout.splitlines()[-1].split(b"\t")[:3] == told[1].stdout.splitlines()[-1].split(b"\t")[:3]
        assert all("scores are not probabilities" in one.stderr for one in told)
    assert "sum to" in lmkit("next", "-m", "over.lm", "--prompt", "a").stderr
    exported = lmkit("ngram", "export", "over.lm").stdout.decode()
    assert opened(exported).score_many(np.array([3, 4, 3, 3]), np.array([4])) == pytest.approx(
        opened(OVER).score_many(np.array([3, 4, 3, 3]), np.array([4]))
    )


def test_a_file_whose_probabilities_sum_to_one_has_no_warning(lmkit, shelf):
    done = lmkit("ngram", "import", shelf["mkn.arpa"], "-o", "mkn.lm")
    assert (done.status, done.stderr) == (0, "")
    assert "normalised" not in json.loads(lmkit("info", "--json", "mkn.lm").stdout)["config"]
    assert lmkit("next", "-m", "mkn.lm").stderr == ""


@pytest.mark.parametrize("number", ["1e39", "1e400", "inf", "nan"])
def test_an_arpa_file_is_no_damaged_checkpoint(number, fails, write):
    text = write("wrong.arpa", OVER.replace("\t3.0", "\t" + number).encode())
    done = fails(4, "ppl", "-m", text, stdin=b"a a\n")
    assert done.stderr.startswith("lmkit ppl: wrong.arpa: line 10: ")
    assert "damaged" not in done.stderr


def test_the_largest_numbers_that_are_read_have_a_score(lmkit, write):
    model = write("large.arpa", OVER.replace("\t3.0", "\t1e30").encode())
    for command in (["ppl"], ["ppl", "--explain"], ["ppl", "--json"], ["score"]):
        assert lmkit(*command, "-m", model, stdin=b"a a\nb\n").status == 0
    assert lmkit("next", "-m", model, "--prompt", "a").status == 0
    packed = lmkit("compress", "-q", "-m", model, stdin=b"a a\nb\n").stdout
    assert lmkit("decompress", "-q", "-m", model, stdin=packed).stdout == b"a a\nb\n"


LOGS = st.floats(-3, 0).map(lambda value: round(value, 3))
WEIGHTS = st.floats(-2, 1).map(lambda value: round(value, 3))


@st.composite
def arpa_files(draw):
    """Random numbers for random n-grams of three words, prefixes left out as it happens."""
    words = ["<unk>", "<s>", "</s>", "a", "b"]
    grams = {1: [(word,) for word in words]}
    for order in (2, 3):
        every = [(*gram, word) for gram in grams[1] for word in ("a", "b", "</s>")]
        longer = every if order == 2 else [(*one, word) for one in every for word in ("a", "b")]
        grams[order] = sorted(draw(st.sets(st.sampled_from([one for one in longer if "</s>" not in one[:-1]]))))
    lines = ["\\data\\", *(f"ngram {order}={len(several)}" for order, several in grams.items()), ""]
    for order, several in grams.items():
        lines.append(f"\\{order}-grams:")
        for gram in several:
            weight = [str(draw(WEIGHTS))] if order < 3 else []
            lines.append("\t".join([str(draw(LOGS)), " ".join(gram), *weight]))
        lines.append("")
    return "\n".join([*lines, "\\end\\", ""])


@settings(max_examples=60)
@given(text=arpa_files())
def test_sums_are_those_of_all_rows(text):
    try:
        model = opened(text)
    except CheckpointError:  # a prefix put back has a probability above 1
        return
    rows = {(): model.next(())}
    for order in (1, 2):
        for gram in range(len(model.tables[order - 1].log10)):
            ids = words_in(model, order, gram)
            state = ()
            for token in ids:
                state = model.advance(state, token)
            rows[ids] = model.next(state)
    sums = {context: math.fsum(np.exp(row).tolist()) for context, row in rows.items()}
    found = excess(model.tables)
    above = {context: total for context, total in sums.items() if total > LARGEST}
    assert found.contexts == len(above)
    assert model.normalised == (not above)
    if above:
        assert found.highest == pytest.approx(max(above.values()))
        assert sums[found.words] == pytest.approx(found.highest)


def words_in(model, order, gram):
    """The words of an n-gram."""
    from lmkit.ngram.tables import words_of

    return tuple(words_of([table.key for table in model.tables], order, np.array([gram]))[0].tolist())
