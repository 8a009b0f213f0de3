"""`lmkit next` and `lmkit sample`."""

import math
from collections import Counter

import numpy as np
import pytest
from conftest import NEURAL

from lmkit.data.keyed_random import stream_of, uniforms
from lmkit.errors import CheckpointError
from lmkit.inference.linear import LMHead

TIES = b"""\\data\\
ngram 1=6

\\1-grams:
-99\t<unk>
-99\t<s>
-99\t</s>
-0.3979400086720376\tz
-0.3979400086720376\ta
-0.6989700043360187\tb

\\end\\
"""


@pytest.fixture
def next_(lmkit, shelf):
    """Probabilities of a b c d as they would be drawn; those dropped are left out."""

    def next_(*arguments):
        done = lmkit("next", "--json", "--all", "-m", shelf["four.arpa"], *arguments)
        assert (done.status, done.stderr) == (0, ""), done.stderr
        return {record["token"]: record["probability"] for record in done.records}

    return next_


def close(*values):
    return dict(zip("abcd", (pytest.approx(value, abs=1e-6) for value in values), strict=False))


# next


def test_plain(next_):
    assert next_() == close(0.5, 0.3, 0.15, 0.05)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [("0.5", (0.684932, 0.246575, 0.061644, 0.006849)), ("2", (0.378996, 0.293569, 0.207585, 0.119849)),
     ("4.02", (0.313891, 0.276435, 0.232654, 0.177020)), ("1", (0.5, 0.3, 0.15, 0.05)), ("0", (1,)),
     ("1e9", (0.25,) * 4)],
)  # fmt: skip
def test_temperature(temperature, expected, next_):
    assert next_("-t", temperature) == close(*expected)


@pytest.mark.parametrize("temperature", ["1e-3", "1e-100", "1e-310", "5e-324"])
def test_hardly_any_temperature(temperature, next_):
    assert next_("-t", temperature)["a"] == pytest.approx(1)


@pytest.mark.parametrize("temperature", ["1e30", "1e38"])
def test_enormous_temperature(temperature, next_):
    assert next_("-t", temperature) == close(0.25, 0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        ("1", (1,)),
        ("2", (0.625, 0.375)),
        ("3", (10 / 19, 6 / 19, 3 / 19)),
        ("4", (0.5, 0.3, 0.15, 0.05)),
        ("0", (0.5, 0.3, 0.15, 0.05)),
        ("999", (0.5, 0.3, 0.15, 0.05)),
    ],
)
def test_top_k(k, expected, next_):
    assert next_("-k", k) == close(*expected)


@pytest.mark.parametrize(
    ("p", "kept"),
    [
        ("0.5", "a"),
        ("0.500001", "ab"),
        ("0.6", "ab"),
        ("0.8", "ab"),
        ("0.81", "abc"),
        ("0.95", "abc"),
        ("0.951", "abcd"),
        ("1", "abcd"),
        ("1e-8", "a"),
        ("0", "a"),
    ],
)
def test_top_p(p, kept, next_):
    shown = next_("-p", p)
    assert "".join(shown) == kept
    assert sum(shown.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("order", "kept"),
    [("temperature,top-k,top-p", "ab"), ("top-k,temperature,top-p", "ab"), ("top-p,top-k,temperature", "a"),
     ("top-p,temperature,top-k", "a"), ("temp,top-p,top-k", "ab"), (" top-p , top-k , temp ", "a")],
)  # fmt: skip
def test_order_of_filters(order, kept, next_):
    assert "".join(next_("-t", "2", "-p", "0.5", "--order", order)) == kept


def test_filters_apply_to_what_is_left(next_):
    assert next_("-k", "3", "-p", "0.8") == close(0.625, 0.375)
    assert "".join(next_("-k", "2", "-p", "0.63")) == "ab"
    assert "".join(next_("-p", "0.63", "-k", "2", "--order", "top-p,top-k,temperature")) == "ab"
    assert "".join(next_("-k", "2", "-p", "0.62")) == "a"


def test_keys_and_order(lmkit, shelf):
    records = lmkit("next", "--json", "-m", shelf["witten-bell-3.lm"], "--prompt", "the", "--all").records
    assert all(list(record) == ["token", "id", "probability", "nats"] for record in records)
    assert sum(record["probability"] for record in records) == pytest.approx(1)
    assert all(record["nats"] == pytest.approx(math.log(record["probability"])) for record in records)
    ranks = [(-record["nats"], record["id"]) for record in records]
    assert ranks == sorted(ranks)
    top = lmkit("next", "--json", "-m", shelf["witten-bell-3.lm"], "--prompt", "the", "--top", "3").records
    assert top == records[:3]
    assert len(lmkit("next", "--json", "-m", shelf["witten-bell-3.lm"]).records) == 10


def test_prompts_are_contexts(lmkit, shelf):
    def first(*arguments):
        return lmkit("next", "--json", "-m", shelf["juan.lm"], *arguments).records[0]

    assert first()["token"] == "yo"
    assert first()["probability"] == pytest.approx(2 / 3)
    assert first("--prompt", "yo no")["token"] == "salto"
    assert first("--prompt", "yo no")["probability"] == pytest.approx(1)
    assert first("--prompt", "salto")["token"] == "</s>"


def test_logits(lmkit, shelf):
    (first, *_) = lmkit("next", "--json", "--logits", "-t", "0.5", "-m", shelf["four.arpa"]).records
    assert list(first) == ["token", "id", "probability", "nats", "logit"]
    assert first["logit"] == pytest.approx(math.log(0.5))
    assert first["nats"] == pytest.approx(math.log(0.684932), abs=1e-6)


@pytest.mark.parametrize("name", [*NEURAL, "witten-bell-3.lm", "four.arpa", "mixed.lm"])
def test_probabilities_are_the_softmax_of_logits(name, lmkit, shelf, opened):
    records = lmkit("next", "--json", "--logits", "--all", "-m", shelf[name], "--prompt", "a").records
    logits = np.array([record["logit"] for record in records])
    weights = np.exp(logits - logits.max())
    assert [record["probability"] for record in records] == pytest.approx((weights / weights.sum()).tolist(), abs=1e-6)
    own = hasattr(opened(name), "logits")
    assert own == (name in NEURAL)
    assert (abs(np.log(np.exp(logits).sum())) > 1e-3) == (own or name == "by-hand.lm")


def test_logits_of_any_size():
    """Ten thousand is no number that exp knows."""
    weight = np.array([[1e4], [-1e4], [0], [1e4]], dtype=np.float32)
    head, x = LMHead(weight, None, 3), np.ones(1, dtype=np.float32)
    assert head.logits(x).tolist() == [1e4, -1e4, 0]
    assert head.next(x).tolist() == pytest.approx([-math.log(2), -2e4 - math.log(2), -1e4 - math.log(2)])
    with pytest.raises(CheckpointError):
        head.logits(np.array([np.inf], dtype=np.float32))


def widths(done):
    """Each bar in eighths of a cell."""
    bars = [line.split("  ")[-1] if line[-1] in "▏▎▍▌▋▊▉█" else "" for line in done.lines]
    return [sum(" ▏▎▍▌▋▊▉█".index(block) for block in bar) for bar in bars]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_bars_are_as_wide_as_tokens_are_probable(columns, lmkit, shelf, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    done = lmkit("next", "--term", "-m", shelf["four.arpa"])
    assert [line.split()[:2] for line in done.lines] == [["a", "0.5"], ["b", "0.3"], ["c", "0.15"], ["d", "0.05"]]
    assert max(map(len, done.lines)) == columns
    longest = widths(done)[0]
    assert longest == 8 * (columns - len("a  0.15  "))
    assert widths(done) == [pytest.approx(longest * share, abs=0.5) for share in (1, 0.6, 0.3, 0.1)]


def test_bars_of_odd_tokens(lmkit, write, fails, shelf):
    write("text.txt", "中中\ta\n".encode())
    lmkit("ngram", "fit", "--tokens", "char", "--order", "1", "--smoothing", "wb", "text.txt", "-q", "-o", "m.lm")
    lines = lmkit("next", "-m", "m.lm", "--term", "-k", "3").lines
    assert len(lines) == 3
    assert lines[0].startswith("中  ")
    assert {line.index("0.") + line.count("中") for line in lines} == {len("</s>  ")}
    for other in ("--json", "--logits"):
        fails(2, "next", "-m", shelf["four.arpa"], "--term", other)


def test_a_table(lmkit, shelf):
    rows = lmkit("next", "-m", shelf["four.arpa"]).rows
    assert [row["token"] for row in rows] == ["a", "b", "c", "d"]
    assert [row["probability"] for row in rows] == ["0.5", "0.3", "0.15", "0.05"]
    rows = lmkit("next", "-m", shelf["char-witten-bell.lm"], "--all").rows
    assert " " in [row["token"] for row in rows]


def test_characters_that_would_break_a_table(lmkit, write):
    write("text.txt", b"a\tb\\\n")
    lmkit("ngram", "fit", "--tokens", "char", "--order", "2", "--smoothing", "wb", "text.txt", "-q", "-o", "m.lm")
    assert {row["token"] for row in lmkit("next", "-m", "m.lm", "--all").rows} == {
        "a",
        "\\t",
        "b",
        "\\\\",
        "</s>",
        "<unk>",
    }
    assert "\t" in {record["token"] for record in lmkit("next", "--json", "-m", "m.lm", "--all").records}


# Options that make no sense.


@pytest.mark.parametrize("command", ["next", "sample"])
@pytest.mark.parametrize(
    "options",
    [
        ["-t", "-1"],
        ["-t", "x"],
        ["-k", "-1"],
        ["-k", "1.5"],
        ["-p", "-0.1"],
        ["-p", "1.1"],
        ["-n", "0"],
        ["-n", "-1"],
        ["-t", "nan"],
        ["-p", "nan"],
    ],
)
def test_values_out_of_range(command, options, lmkit, shelf):
    done = lmkit(command, "-m", shelf["four.arpa"], *options)
    assert done.status == 2
    assert done.stdout == b""


def test_infinite_temperature_is_uniform_or_refused(lmkit, shelf):
    done = lmkit("next", "--json", "-m", shelf["four.arpa"], "-t", "inf")
    assert done.status in (0, 2), done.stderr
    assert all(record["probability"] == pytest.approx(0.25) for record in done.records)


@pytest.mark.parametrize("command", ["next", "sample"])
@pytest.mark.parametrize(
    ("order", "told"),
    [("", "''"), ("temperature", "top-p"), ("top-k,top-p", "temperature"), ("temp,top-p,temp", "twice"),
     ("temperature,temp,top-p", "twice"), ("a,b,c", "'a'"), ("temperature;top-p", "';'"), ("temp,top_p", "top_p")],
)  # fmt: skip
def test_orders_that_are_none(command, order, told, fails, shelf):
    done = fails(2, command, "-m", shelf["four.arpa"], "-t", "2", "-p", "0.5", "--order", order)
    assert "--order" in done.stderr
    assert told.strip("'") in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--greedy", "-t", "0.5"],
        ["--greedy", "-k", "2"],
        ["--greedy", "-p", "0.5"],
        ["--ancestral", "-t", "0.5"],
        ["--greedy", "--ancestral"],
        ["--ancestral", "-p", "0.9"],
        ["--greedy", "--top-p", "0.9"],
        ["--greedy", "--min-p", "0.1"],
        ["--greedy", "--typical", "0.5"],
        ["--greedy", "--mirostat", "3"],
        ["--ancestral", "--eta", "0.01"],
        ["--ancestral", "--presence-penalty", "1"],
        ["--mirostat", "3", "--top-k", "5"],
        ["--mirostat", "3", "--epsilon", "0.1"],
        ["--mirostat", "3", "--temperature", "0"],
        ["--mirostat-rate", "0.1"],
        ["--penalty-scope", "output"],
        ["--penalty-scope", "x", "--presence-penalty", "1"],
        ["--penalty-scope", "0", "--presence-penalty", "1"],
        ["--repetition-penalty", "0"],
    ],
)
def test_ways_that_do_not_go_together(options, fails, shelf):
    assert options[0] in fails(2, "sample", "-m", shelf["four.arpa"], *options).stderr


# sample


@pytest.fixture
def sample(lmkit, shelf):
    def sample(*arguments, model="four.arpa"):
        done = lmkit("sample", "--json", "-m", shelf[model] if isinstance(model, str) else model, *arguments)
        assert (done.status, done.stderr) == (0, ""), done.stderr
        return done.records

    return sample


def test_keys(sample):
    (record,) = sample("--prompt", "a b", "--max-tokens", "4", "--seed", "3")
    assert list(record)[:6] == ["id", "prompt", "text", "tokens", "nats", "finish_reason"]
    assert (record["id"], record["prompt"], record["tokens"], record["finish_reason"]) == (0, "a b", 4, "length")
    odds = {"a": 0.5, "b": 0.3, "c": 0.15, "d": 0.05}
    assert record["nats"] == pytest.approx(sum(math.log(odds[word]) for word in record["text"].split()))


def test_a_sample_ends_at_the_end_of_a_line(sample):
    (record,) = sample("--greedy", "--prompt", "yo no", model="juan.lm")
    assert (record["text"], record["tokens"], record["finish_reason"]) == ("salto", 1, "eos")
    assert record["nats"] == pytest.approx(0)
    (record,) = sample("--prompt", "salto", model="juan.lm")
    assert (record["text"], record["tokens"], record["finish_reason"]) == ("", 0, "eos")


def test_stops(sample, lmkit, shelf):
    (record,) = sample(
        "--prompt", "yo", "--stop", "alt", "--stop", "zzz", "--greedy", "--prompt", "yo no", model="juan.lm"
    )
    assert (record["text"], record["finish_reason"]) == ("s", "stop")
    done = lmkit("sample", "-m", shelf["juan.lm"], "--greedy", "--prompt", "yo no", "--stop", "alt")
    assert done.text == "s\n"


def test_an_empty_stop_is_refused(lmkit, shelf):
    assert lmkit("sample", "-m", shelf["four.arpa"], "--stop", "").status == 2


def test_greedy_takes_the_lowest_id_of_equals(sample, write):
    path = write("ties.arpa", TIES)
    (record,) = sample("--greedy", "--max-tokens", "3", model=path)
    assert record["text"] == "z z z"
    (record,) = sample("-t", "0", "--max-tokens", "3", model=path)
    assert record["text"] == "z z z"
    (record,) = sample("-k", "1", "--max-tokens", "3", model=path)
    assert record["text"] == "z z z"
    (record,) = sample("-p", "0", "--max-tokens", "3", model=path)
    assert record["text"] == "z z z"


def test_greedy_is_the_top_of_next(sample, lmkit, shelf):
    text = sample("--greedy", "--max-tokens", "8", model="witten-bell-3.lm")[0]["text"].split()
    for place, word in enumerate(text):
        prompt = " ".join(text[:place])
        tops = lmkit("next", "--json", "--top", "2", "--prompt", prompt, "-m", shelf["witten-bell-3.lm"]).records
        assert word in (top["token"] for top in tops[: 1 + (tops[0]["token"] == "<unk>")])


def test_same_seed_same_text(sample):
    many = sample("-n", "20", "--seed", "5", model="witten-bell-3.lm")
    assert [record["id"] for record in many] == list(range(20))
    assert sample("-n", "20", "--seed", "5", model="witten-bell-3.lm") == many
    assert sample("-n", "7", "--seed", "5", model="witten-bell-3.lm") == many[:7]
    assert sample("-n", "20", "--seed", "6", model="witten-bell-3.lm") != many
    assert len({record["text"] for record in many}) > 5


def test_longer_samples_begin_as_shorter_ones(sample):
    long = sample("-n", "5", "--max-tokens", "30")
    short = sample("-n", "5", "--max-tokens", "10")
    for one, other in zip(long, short, strict=True):
        assert one["text"].startswith(other["text"])


def test_filters_that_drop_nothing_change_nothing(sample):
    plain = sample("-n", "10", model="witten-bell-3.lm")
    assert sample("-n", "10", "-k", "0", "-p", "1", "-t", "1", "--ancestral", model="witten-bell-3.lm") == plain


def test_filtered_samples_stay_within_what_is_left(sample):
    for options, kept in ((["-k", "2"], "ab"), (["-p", "0.81"], "abc"), (["-t", "0"], "a")):
        words = " ".join(record["text"] for record in sample("-n", "20", "--max-tokens", "20", *options)).split()
        assert set(words) == set(kept)


def test_frequencies(sample):
    words = Counter(record["text"] for record in sample("-n", "4000", "--max-tokens", "1", "-t", "0.5"))
    for word, share in zip("abcd", (0.684932, 0.246575, 0.061644, 0.006849), strict=True):
        assert abs(words[word] - 4000 * share) < 5 * math.sqrt(4000 * share * (1 - share))


def test_unknown_words_are_drawn_only_when_asked_for(sample):
    options = ["-n", "100", "-t", "50", "--max-tokens", "5"]
    plain = " ".join(record["text"] for record in sample(*options, model="witten-bell-2.lm"))
    asked = " ".join(record["text"] for record in sample(*options, "--unknown", model="witten-bell-2.lm"))
    assert "<unk>" not in plain
    assert "<unk>" in asked


def test_plain_output_is_a_line_a_sample(lmkit, shelf):
    options = ["-m", shelf["witten-bell-3.lm"], "-n", "6", "--prompt", "the cat"]
    texts = [record["text"] for record in lmkit("sample", "--json", *options).records]
    assert lmkit("sample", *options).text == "".join(text + "\n" for text in texts)
    echoed = lmkit("sample", "--echo", *options).text
    assert echoed == "".join(f"the cat {text}".rstrip() + "\n" for text in texts)


@pytest.mark.parametrize("name", ["char-katz.lm", "byte-witten-bell.lm"])
def test_characters_and_bytes_join_without_a_space(name, lmkit, shelf):
    done = lmkit("sample", "-m", shelf[name], "--prompt", "the c", "--echo", "--greedy", "--max-tokens", "2")
    assert done.status == 0
    assert done.text.startswith("the c")
    assert len(done.text) <= 8
    assert done.text == "the cat\n"


@pytest.mark.few(20)
@pytest.mark.parametrize("name", ["witten-bell-2.lm", "char-witten-bell.lm", "byte-witten-bell.lm"])
@pytest.mark.parametrize("command", ["next", "sample"])
@pytest.mark.parametrize(
    "prompt", ["\udcff", "a\nb", "\u2028", "", " ", "\t", "😀", "<s>", "</s>", "<unk>", "a\0b"[:1]]
)
def test_any_prompt(name, command, prompt, lmkit, shelf):
    done = lmkit(command, "--json", "-m", shelf[name], "--prompt", prompt)
    assert done.status in (0, 2, 3), done.stderr
    done.stdout.decode()


def test_nothing_that_could_follow(fails, write):
    only_unknown = b"\\data\\\nngram 1=3\n\n\\1-grams:\n0\t<unk>\n-99\t<s>\n-99\t</s>\n\n\\end\\\n"
    fails(3, "sample", "-m", write("m.arpa", only_unknown))


def test_penalties_that_leave_nothing(fails, shelf):
    done = fails(3, "sample", "-m", shelf["four.arpa"], "--no-repeat-ngram", "1", "--prompt", "a b c d")
    assert "--no-repeat-ngram" in done.stderr


def test_generated_text_does_not_depend_on_the_machine(sample):
    """Draws are hashes of seed, prompt, sample and step: the same everywhere and for good."""
    numbers = uniforms([stream_of(seed, "k", 1) for seed in range(1000)], [2] * 1000, np.arange(1))
    assert ((numbers > 0) & (numbers < 1)).all()
    texts = [record["text"] for record in sample("-n", "2", "--max-tokens", "12")]
    assert texts == ["a b a b b b c c a b a b", "b b b b a a b c a a c b"]


# Unknown words.


@pytest.mark.parametrize(
    "command",
    [["next"], ["sample", "--max-tokens", "2"], ["prompt", "answer", "--labels", "a,b"],
     ["prompt", "tree", "--depth", "1", "--max-tokens", "2"]],
    ids=lambda command: " ".join(command[:2]),
)  # fmt: skip
def test_unknown_words_of_a_prompt_are_named(command, lmkit, shelf):
    model = shelf["witten-bell-3.lm"]
    done = lmkit(*command, "-m", model, "--prompt", "the dragon <unk> saw a basilisk dragon")
    assert done.status == 0
    said = "lmkit: unknown words in --prompt, read as <unk>: 'dragon', 'basilisk'\n"
    assert done.stderr.count(said) == 1
    assert "does not know" not in lmkit(*command, "-m", model, "--prompt", "the cat saw a").stderr
    done = lmkit(*command, "-m", shelf["char-witten-bell.lm"], "--prompt", "the \u20ac")
    assert "unknown characters in --prompt, read as <unk>: '\u20ac'" in done.stderr
