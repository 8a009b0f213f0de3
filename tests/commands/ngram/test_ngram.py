"""`lmkit ngram`: count, merge, fit, query, prune, mix, coverage, import, export."""

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit import checkpoint

MARKS = ("<unk>", "<s>", "</s>")


def grams(text, order):
    """The n-grams of a text, sentence marks included, counted the plain way."""
    counts = Counter()
    for line in text.split("\n")[:-1]:
        words = ["<s>", *line.split(), "</s>"]
        counts.update(tuple(words[place : place + order]) for place in range(len(words) - order + 1))
    return counts


# query


@pytest.fixture
def query(lmkit):
    def query(*arguments, stdin=b""):
        done = lmkit("ngram", "query", "--json", *arguments, stdin=stdin)
        assert (done.status, done.stderr) == (0, ""), done.stderr
        return done.records

    return query


def test_queries(query, shelf):
    records = query("-m", shelf["juan.lm"], "yo soy", "<s> yo", "soy </s>", "Juan", "soy yo")
    assert all(list(record) == ["context", "word", "probability", "log10", "order"] for record in records)
    assert [record["context"] for record in records] == ["yo", "<s>", "soy", "", "soy"]
    assert [record["word"] for record in records] == ["soy", "yo", "</s>", "Juan", "yo"]
    assert [record["probability"] for record in records] == pytest.approx([2 / 3, 2 / 3, 1 / 2, 1 / 6, 0])
    assert [record["order"] for record in records] == [2, 2, 2, 1, 1]
    assert [record["log10"] for record in records[:4]] == pytest.approx(
        [math.log10(p) for p in (2 / 3, 2 / 3, 1 / 2, 1 / 6)]
    )
    assert records[4]["log10"] == -math.inf


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "name", ["modified-kneser-ney-4.lm", "katz-3.lm", "count-pruned.lm", "imported-pruned.lm", "mixed.lm", "word-0.lm"]
)
def test_queries_are_what_scoring_finds(name, query, lmkit, shelf):
    """Every word of a text, asked for with all that stands before it."""
    for record in lmkit("score", "--json", "--explain", "-m", shelf[name], shelf["test.txt"]).records:
        words = ["<s>", *record["text"].split(), "</s>"]
        asked = [" ".join(words[: place + 1]) for place in range(1, len(words))]
        answers = query("-m", shelf[name], *asked)
        assert [answer["log10"] * math.log(10) for answer in answers] == pytest.approx(
            [factor["nats"] for factor in record["factors"]], abs=1e-9
        )
        assert [answer["order"] for answer in answers] == [factor["order"] for factor in record["factors"]]


def test_queries_on_stdin(query, lmkit, shelf):
    plain = query("-m", shelf["juan.lm"], "yo soy", "<s> yo")
    assert query("-m", shelf["juan.lm"], "-", stdin=b"yo soy\n<s> yo\n") == plain
    assert query("-m", shelf["juan.lm"], stdin=b"yo soy\n<s> yo\n") == plain
    assert lmkit("ngram", "query", "-b", "-m", shelf["juan.lm"], "yo soy").text == f"{plain[0]['probability']!r}\n"


def test_unknown_words_are_shown_as_such(query, shelf):
    (record,) = query("-m", shelf["witten-bell-2.lm"], "zebra giraffe")
    assert (record["context"], record["word"], record["order"]) == ("<unk>", "<unk>", 1)
    assert 0 < record["probability"] < 1


@pytest.mark.parametrize("name", ["juan.lm", "modified-kneser-ney-3.lm", "count-pruned.lm"])
def test_a_list_of_everything_has_what_the_model_lists(name, query, shelf):
    records = query("-m", shelf[name])
    assert records == query(stdin=shelf[name].read_bytes())
    for order in (1, 2):
        assert query("--order", order, "-m", shelf[name]) == [one for one in records if one["order"] == order]
    asked = query("-m", shelf[name], *(f"{record['context']} {record['word']}".strip() for record in records))
    assert asked == records
    assert all(record["word"] != "<s>" and record["probability"] > 0 for record in records)


def test_a_list_of_everything_by_hand(query, shelf):
    listed = {
        (record["context"], record["word"]): record["probability"]
        for record in query("-m", shelf["juan.lm"], "--order", "2")
    }
    seen, contexts = grams(shelf["juan.txt"].read_text(), 2), grams(shelf["juan.txt"].read_text(), 1)
    assert listed == {gram: pytest.approx(count / contexts[gram[:1]]) for gram, count in seen.items()}


@pytest.mark.parametrize("arguments", [[""], [" "], ["yo", "\t"]])
def test_empty_queries_are_refused(arguments, fails, shelf):
    fails(3, "ngram", "query", "-m", shelf["juan.lm"], *arguments)


@pytest.mark.parametrize("name", ["char-katz.lm", "byte-witten-bell.lm"])
def test_queries_of_characters(name, lmkit, shelf):
    done = lmkit("ngram", "query", "--json", "-m", shelf[name])
    assert done.status == 0
    assert {record["word"] for record in done.records} >= {"t", " ", "</s>"}


# count and merge


def counted(path):
    return {
        tuple(line.rpartition("\t")[0].split(" ")): int(line.rpartition("\t")[2])
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]
    }


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_counts_are_those_of_counting_by_hand(order, lmkit, shelf, work):
    lmkit("ngram", "count", "--order", order, shelf["corpus.txt"], "-o", "c.lm")
    assert lmkit("ngram", "export", "c.lm", "-o", "c.tsv").status == 0
    text = shelf["corpus.txt"].read_text(encoding="utf-8")
    expected = Counter()
    for length in range(1, order + 1):
        expected.update(grams(text, length))
    assert counted(work / "c.tsv") == dict(expected)
    data = (work / "c.tsv").read_bytes()
    assert data == b"".join(sorted(data.splitlines(keepends=True)))


@pytest.mark.few(4)
@pytest.mark.parametrize("tokens", ["word", "char", "byte"])
@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
def test_pieces_add_up_to_the_whole(tokens, pieces, lmkit, shelf, write, work):
    lines = shelf["corpus.txt"].read_bytes().splitlines(keepends=True)
    names = []
    for number in range(pieces):
        part = write(
            f"{number}.txt", b"".join(lines[number * len(lines) // pieces : (number + 1) * len(lines) // pieces])
        )
        assert lmkit("ngram", "count", "--tokens", tokens, "--order", "4", part, "-o", f"{number}.lm").status == 0
        names.append(f"{number}.lm")
    assert lmkit("ngram", "merge", *names, "-o", "merged.lm").status == 0
    assert (
        lmkit("ngram", "count", "--tokens", tokens, "--order", "4", shelf["corpus.txt"], "-o", "whole.lm").status == 0
    )
    merged, whole = (checkpoint.parse((work / name).read_bytes()) for name in ("merged.lm", "whole.lm"))
    for key, tensor in whole.tensors.items():
        assert merged.tensors[key].tolist() == tensor.tolist()
    assert (work / "merged.lm").read_bytes() == (work / "whole.lm").read_bytes()


def test_sums_can_be_added_up_again(lmkit, shelf, write, work):
    for number, name in enumerate(("corpus.txt", "other.txt", "test.txt")):
        lmkit("ngram", "count", "--order", "3", shelf[name], "-o", f"{number}.lm")
    lmkit("ngram", "merge", "0.lm", "1.lm", "-o", "01.lm")
    lmkit("ngram", "merge", "1.lm", "2.lm", "-o", "12.lm")
    for words in (["01.lm", "2.lm"], ["0.lm", "12.lm"], ["0.lm", "1.lm", "2.lm"]):
        assert lmkit("ngram", "merge", *words, "-o", "-".join(words)).status == 0
    assert len({(work / name).read_bytes() for name in ("01.lm-2.lm", "0.lm-12.lm", "0.lm-1.lm-2.lm")}) == 1


@pytest.mark.parametrize("smoothing", ["modified-kneser-ney", "witten-bell", "jelinek-mercer", "mle", "katz"])
def test_models_of_counts_are_models_of_texts(smoothing, lmkit, shelf, work):
    options = ["-q", "--order", "3", "--smoothing", smoothing]
    lmkit("ngram", "fit", *options, shelf["corpus.txt"], "-o", "of-text.lm")
    lmkit("ngram", "count", "--order", "3", shelf["corpus.txt"], "-o", "counts.lm")
    assert lmkit("ngram", "fit", *options, "--from-counts", "counts.lm", "-o", "of-counts.lm").status == 0
    of_text, of_counts = (checkpoint.parse((work / name).read_bytes()) for name in ("of-text.lm", "of-counts.lm"))
    assert (of_text.config, of_text.tokenizer) == (of_counts.config, of_counts.tokenizer)
    assert of_text.tensors.keys() == of_counts.tensors.keys()
    for key, tensor in of_text.tensors.items():
        assert of_counts.tensors[key].tolist() == tensor.tolist()


def test_models_of_lower_order_from_the_same_counts(lmkit, fails, shelf, work):
    lmkit("ngram", "count", "--order", "4", shelf["corpus.txt"], "-o", "counts.lm")
    for order in "0123":
        options = ["-q", "--order", order, "--smoothing", "witten-bell"]
        assert lmkit("ngram", "fit", *options, "--from-counts", "counts.lm", "-o", "of-counts.lm").status == 0
        lmkit("ngram", "fit", *options, shelf["corpus.txt"], "-o", "of-text.lm")
        same = [lmkit("ppl", "-b", "-m", name, shelf["test.txt"]).text for name in ("of-text.lm", "of-counts.lm")]
        assert same[0] == same[1] != ""
    assert "--order 4" in fails(4, "ngram", "fit", "--from-counts", "--order", "5", "counts.lm").stderr


@pytest.mark.parametrize(
    "options",
    [["--max-vocab", "2"], ["--min-count", "3"], ["--vocab", "words.txt"], ["--tokens", "char"]],
    ids=" ".join,
)
def test_options_of_counting_are_not_passed_over_in_silence(options, lmkit, shelf, write):
    """From counts, the vocabulary is limited as it would be from the text, or the option is refused."""
    write("words.txt", b"the\ncat\n")
    common = ["-q", "--order", "2", "--smoothing", "witten-bell", *options]
    done = lmkit("ngram", "fit", *common, "--from-counts", shelf["counts.lm"], "-o", "of-counts.lm")
    if done.status == 0:
        lmkit("ngram", "fit", *common, shelf["corpus.txt"], "-o", "of-text.lm")
        tables = [lmkit("ngram", "export", name).stdout for name in ("of-counts.lm", "of-text.lm")]
        assert tables[0] == tables[1]
    assert done.status in (0, 2)


def test_counts_of_different_kinds_do_not_add_up(fails, lmkit, shelf):
    lmkit("ngram", "count", "--order", "2", shelf["corpus.txt"], "-o", "two.lm")
    lmkit("ngram", "count", "--order", "3", "--tokens", "char", shelf["corpus.txt"], "-o", "char.lm")
    fails(2, "ngram", "merge", shelf["counts.lm"], "two.lm")
    fails(2, "ngram", "merge", shelf["counts.lm"], "char.lm")


def test_a_limited_vocabulary(lmkit, shelf, work):
    lmkit("ngram", "count", "--order", "1", "--min-count", "5", shelf["corpus.txt"], "-o", "c.lm")
    lmkit("ngram", "export", "c.lm", "-o", "c.tsv")
    words = Counter(shelf["corpus.txt"].read_text(encoding="utf-8").split())
    kept = {(word,): count for word, count in words.items() if count >= 5}
    exported = counted(work / "c.tsv")
    assert {gram: count for gram, count in exported.items() if gram[0] not in MARKS} == kept
    assert exported["<unk>",] == sum(words.values()) - sum(kept.values())
    lmkit("ngram", "count", "--order", "1", "--max-vocab", "3", shelf["corpus.txt"], "-o", "c.lm")
    lmkit("ngram", "export", "c.lm", "-o", "c.tsv")
    assert {gram[0] for gram in counted(work / "c.tsv")} - set(MARKS) == {word for word, _ in words.most_common(3)}


def test_a_vocabulary_from_a_file(lmkit, fails, shelf, write, work):
    write("words.txt", b"cat\nthe\nnever-seen\n<unk>\n\ncat\n")
    lmkit("ngram", "count", "--order", "2", "--vocab", "words.txt", shelf["corpus.txt"], "-o", "c.lm")
    lmkit("ngram", "export", "c.lm", "-o", "c.tsv")
    assert {gram[0] for gram in counted(work / "c.tsv")} == {"cat", "the", *MARKS}
    write("words.txt", b"two words\n")
    assert "words.txt" in fails(3, "ngram", "count", "--vocab", "words.txt", shelf["corpus.txt"]).stderr
    fails(2, "ngram", "count", "--vocab", "words.txt", "--min-count", "2", shelf["corpus.txt"])


@pytest.mark.parametrize(
    "smoothing",
    [
        "modified-kneser-ney",
        "kneser-ney",
        "absolute",
        "witten-bell",
        "jelinek-mercer",
        "katz",
        "add-k",
        "mle",
        "stupid-backoff",
    ],
)
def test_words_of_a_vocabulary_need_not_be_in_the_text(smoothing, lmkit, shelf, write):
    write("words.txt", b"never-seen\nthe\ncat\nnor-this\n")
    done = lmkit(
        "ngram",
        "fit",
        "-q",
        "--order",
        "3",
        "--smoothing",
        smoothing,
        "--vocab",
        "words.txt",
        shelf["corpus.txt"],
        "-o",
        "m.lm",
    )
    assert done.status == 0, done.stderr
    records = lmkit("next", "--json", "--all", "--logits", "-m", "m.lm", "--prompt", "the").records
    if smoothing != "stupid-backoff":
        assert sum(math.exp(record["logit"]) for record in records) == pytest.approx(1)


def test_sentence_marks_in_a_text_are_dropped(lmkit, write, work):
    write("marked.txt", b"<s> a b </s>\n")
    write("plain.txt", b"a b\n")
    done = lmkit("ngram", "count", "--order", "2", "marked.txt", "-o", "marked.lm")
    assert done.stderr == "lmkit: 2 words spelled <s> or </s> were dropped\n"
    assert lmkit("ngram", "count", "--order", "2", "plain.txt", "-o", "plain.lm").stderr == ""
    marked, plain = (checkpoint.parse((work / name).read_bytes()) for name in ("marked.lm", "plain.lm"))
    assert marked.tensors.keys() == plain.tensors.keys()
    assert all(marked.tensors[name].tolist() == plain.tensors[name].tolist() for name in plain.tensors)


# fit


@pytest.mark.parametrize(
    ("short", "long"),
    [("mkn", "modified-kneser-ney"), ("kn", "kneser-ney"), ("wb", "witten-bell"), ("good-turing", "katz"),
     ("interp", "jelinek-mercer"), ("backoff", "katz"), ("laplace", "add-k")],
)  # fmt: skip
def test_short_names_of_smoothings(short, long, lmkit, shelf):
    made = [
        lmkit("ngram", "fit", "-q", "--order", "2", "--smoothing", name, shelf["corpus.txt"]) for name in (short, long)
    ]
    assert made[0].status == 0
    assert made[0].stdout == made[1].stdout != b""


def test_add_k_by_hand(query, lmkit, shelf):
    for k in (1.0, 0.25):
        lmkit("ngram", "fit", "--order", "2", "--smoothing", "add-k", "--k", k, shelf["juan.txt"], "-o", "m.lm")
        pairs, words = grams(shelf["juan.txt"].read_text(), 2), ["yo", "soy", "Juan", "no", "salto", "</s>"]
        for first, second in itertools.product(["<s>", *words[:-1]], words):
            total = sum(count for gram, count in pairs.items() if gram[0] == first)
            (record,) = query("-m", "m.lm", f"{first} {second}")
            assert record["probability"] == pytest.approx((pairs[first, second] + k) / (total + k * len(words)))


def test_notes_of_what_fell_back_are_one_line(lmkit, shelf):
    done = lmkit("ngram", "fit", "--order", "3", shelf["juan.txt"], "-o", "m.lm")
    assert done.status == 0
    assert done.stderr.count("\n") == 1
    assert "order 2" in done.stderr
    assert lmkit("ngram", "fit", "-q", "--order", "3", shelf["juan.txt"], "-o", "m.lm").stderr == ""


@pytest.mark.parametrize(
    "options",
    [["--smoothing", "add-k", "--k", "nan"], ["--smoothing", "add-k", "--k", "inf"],
     ["--smoothing", "absolute", "--discount", "nan"],
     ["--smoothing", "stupid-backoff", "--alpha", "nan"], ["--k", "0"], ["--alpha", "0"], ["--alpha", "1.1"],
     ["--discount", "-0.1"],
     ["--discount", "1.1"], ["--memory", "nan"], ["--memory", "lots"], ["--memory", "0"], ["--memory", "-1G"],
     ["--prune", "x"],
     ["--prune", "0,-1"], ["--prune", "1"], ["--prune", "0,2,1"], ["--prune", ""], ["--order", "-1"],
     ["--order", "21"], ["--order", "x"],
     ["--max-vocab", "0"], ["--min-count", "0"], ["--threads", "0"], ["--smoothing", "good"], ["--tokens", "words"]],
    ids=" ".join,
)  # fmt: skip
def test_values_out_of_range(options, lmkit, shelf):
    done = lmkit("ngram", "fit", *options, shelf["corpus.txt"], "-o", "m.lm")
    assert done.status == 2, done.stderr


def test_enormous_values_give_no_nonsense(lmkit, shelf):
    done = lmkit(
        "ngram", "fit", "-q", "--order", "2", "--smoothing", "add-k", "--k", "1e308", shelf["corpus.txt"], "-o", "m.lm"
    )
    if done.status == 0:
        assert float(lmkit("ppl", "-b", "-m", "m.lm", shelf["corpus.txt"]).text) > 1
    else:
        assert done.status == 2, done.stderr


def test_heldout_text(lmkit, fails, shelf, write):
    options = ["--order", "3", "--smoothing", "jelinek-mercer", shelf["corpus.txt"]]
    own = lmkit("ngram", "fit", "-q", *options)
    held = lmkit("ngram", "fit", "-q", "--heldout", shelf["test.txt"], *options)
    assert (own.status, held.status) == (0, 0)
    assert own.stdout != held.stdout
    fails(3, "ngram", "fit", "--heldout", "none.txt", *options)
    fails(3, "ngram", "fit", "--heldout", write("empty.txt", b""), *options)


def test_heldout_text_of_other_tokens(lmkit, shelf):
    for tokens in ("char", "byte"):
        done = lmkit(
            "ngram",
            "fit",
            "-q",
            "--tokens",
            tokens,
            "--order",
            "2",
            "--smoothing",
            "interp",
            "--heldout",
            shelf["test.txt"],
            shelf["corpus.txt"],
            "-o",
            "m.lm",
        )
        assert done.status == 0
        assert lmkit("ppl", "-b", "-m", "m.lm", shelf["test.txt"]).status == 0


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "smoothing",
    [
        "modified-kneser-ney",
        "kneser-ney",
        "absolute",
        "witten-bell",
        "jelinek-mercer",
        "katz",
        "add-k",
        "mle",
        "stupid-backoff",
    ],
)
@pytest.mark.parametrize(
    "text",
    [b"\n", b"a a\n", b"<unk>\n",
     *(pytest.param(text, marks=pytest.mark.slow)
       for text in (b"a\n", b"a", b"a\n\n", b"\na\n", b"<s>\n", b"a b\na b\n", b"\n\n\n"))],
)  # fmt: skip
@pytest.mark.parametrize("more", [[], ["--closed-vocabulary"], ["--open-vocabulary"]], ids=["", "closed", "open"])
def test_tiny_texts_give_distributions(smoothing, text, more, lmkit, write):
    for order in "123":
        done = lmkit(
            "ngram",
            "fit",
            "-q",
            "--order",
            order,
            "--smoothing",
            smoothing,
            *more,
            write("text.txt", text),
            "-o",
            "m.lm",
        )
        assert done.status == 0, done.stderr
        for prompt in ("", "a", "a a", "zebra"):
            records = lmkit("next", "--json", "--all", "--logits", "-m", "m.lm", "--prompt", prompt).records
            assert records
            if smoothing != "stupid-backoff":
                assert sum(math.exp(record["logit"]) for record in records) == pytest.approx(1)
        raw = lmkit("ngram", "query", "--json", "-m", "m.lm")
        assert "NaN" not in raw.text
        assert lmkit("ngram", "export", "m.lm").status == 0


@pytest.mark.parametrize("tokens", ["word", "char", "byte"])
@pytest.mark.parametrize("command", ["fit", "count"])
def test_tokens_of_every_kind(tokens, command, lmkit, shelf):
    done = lmkit("ngram", command, "--tokens", tokens, shelf["corpus.txt"], "-q", "-o", "m.lm")
    assert done.status == 0, done.stderr
    assert lmkit("info", "--json", "m.lm").records[0]["tokenizer"]["type"] == tokens


# prune


def test_pruning_drops_what_matters_least(lmkit, shelf):
    sizes, perplexities = [], []
    for threshold in ("0", "1e-6", "1e-3", "1e-2", "1e2"):
        done = lmkit("ngram", "prune", "-m", shelf["witten-bell-3.lm"], "--threshold", threshold, "-o", "m.lm")
        assert done.status == 0
        before, after = (int(word) for word in done.stderr.replace(",", " ").split() if word.isdigit())
        assert after == sum(lmkit("info", "--json", "m.lm").records[0]["config"]["ngrams"])
        sizes.append(after)
        perplexities.append(float(lmkit("ppl", "-b", "-m", "m.lm", shelf["corpus.txt"]).text))
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) >= 3
    assert before >= sizes[0]
    assert perplexities == sorted(perplexities)
    assert lmkit("info", "--json", "m.lm").records[0]["config"]["order"] == 1


def test_a_threshold_of_nothing_keeps_the_scores(lmkit, shelf):
    done = lmkit("ngram", "prune", "-q", "-m", shelf["witten-bell-3.lm"], "--threshold", "0", "-o", "m.lm")
    assert (done.status, done.stderr) == (0, "")
    (before,), (after,) = (
        lmkit("ppl", "--json", "-m", model, shelf["test.txt"]).records for model in (shelf["witten-bell-3.lm"], "m.lm")
    )
    assert after["nats"] == pytest.approx(before["nats"], rel=1e-9)


def test_pruning_where_words_are_possible_after_others_only(lmkit, write, one_line):
    """An n-gram of words that alone have probability 0: nothing to warn of."""
    text = b"\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-99\t<unk>\t0\n0\t<s>\t0\n0\t</s>\n-99\ta\t0\n\n"
    write("m.arpa", text + b"\\2-grams:\n-0.30103\ta a\n\n\\end\\\n")
    done = lmkit("ngram", "prune", "-m", "m.arpa", "-o", "pruned.lm")
    assert done.status == 0, done.stderr
    one_line(done.stderr)


@pytest.mark.parametrize("threshold", ["-1", "x", "nan"])
def test_thresholds_that_are_none(threshold, lmkit, shelf):
    assert lmkit("ngram", "prune", "-m", shelf["witten-bell-3.lm"], "--threshold", threshold).status == 2


@pytest.mark.parametrize(
    "name",
    ["word-0.lm", "mle-3.lm", "add-k-3.lm", "katz-3.lm", "char-katz.lm", "mkn.arpa", "mixed.lm"],
)
def test_any_model_can_be_pruned(name, lmkit, shelf):
    done = lmkit("ngram", "prune", "-q", "-m", shelf[name], "--threshold", "1e-3", "-o", "m.lm")
    assert done.status == 0, done.stderr
    assert lmkit("ppl", "-b", "-q", "-m", "m.lm", shelf["corpus.txt"]).status == 0


# mix


def test_linear_mixtures_by_hand(query, lmkit, shelf):
    """Where both list an n-gram, and where one does not know the word at all."""
    first, second = shelf["witten-bell-2.lm"], shelf["other.lm"]
    assert lmkit("ngram", "mix", "-m", first, "-m", second, "--weights", "0.7,0.3", "-o", "m.lm").status == 0
    for gram in ("the cat", "<s> the", "cat saw", "in the", "</s>", "the"):
        one, other, both = (query("-m", model, gram)[0]["probability"] for model in (first, second, "m.lm"))
        assert both == pytest.approx(0.7 * one + 0.3 * other)
    assert query("-m", "m.lm", "dragon")[0]["probability"] == pytest.approx(
        0.3 * query("-m", second, "dragon")[0]["probability"]
    )


def test_weights_are_shares(lmkit, shelf, work):
    options = ["ngram", "mix", "-m", shelf["witten-bell-2.lm"], "-m", shelf["other.lm"]]
    made = [lmkit(*options, "--weights", weights) for weights in ("1,1", "0.5,0.5", "7 7")] + [lmkit(*options)]
    assert len({done.stdout for done in made}) == 1
    assert made[0].status == 0


def test_tuned_weights_favour_the_better_model(lmkit, shelf):
    options = ["ngram", "mix", "-m", shelf["witten-bell-2.lm"], "-m", shelf["other.lm"], "-o", "m.lm"]
    for text, favoured in (("corpus.txt", 0), ("other.txt", 1)):
        done = lmkit(*options, "--tune", shelf[text])
        assert done.status == 0
        weights = lmkit("info", "--json", "m.lm").records[0]["config"]["weights"]
        assert sum(weights) == pytest.approx(1)
        assert weights[favoured] > 0.8
        tuned = float(lmkit("ppl", "-b", "-m", "m.lm", shelf[text]).text)
        lmkit(*options)
        assert tuned < float(lmkit("ppl", "-b", "-m", "m.lm", shelf[text]).text)


def test_log_linear_mixture_of_a_model_with_itself_is_the_model(query, lmkit, shelf):
    name = shelf["witten-bell-3.lm"]
    assert lmkit("ngram", "mix", "--log-linear", "-m", name, "-m", name, "-o", "m.lm").status == 0
    for gram in ("the cat sat", "<s> the", "zebra", "the zebra", "cat </s>"):
        assert query("-m", "m.lm", gram)[0]["probability"] == pytest.approx(query("-m", name, gram)[0]["probability"])


def test_log_linear_weights_are_tuned(lmkit, shelf):
    done = lmkit(
        "ngram",
        "mix",
        "--log-linear",
        "-m",
        shelf["witten-bell-2.lm"],
        "-m",
        shelf["other.lm"],
        "--tune",
        shelf["test.txt"],
        "-o",
        "m.lm",
    )
    assert done.status == 0
    assert "weights" in done.stderr


@pytest.mark.parametrize("weights", ["", "1", "1,2,3", "x,y", "-1,2", "0,0", "nan,1", "inf,1", "1e400,1"])
def test_weights_that_are_none(weights, fails, shelf):
    fails(2, "ngram", "mix", "-m", shelf["witten-bell-2.lm"], "-m", shelf["other.lm"], "--weights", weights)


def test_mixtures_that_can_not_be(fails, shelf, write):
    two = ["-m", shelf["witten-bell-2.lm"], "-m", shelf["other.lm"]]
    fails(2, "ngram", "mix")
    fails(2, "ngram", "mix", *two[:2])
    fails(2, "ngram", "mix", *two, "--weights", "1,1", "--tune", shelf["test.txt"])
    fails(2, "ngram", "mix", "-m", "-", "-m", shelf["other.lm"], "--tune", "-")
    fails(4, "ngram", "mix", "-m", shelf["witten-bell-2.lm"], "-m", shelf["char-katz.lm"])
    fails(4, "ngram", "mix", "-m", shelf["witten-bell-2.lm"], "-m", shelf["counts.lm"])


@pytest.mark.parametrize("way", [[], ["--log-linear"]], ids=["linear", "log-linear"])
def test_weights_can_not_be_tuned_on_nothing(way, fails, shelf, write):
    two = ["-m", shelf["witten-bell-2.lm"], "-m", shelf["other.lm"]]
    fails(3, "ngram", "mix", *way, *two, "--tune", write("empty.txt", b""))


# coverage


def test_coverage_by_hand(lmkit, shelf):
    train, test = shelf["corpus.txt"].read_text(encoding="utf-8"), shelf["test.txt"].read_text(encoding="utf-8")
    done = lmkit("ngram", "coverage", "--json", "--max-order", "3", shelf["corpus.txt"], shelf["test.txt"])
    assert done.status == 0
    for record in done.records:
        seen, wanted = grams(train, record["order"]), grams(test, record["order"])
        if record["order"] == 1:
            del wanted["<s>",]
        hits = {gram: count for gram, count in wanted.items() if gram in seen}
        assert record["types"] == len(wanted)
        assert record["tokens"] == sum(wanted.values())
        assert record["tokens_seen"] == sum(hits.values())
        assert record["types_seen"] == len(hits)
        assert record["coverage"] == pytest.approx(sum(hits.values()) / sum(wanted.values()))
        assert record["types_coverage"] == pytest.approx(len(hits) / len(wanted))
    assert [record["order"] for record in done.records] == [1, 2, 3]


def test_a_text_covers_itself(lmkit, shelf):
    done = lmkit("ngram", "coverage", "--json", shelf["corpus.txt"], "-", stdin=shelf["corpus.txt"].read_bytes())
    assert [record["coverage"] for record in done.records] == [1] * 5
    assert lmkit("ngram", "coverage", "-", "-").status == 2


# import and export


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "name",
    [
        "modified-kneser-ney-4.lm",
        "katz-3.lm",
        "count-pruned.lm",
        "mixed.lm",
        "word-0.lm",
        "mle-3.lm",
        "pruned.lm",
        "four.lm",
    ],
)
def test_arpa_files_keep_every_score(name, lmkit, shelf, work):
    assert lmkit("ngram", "export", shelf[name], "-o", "m.arpa").status == 0
    assert lmkit("ngram", "import", "m.arpa", "-o", "m.lm").status == 0
    scores = [
        [
            record["nats"]
            for record in lmkit("score", "--json", "-m", model, shelf["test.txt"], shelf["corpus.txt"]).records
        ]
        for model in (shelf[name], "m.arpa", "m.lm")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-9)
    assert scores[1] == scores[2]
    lmkit("ngram", "export", "m.lm", "-o", "again.arpa")
    assert (work / "again.arpa").read_bytes() == (work / "m.arpa").read_bytes()


def test_arpa_files_written_by_hand(query, shelf):
    grams = ["a", "</s>", "<s> a", "a b", "<s> a b", "a b </s>", "b a", "zebra"]
    answers = query("-m", shelf["by-hand.arpa"], *grams)
    expected = [0.5, 0.2, 0.75, 0.5, 0.7, 0.9, 0.5, 0.1]
    assert [answer["probability"] for answer in answers] == pytest.approx(expected, rel=1e-9)
    assert [answer["order"] for answer in answers] == [1, 1, 2, 2, 3, 3, 1, 1]
    assert query("-m", shelf["by-hand.lm"], *grams) == answers


def test_arpa_files_can_be_compressed(lmkit, shelf, work):
    import gzip

    assert lmkit("ngram", "export", shelf["juan.lm"], "-o", "m.arpa.gz").status == 0
    assert lmkit("ngram", "export", shelf["juan.lm"], "-o", "m.arpa").status == 0
    assert gzip.decompress((work / "m.arpa.gz").read_bytes()) == (work / "m.arpa").read_bytes()
    assert (
        lmkit("ppl", "-b", "-m", "m.arpa.gz", shelf["juan.txt"]).text
        == lmkit("ppl", "-b", "-m", "m.arpa", shelf["juan.txt"]).text
        != ""
    )


@pytest.mark.parametrize(
    "change",
    [(b"ngram 1=5", b"ngram 1=6"), (b"ngram 2=4\n", b""), (b"\\2-grams:", b"\\4-grams:"), (b"\\end\\", b""),
     (b"-0.6020599913279624\ta a\t0", b"x\ta a\t0"),
     (b"-0.6020599913279624\ta a\t0", b"-0.6\ta zebra\t0"), (b"-0.6020599913279624\ta a\t0", b"-0.6\ta b\t0"),
     (b"-0.6020599913279624\ta a\t0", b"0.6\ta a\t0"),
     (b"-0.6020599913279624\ta a\t0", b"-0.6\ta"), (b"-0.6020599913279624\ta a\t0", b"nan\ta a\t0"),
     (b"-0.6989700043360187\tb\t0", b"-0.6\ta\t0"),
     (b"ngram 3=2", b"ngram 3=99999999999999999"), (b"ngram 3=2", b"ngram 3=-2"), (b"-1.0\t<unk>\t0", b"-1.0")],
    ids=lambda change: str(change[1]),
)  # fmt: skip
def test_arpa_files_that_are_wrong(change, fails, shelf, write):
    data = shelf["by-hand.arpa"].read_bytes()
    assert data.count(change[0]) == 1
    write("bad.arpa", data.replace(*change))
    done = fails(4, "ngram", "import", "bad.arpa")
    assert done.stderr.startswith("lmkit ngram import: bad.arpa: ")
    assert fails(4, "next", "-m", "bad.arpa").stderr.startswith("lmkit next: bad.arpa: ")


JUNK = st.sampled_from(
    [
        b"",
        b"\t",
        b"\n",
        b"-99",
        b"nan",
        b"inf",
        b"-1e999",
        b"9" * 20,
        b"<s>",
        b"<unk>",
        b"\\end\\",
        b"\\1-grams:",
        b"\xff",
        b"\0",
        b"1_0",
    ]
)


@settings(max_examples=60)
@given(edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 9), JUNK), min_size=1, max_size=3))
def test_arpa_files_with_anything_in_them(edits, lmkit, shelf, write):
    data = shelf["by-hand.arpa"].read_bytes()
    for place, length, junk in edits:
        place %= len(data)
        data = data[:place] + junk + data[place + length :]
    write("odd.arpa", data)
    for words in (
        ["ngram", "import", "odd.arpa"],
        ["next", "-m", "odd.arpa", "--json"],
        ["ngram", "prune", "-q", "-m", "odd.arpa"],
    ):
        done = lmkit(*words)
        assert done.status in (0, 3, 4), done.stderr
        assert b"NaN" not in done.stdout


def test_arpa_files_cut_anywhere(lmkit, shelf, write):
    data = shelf["by-hand.arpa"].read_bytes()
    for length in range(0, len(data) - 6, 7):
        write("bad.arpa", data[:length])
        assert lmkit("next", "-m", "bad.arpa").status == 4


@pytest.mark.parametrize(
    "change",
    [
        (b"\n", b"\r\n"),
        (b"\t", b"  "),
        (b"<unk>", b"<UNK>"),
        (b"\\data\\", b"made by hand\n\n\\data\\"),
        (b"-1.0\t<unk>\t0", b"-1.0\t<unk>"),
    ],
)
def test_arpa_files_of_other_hands(change, lmkit, shelf, write):
    write("other.arpa", shelf["by-hand.arpa"].read_bytes().replace(*change))
    done = lmkit("ppl", "--json", "-m", "other.arpa", stdin=b"a b\nb a zebra\n")
    assert done.status == 0, done.stderr
    (plain,) = lmkit("ppl", "--json", "-m", shelf["by-hand.arpa"], stdin=b"a b\nb a zebra\n").records
    assert done.records[0]["nats"] == plain["nats"]


def test_tables_of_counts_come_back(lmkit, shelf, work):
    assert lmkit("ngram", "export", shelf["counts.lm"], "-o", "c.tsv").status == 0
    assert lmkit("ngram", "import", "--counts", "c.tsv", "-o", "c.lm").status == 0
    assert lmkit("ngram", "export", "c.lm").stdout == (work / "c.tsv").read_bytes()
    rows = (work / "c.tsv").read_bytes().splitlines(keepends=True)
    (work / "twice.tsv").write_bytes(b"".join(sorted(rows + rows)))
    assert lmkit("ngram", "import", "--counts", "twice.tsv", "-o", "twice.lm").status == 0
    once = counted(work / "c.tsv")
    lmkit("ngram", "export", "twice.lm", "-o", "twice.tsv")
    assert counted(work / "twice.tsv") == {gram: 2 * count for gram, count in once.items()}
    for model in ("c.lm", str(shelf["counts.lm"])):
        assert (
            lmkit(
                "ngram",
                "fit",
                "-q",
                "--from-counts",
                "--order",
                "3",
                "--smoothing",
                "wb",
                model,
                "-o",
                f"{model == 'c.lm'}.lm",
            ).status
            == 0
        )
    first, second = (float(lmkit("ppl", "-b", "-m", f"{name}.lm", shelf["test.txt"]).text) for name in (True, False))
    assert first == pytest.approx(second)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a\n",
        b"a\tb\n",
        b"a\t-1\n",
        b"a\t1.5\n",
        b"\t3\n",
        b"a b\t3\n",
        b"a\t3\na b c\t1\n",
        b"a\t99999999999999999999\n",
    ],
)
def test_tables_of_counts_that_are_none(text, lmkit, write, one_line):
    done = lmkit("ngram", "import", "--counts", write("c.tsv", text), "-o", "c.lm")
    assert done.status == 3
    one_line(done.stderr)
    assert "c.tsv" in done.stderr


def test_characters_keep_their_scores_as_arpa(lmkit, write):
    """A space is written as U+2581, which a text can hold too."""
    write("text.txt", "a \u2581 b\n".encode())
    lmkit("ngram", "fit", "-q", "--tokens", "char", "--order", "2", "--smoothing", "wb", "text.txt", "-o", "m.lm")
    assert lmkit("ngram", "export", "m.lm", "-o", "m.arpa").status == 0
    assert lmkit("ngram", "import", "m.arpa", "-o", "again.lm").status == 0


def test_word_pieces_keep_their_scores_as_arpa(lmkit, write, work):
    from tiny_encoders import tokenizer

    from lmkit.checkpoint import serialize
    from lmkit.tokenization.tokenizer_file import TokenizerFile

    (work / "pieces.lm").write_bytes(b"".join(serialize(TokenizerFile(tokenizer()).to_checkpoint({}))))
    text = write("text.txt", b"the cats sat on the mat\nthe tired dog ran\n")
    assert lmkit("ngram", "fit", "--order", "2", "--tokens", "pieces.lm", text, "-o", "wp.lm").status == 0
    assert lmkit("ngram", "export", "wp.lm", "-o", "wp.arpa").status == 0
    pieces = write("pieces.txt", b"the cat ##s sat on the mat\nthe tired dog ran\n")
    own, arpa = (lmkit("ppl", "-b", "-m", *files).stdout for files in (("wp.lm", text), ("wp.arpa", pieces)))
    assert float(own) == pytest.approx(float(arpa), rel=1e-9)


@pytest.mark.parametrize("tokens", ["char", "byte"])
def test_other_tokens_are_exported_with_a_word_of_warning(tokens, lmkit, shelf):
    done = lmkit("ngram", "export", shelf[f"{tokens}-witten-bell.lm"])
    assert done.status == 0
    assert done.stderr.count("\n") == 1
    lines = done.text.split("\n")
    assert lines[0] == "\\data\\"
    unigrams = done.text.partition("\\1-grams:\n")[2].partition("\n\n")[0].split("\n")
    assert all(len(line.split()) == 3 for line in unigrams)
    assert len({line.split()[1] for line in unigrams}) == len(unigrams)


def test_bad_bytes_of_heldout_text_are_replaced_on_request(lmkit, write):
    write("text.txt", b"a b\nb a\n")
    write("heldout.txt", b"a \xff\n")
    options = ["ngram", "fit", "--smoothing", "interp", "--heldout", "heldout.txt", "text.txt", "-o", "m.lm"]
    assert lmkit(*options).status == 3
    assert lmkit(*options, "--encoding-errors", "replace").status == 0
