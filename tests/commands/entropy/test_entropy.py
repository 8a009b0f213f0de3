"""`lmkit entropy`."""

import gzip
import json
import math
import random
import subprocess
import sys
from itertools import pairwise

import pytest
from conftest import CORPUS, TEST

TEXT = CORPUS + TEST + "ñandú, año y más\r\n".encode() * 3


@pytest.fixture
def entropy(lmkit):
    """The JSON that a measurement prints."""

    def entropy(*words, stdin=b""):
        done = lmkit("entropy", "--json", *words, stdin=stdin)
        assert done.status == 0, done.stderr
        return done.records[0]

    return entropy


def number(done):
    assert done.status == 0, done.stderr
    return float(done.text)


# Distributions.


def test_a_coin_in_three_units(entropy):
    for unit, value in {"bits": 1.0, "nats": 0.693147, "hartleys": 0.301030}.items():
        record = entropy("--probs", "--unit", unit, stdin=b"0.5\n0.5\n")
        assert list(record)[:3] == ["entropy", "unit", "perplexity"]
        assert record["entropy"] == pytest.approx(value, abs=5e-7)
        assert (record["unit"], record["perplexity"]) == (unit, 2.0)


@pytest.mark.parametrize(
    ("text", "bits", "perplexity"),
    [(b"0.03125\n" * 32, 5.0, 32.0), (b"0.9 0.1", 0.468996, 1.38415), (b"1\n0\n", 0.0, 1.0), (b"-0 1", 0.0, 1.0)],
)
def test_probabilities(text, bits, perplexity, entropy, write):
    record = entropy("--probs", write("p.txt", text))
    assert record["entropy"] == pytest.approx(bits, abs=5e-7)
    assert record["perplexity"] == pytest.approx(perplexity, abs=5e-6)
    assert "-0" not in json.dumps(record)


def test_weights_and_bare_numbers(lmkit):
    assert number(lmkit("entropy", "--probs", "--normalize", "-b", stdin=b"3\ta\n1\tb\n")) == pytest.approx(0.811278)
    assert lmkit("entropy", "--probs", stdin=b"0.5 0.5").text == (
        "entropy\tunit\tperplexity\tsymbols\tdistinct\n1\tbits\t2\t2\t2\n"
    )


@pytest.mark.parametrize("text", [b"0.5\n-0.5\n", b"1\nnan\n", b"0.5\n0.49999\n", b"x\n0.5\n0.5\n", b"0\n0\n"])
def test_what_is_no_distribution_is_named(text, fails, write):
    assert ": p.txt:" in fails(3, "entropy", "--probs", write("p.txt", text)).stderr
    assert ": <stdin>" in fails(3, "entropy", "--probs", stdin=text).stderr


def test_the_largest_weights(entropy, write, fails):
    two, more = write("two", b"1e308 1e308\n"), write("more", b"1.5e308 5e307 0\n")
    assert entropy("--probs", "--normalize", two)["entropy"] == 1
    assert entropy("--probs", "--normalize", more)["entropy"] == pytest.approx(0.811278, abs=5e-7)
    pair = entropy("--probs", "--normalize", "--against", two, stdin=b"1e308 0\n")
    assert (pair["divergence"], pair["entropy"]) == (1, 0)
    for words in ([], ["--normalize"]):
        assert entropy("--joint", two, *words)["conditional"] == 1
    assert "two:1: the probabilities sum to inf" in fails(3, "entropy", "--probs", two).stderr
    assert "two:1: the prob" in fails(3, "entropy", "--probs", "--against", two, stdin=b"1 0").stderr
    assert entropy("--against", write("q", b"aab"), "--add", "1e38", stdin=b"ab")["divergence"] == 0
    assert "<stdin>:2: " in fails(3, "entropy", "--counts", stdin=b"a\t9223372036854775807\n" * 2).stderr


def test_infinity_has_one_spelling_in_json_and_one_elsewhere(lmkit, write, shelf):
    words = ["entropy", "--counts", "--against", write("q", b"c\t1\n"), write("p", b"a\t1\n")]
    assert '"divergence": Infinity' in lmkit(*words, "--json").text
    assert lmkit(*words).rows[0]["divergence"] == "inf"
    assert lmkit("entropy", "-b", "-m", shelf["juan.lm"], shelf["test.txt"]).text == "inf\n"


def test_empty_distributions(fails):
    for words in (["--probs"], ["--counts"], ["--joint", "-"], ["--counts", "-"]):
        assert "<stdin>" in fails(3, "entropy", *words).stderr
    assert "above 0" in fails(3, "entropy", "--counts", stdin=b"0\n").stderr


def test_counts_and_corrections(entropy):
    text = b"4\n2\n3\n2\n4\n2\n1\n1\n"
    plain = entropy("--counts", stdin=text)
    assert plain["entropy"] == pytest.approx(2.83978, abs=5e-6)
    assert (plain["symbols"], plain["distinct"]) == (19, 8)
    corrected = entropy("--counts", "--correction", "grassberger", stdin=text)
    assert corrected["entropy"] == pytest.approx(3.09404, abs=5e-6)
    assert corrected["perplexity"] == pytest.approx(2**3.09404, abs=5e-5)
    assert corrected["uncorrected"] == plain["entropy"]
    assert entropy("--counts", stdin=b"a\t1\nb\t2\na\t1\n")["entropy"] == 1


def test_two_distributions(entropy, write, fails):
    """Cover and Thomas, example 2.3.1."""
    record = entropy("--probs", "--against", write("q", b"0.75\n0.25\n"), stdin=b"0.5\n0.5\n")
    assert (record["divergence"], record["divergence_reverse"]) == pytest.approx((0.2075, 0.1887), abs=5e-5)
    counted = entropy("--counts", "--against", write("q", b"b\t1\na\t3\n"), stdin=b"a\t1\nb\t1\n")
    assert counted["divergence"] == record["divergence"]
    assert entropy("--counts", "--against", write("q", b"c\t1\n"), stdin=b"a\t1\n")["divergence"] == math.inf
    assert entropy("--counts", "--against", "q", "--add", "1", stdin=b"a\t1\n")["divergence"] == pytest.approx(1 / 3)
    assert (
        "1 probabilities against 2"
        in fails(3, "entropy", "--probs", "--against", write("q", b"1"), stdin=b"1 0").stderr
    )


def test_joint_tables(entropy, write, lmkit):
    table = write("t.tsv", b"\tu\tv\na\t.25\t.25\nb\t.5\t0\n")
    record = entropy("--joint", table)
    assert (record["joint"], record["entropy"], record["conditional"]) == (1.5, 1.0, 0.5)
    assert (record["entropy_x"], record["y_given_x"]) == (1.0, 0.5)
    assert record["mutual_information"] == pytest.approx(0.311278, abs=5e-7)
    assert record["joint"] == pytest.approx(record["entropy_y"] + record["x_given_y"], abs=1e-12)
    nats = entropy("--joint", "-", "--unit", "nats", stdin=b"1 1\n2 0\n")
    assert nats["joint"] == pytest.approx(1.5 * math.log(2))
    assert nats["normalised_mutual_information"] == record["normalised_mutual_information"]
    assert number(lmkit("entropy", "--joint", table, "-b")) == 1.5


# Texts.


def test_a_text_that_alternates(entropy, lmkit, write):
    for order, bits in ((0, 1.0), (1, 0.0)):
        record = entropy("--text", "-", "--unit-of", "char", "--order", order, stdin=b"abab")
        assert (record["entropy"], record["order"], record["perplexity"]) == (bits, order, 2**bits)
    rows = lmkit("entropy", "--order", "1", write("x", b"abab")).rows
    assert [(row["order"], row["entropy"], row["symbols"]) for row in rows] == [("0", "0.918296", "3"), ("1", "0", "3")]


@pytest.mark.parametrize("unit", ["byte", "char", "word", "line"])
def test_orders_never_rise(unit, entropy, write):
    record = entropy("--unit-of", unit, "--order", 5, write("x", TEXT))
    assert [row["order"] for row in record["orders"]] == list(range(6))
    entropies = [row["entropy"] for row in record["orders"]]
    assert all(after <= before + 1e-12 for before, after in pairwise(entropies))
    blocks = [row["block_entropy"] for row in record["orders"]]
    assert all(after >= before - 1e-12 for before, after in pairwise(blocks))
    assert record["entropy"] == entropies[-1]
    assert record["unit_of"] == unit


def test_units_of_one_text_compare(entropy, write):
    name = write("x", TEXT)
    symbols = {"byte": len(TEXT), "char": len(TEXT.decode()), "word": len(TEXT.split()), "line": TEXT.count(b"\n")}
    for unit, count in symbols.items():
        record = entropy("--unit-of", unit, name)
        assert record["symbols"] == count
        assert record["bits_per_byte"] == pytest.approx(record["entropy"] * count / len(TEXT))
    assert entropy("--unit-of", "byte", name)["bits_per_byte"] == entropy("--unit-of", "byte", name)["entropy"]


@pytest.mark.parametrize("unit", ["byte", "char", "word", "line"])
def test_bits_per_byte_are_of_all_symbols(unit, entropy, lmkit, write):
    name = write("x", TEXT)
    whole = entropy("--unit-of", unit, name)["symbols"]
    record = entropy("--unit-of", unit, "--order", 3, name)
    assert record["symbols"] == whole - 3
    for row in record["orders"]:
        assert row["bits_per_byte"] == pytest.approx(row["entropy"] * whole / len(TEXT))
    compared = entropy("--unit-of", unit, "--order", 3, "--compare", "gzip", name)
    assert [row["bits_per_byte"] for row in compared["orders"]] == [row["bits_per_byte"] for row in record["orders"]]


def test_a_text_is_counted_as_it_is(entropy):
    assert entropy(stdin=b"\xef\xbb\xbfa\r\n")["symbols"] == 6
    assert entropy("--unit-of", "char", stdin=b"\xef\xbb\xbfa\r\n\xc3\xa9")["symbols"] == 4
    assert entropy("--unit-of", "line", stdin=b"a\r\nb")["symbols"] == 2
    assert entropy(stdin=bytes(range(256)))["entropy"] == 8
    assert entropy(stdin=gzip.compress(bytes(range(256)) * 10))["entropy"] == 8


@pytest.mark.parametrize("unit", ["byte", "char", "line"])
def test_files_have_a_line_each_and_a_total_that_is_one_text(unit, lmkit, write):
    cut = TEXT.index(b"\n", 301) + 1
    one, two = write("1", TEXT[:cut]), write("2", TEXT[cut:])
    words = ["entropy", "--json", "--order", "1" if unit == "line" else "2", "--unit-of", unit]
    (whole,) = lmkit(*words, stdin=TEXT).records
    done = lmkit(*words, one, two)
    for typed in ([one, "--text", two], ["--text", one, "--text", two]):
        assert done.records == lmkit(*words, *typed).records
    first, second, total = done.records
    assert total == {"file": "total", **whole}
    for record, name, path in ((first, "1", one), (second, "2", two)):
        (alone,) = lmkit(*words, path).records
        assert record == {"file": name, **alone, "warning": None}
    assert lmkit(*words[:1], *words[2:], "-b", one, two).stdout == repr(whole["entropy"]).encode() + b"\n"
    rows = lmkit(*words[:1], *words[2:], one, two).stdout.splitlines()
    assert rows[0].startswith(b"file\tentropy")
    names = [name for name in (b"1", b"2", b"total") for _ in range(1 + int(words[3]))]
    assert [row.split(b"\t")[0] for row in rows[1:]] == names


def test_files_under_a_model_have_a_line_each_and_a_total(lmkit, shelf, write):
    texts = [write("1", b"the cat\n"), write("2", b"a dog sat\n")]
    model = shelf["witten-bell-3.lm"]
    found = lmkit("entropy", "--json", "-m", model, *texts).records
    ppl = lmkit("ppl", "--json", "-m", model, *texts).records
    assert [record["file"] for record in found] == ["1", "2", "total"]
    assert [record["entropy"] for record in found] == [record["bits_per_token"] for record in ppl]
    assert "file" not in lmkit("entropy", "--json", "-m", model, texts[0]).records[0]


def test_an_empty_file_counts_in_the_total_alone(lmkit, write):
    done = lmkit("entropy", "--json", write("1", TEXT), write("empty", b""))
    assert [record["file"] for record in done.records] == ["1", "total"]
    assert "empty: too short to measure" in done.stderr


@pytest.mark.parametrize(("mode", "one", "two"), [([], b"ab", b"a"), (["--counts"], b"a\t1\nb\t2\n", b"a\t1\n")])
def test_an_infinite_divergence_points_to_add(mode, one, two, lmkit, write):
    words = ["entropy", *mode, "--against", write("2", two), write("1", one)]
    done = lmkit(*words)
    assert (done.status, b"inf" in done.stdout, "--add 1" in done.stderr) == (0, True, True)
    done = lmkit(*words, "--add", "1")
    assert (done.status, b"inf" in done.stdout, done.stderr) == (0, False, "")


def test_tokens_of_a_model(entropy, shelf, fails, write):
    text = write("x", CORPUS)
    words = entropy("--unit-of", "word", text)
    for unit in ("token", "bpe"):
        tokens = entropy("--unit-of", unit, "-m", shelf["witten-bell-2.lm"], text)
        assert {**tokens, "unit_of": "", "warning": ""} == {**words, "unit_of": "", "warning": ""}
    assert "-m MODEL" in fails(2, "entropy", "--unit-of", "token", text).stderr


def test_a_warning_where_there_is_too_little(lmkit, entropy):
    done = lmkit("entropy", "--json", "--order", "3", stdin=CORPUS)
    assert "distinct blocks of 4 bytes" in done.stderr
    assert done.records[0]["warning"] in done.stderr
    assert entropy(stdin=b"ab" * 10)["warning"] is None


@pytest.mark.parametrize("unit", ["byte", "char", "word", "line"])
def test_nothing_to_count(unit, fails, write):
    assert "empty" in fails(3, "entropy", "--unit-of", unit).stderr
    assert "2 before it" in fails(3, "entropy", "--unit-of", unit, "--order", "2", write("x", b"a\n")).stderr
    held = {"byte": "2 bytes", "char": "2 chars", "word": "1 word", "line": "1 line"}[unit]
    short = fails(3, "entropy", "--unit-of", unit, "--window", "5", "x").stderr
    assert f"x: the text has {held}, fewer than --window 5" in short
    assert (
        "empty: no text to measure: the input is empty"
        in fails(3, "entropy", "--unit-of", unit, "--against", write("empty", b""), "x").stderr
    )
    fails(3, "entropy", "--unit-of", "word", stdin=b" \n\t\n")


@pytest.mark.parametrize("unit", ["byte", "char"])
def test_memory_changes_nothing(unit, lmkit, write, monkeypatch):
    from lmkit.information import block_entropy, sorted_runs

    words = ["entropy", "--json", "-q", "--order", "4", "--unit-of", unit, write("x", TEXT * 3)]
    plain = lmkit(*words)
    monkeypatch.setattr(block_entropy, "RUN", 100)
    monkeypatch.setattr(sorted_runs.Shelf, "keep", lambda self, table: self.store([table]))
    assert lmkit(*words).stdout == plain.stdout
    assert lmkit(*words, "--memory", "1M", "--temp-dir", ".").records == plain.records


# Beside other things.


def test_compressors(lmkit, write):
    text = b"ab\n" * 3000
    mixed = bytearray(text)
    random.Random(0).shuffle(mixed)
    names = ["gzip", "zlib", "bz2", "lzma", "xz"]
    found = {}
    for name, data in (("tidy", text), ("mixed", bytes(mixed))):
        done = lmkit("entropy", "--json", "--order", "1", "--compare", ",".join(names), write(name, data))
        (record,) = done.records
        assert [row["method"] for row in record["orders"]] == ["order 0 byte", "order 1 byte"]
        assert [row["method"] for row in record["compressors"]] == names
        found[name] = {row["method"]: row["bits_per_character"] for row in record["compressors"]}
        assert record["compressors"][0]["bits_per_byte"] == 8 * record["compressors"][0]["bytes"] / 9000
        rows = lmkit("entropy", "-q", "--order", "1", "--compare", ",".join(names), name).rows
        assert [row["method"] for row in rows] == ["order 0 byte", "order 1 byte", *names]
    assert all(found["tidy"][name] < found["mixed"][name] for name in names)


def test_a_compressor_that_is_missing(fails, monkeypatch):
    monkeypatch.setitem(sys.modules, "compression", None)
    monkeypatch.setitem(sys.modules, "backports", None)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    if sys.version_info < (3, 14):
        assert "backports.zstd" in fails(69, "entropy", "--compare", "gzip,zstd", stdin=b"a").stderr


def test_two_texts(entropy, write):
    record = entropy("--unit-of", "char", "--against", write("q", b"aaab"), stdin=b"ab")
    assert record["entropy"] == 1
    assert record["divergence"] == pytest.approx(1 - math.log2(3) / 2)
    assert record["divergence_reverse"] == pytest.approx(0.75 * math.log2(3) - 1)
    assert record["cross_entropy"] == pytest.approx(1 + record["divergence"])
    assert 0 < record["jensen_shannon"] < 1
    apart = entropy("--unit-of", "word", "--against", write("q", b"a b"), stdin=b"c d")
    assert (apart["divergence"], apart["divergence_reverse"], apart["jensen_shannon"]) == (math.inf, math.inf, 1)
    smooth = entropy("--unit-of", "word", "--against", "q", "--add", "1", stdin=b"c d")
    assert smooth["divergence"] == pytest.approx(1 / 3)


def test_under_a_model_as_ppl_has_it(entropy, lmkit, shelf):
    model, text = shelf["witten-bell-3.lm"], shelf["test.txt"]
    (ppl,) = lmkit("ppl", "--json", "-m", model, text).records
    record = entropy("-m", model, text)
    assert record["entropy"] == ppl["bits_per_token"]
    assert [record[key] for key in ("perplexity", "bits_per_byte", "signature")] == [
        ppl[key] for key in ("perplexity", "bits_per_byte", "signature")
    ]
    infinite = entropy("-m", shelf["juan.lm"], text)
    assert (infinite["entropy"], infinite["perplexity"]) == (math.inf, math.inf)


@pytest.mark.parametrize("order", [0, 1])
def test_windows(order, lmkit, entropy, write):
    text = "ñaábbabañ".encode()
    done = lmkit("entropy", "--json", "--unit-of", "char", "--window", "4", "--step", "2", "--order", order, stdin=text)
    for record, begin in zip(done.records, (0, 2, 4), strict=True):
        part = text.decode()[begin : begin + 4].encode()
        alone = entropy("--unit-of", "char", "--order", order, write("part", part))
        assert record["begin"] == begin
        assert [record[key] for key in ("entropy", "perplexity", "order")] == [
            alone[key] for key in ("entropy", "perplexity", "order")
        ]
    bare = lmkit("entropy", "-b", "--unit-of", "char", "--window", "4", "--step", "2", "--order", order, stdin=text)
    assert [float(line) for line in bare.lines] == [record["entropy"] for record in done.records]


@pytest.mark.few(1)
@pytest.mark.parametrize("unit", ["byte", "char", "word", "line"])
def test_windows_over_an_endless_stream(unit, shell):
    feed = "yes 'a b' | tr '\\n' ' '" if unit == "word" else "yes 'a b'"
    done = shell(f"{feed} | lmkit entropy -b --unit-of {unit} --window 4 | head -2")
    assert done.lines[0] == done.lines[1]
    assert (done.status, done.stderr) == (0, "")


def test_windows_are_written_as_they_come(clean):
    command = [sys.executable, "-m", "lmkit", "entropy", "-b", "--window", "4"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"abcda")
        process.stdin.flush()
        assert process.stdout.readline() == b"2.0\n"
        process.stdin.close()
        assert process.wait(60) == 0


# What does not go together.


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("--probs --counts", "exclude"), ("--probs --order 1", "--order"),
        ("--probs --correction miller-madow", "--correction"),
        ("--joint x y", "FILEs"), ("--counts --normalize", "--normalize"), ("--step 2", "--step needs --window"),
        ("--probs --step 2", "--step cannot be combined with --probs"),
        ("--window 2 --order 2", "--window 2"), ("--window 2 --compare gzip", "--compare"), ("--add 1", "--add"),
        ("--against x --order 1", "--order"), ("--compare rar", "rar"), ("--unit-of sentence", "sentence"),
        ("--order -1", "--order"), ("--unit bans", "bans"),
        ("--counts --against x --correction grassberger", "--correction"),
        ("--correction chao", "chao"), ("--window 0", "--window"),
        ("-m x --unit-of word", "--unit-of"), ("--memory much --order 1", "--memory"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(words, what, fails, write):
    for name in "xy":
        write(name, b"0.5 0.5\n")
    assert what in fails(2, "entropy", *words.split(), stdin=b"a b\n").stderr


def test_certainty_is_zero_under_a_model_too(entropy, lmkit, write):
    lmkit("ngram", "fit", "--order", "2", "--smoothing", "mle", "-o", "m.lm", stdin=b"a b\n")
    record = entropy("-m", "m.lm", write("x", b"a b\n"))
    assert (record["perplexity"], record["entropy"]) == (1, 0)
    assert "-0" not in json.dumps(record)
