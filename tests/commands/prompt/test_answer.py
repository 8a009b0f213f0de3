"""`lmkit prompt answer`: candidates, labels, norms and what is kept of long runs."""

import json
import math

import numpy as np
import pytest
from conftest import NEURAL
from rounding import assert_nats

FILM = b"""\\data\\
ngram 1=10
ngram 2=4

\\1-grams:
-99\t<unk>
-99\t<s>\t0
-1\t</s>
-1\tla
-1\tpelicula
-1\tfue\t0
-0.6\tbacan
-0.9\tbuena
-1.1\tmala
-1.3\tterrible

\\2-grams:
-0.2\tfue bacan
-0.6\tfue buena
-0.7\tfue mala
-1.5\tfue terrible

\\end\\
"""
DECK = {"+": ["buena", "bacan"], "-": ["mala", "horrible"]}
WORDS = "buena,mala,terrible,bacan"
LN10 = math.log(10)


def lines_of(*records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


@pytest.fixture
def film(write):
    return write("film.arpa", FILM)


@pytest.fixture
def answer(lmkit):
    def answer(*arguments, stdin=b""):
        done = lmkit("prompt", "answer", "-q", *arguments, stdin=stdin)
        assert (done.status, done.stderr) == (0, "")
        return done.records

    return answer


# The answer.


def test_the_answer_of_the_course(answer, film):
    (found,) = answer("-m", film, "--prompt", "la pelicula fue [Z]", "--candidates", WORDS)
    assert (found["id"], found["answer"], found["label"]) == (1, "bacan", "bacan")
    assert list(found["scores"]) == WORDS.split(",")
    nats = {one: scores["none"] for one, scores in found["scores"].items()}
    tens = {"buena": -0.6, "mala": -0.7, "terrible": -1.5, "bacan": -0.2}
    assert nats == pytest.approx({one: LN10 * log for one, log in tens.items()}, abs=1e-6)
    assert found["scores"]["terrible"] == pytest.approx(
        {"none": -1.5 * LN10, "tokens": -1.5 * LN10, "bytes": -1.5 * LN10 / 8, "chars": -1.5 * LN10 / 8}, abs=1e-6
    )


def test_what_follows_the_answer_is_scored_with_it(answer, film):
    def nats(prompt):
        (found,) = answer("-m", film, "--prompt", prompt, "--labels", "bacan,mala")
        return [found["scores"][one]["none"] / LN10 for one in ("bacan", "mala")]

    assert nats("fue [Z]") == pytest.approx([-0.2, -0.7], abs=1e-6)
    assert nats("fue [Z] la") == pytest.approx([-1.2, -1.7], abs=1e-6)
    assert nats("[Z] fue mala") == pytest.approx([-0.6 - 1 - 0.7, -1.1 - 1 - 0.7], abs=1e-6)


def test_all_units_count_the_text_behind_the_answer(answer, film, shelf):
    (found,) = answer("-m", film, "--prompt", "la\nfue [Z] la\nla la", "--labels", "bacan,mala")
    scores = found["scores"]["bacan"]
    assert {unit: scores["none"] / scores[unit] for unit in ("tokens", "bytes", "chars")} == pytest.approx(
        {"tokens": 3, "bytes": len("bacan la\n"), "chars": len("bacan la\n")}
    )
    (found,) = answer("-m", shelf["byte-witten-bell.lm"], "--prompt", "the[Z]\u00f1a", "--labels", "cat,dog")
    scores = found["scores"]["cat"]
    assert scores["tokens"] == scores["bytes"] == pytest.approx(scores["none"] / 6)
    assert scores["chars"] == pytest.approx(scores["none"] / 5)


def test_each_norm_may_decide(answer, film):
    def chosen(norm, *more):
        (found,) = answer("-m", film, "--prompt", "fue ", "--labels", WORDS, "--norm", norm, *more)
        scores = {one: some[norm] for one, some in found["scores"].items()}
        assert found["answer"] == max(scores, key=scores.get)
        return scores

    pmi = {"buena": 0.3, "mala": 0.4, "terrible": -0.2, "bacan": 0.4}
    assert chosen("pmi") == pytest.approx({one: LN10 * log for one, log in pmi.items()}, abs=1e-6)
    assert chosen("domain", "--domain", "la pelicula") == chosen("pmi")
    for norm in ("none", "tokens", "bytes", "chars"):
        chosen(norm)


def test_calibration_replaces_the_input(answer, film):
    record = {"prompt": "la fue\nla", "input": "la"}
    (found,) = answer("-m", film, "--labels", "bacan,mala", "--norm", "calibrated",
                      "--content-free", "fue", stdin=lines_of(record))  # fmt: skip
    odds = 10 ** ((-0.6 + 1.1) - (-0.2 + 0.7))
    logs = [math.log(odds / (1 + odds)), math.log(1 / (1 + odds))]
    assert [found["scores"][one]["calibrated"] for one in ("bacan", "mala")] == pytest.approx(logs, abs=1e-6)
    assert found["input"] == "la"


def test_all_norms_are_shown_when_asked_for(answer, film):
    record = {"prompt": "la fue", "input": "la"}
    (found,) = answer("-m", film, "--labels", "mala,bacan", "--norms", "all", stdin=lines_of(record))
    assert list(found["scores"]["mala"]) == ["none", "tokens", "bytes", "chars", "pmi", "calibrated"]
    (found,) = answer("-m", film, "--labels", "mala", "--norms", "pmi", "--domain", "x", stdin=lines_of(record))
    assert list(found["scores"]["mala"]) == ["none", "tokens", "bytes", "chars", "pmi", "domain"]


def test_answers_equal_differences_of_score(answer, lmkit, opened, shelf):
    for name in ("transformer-stream.lm", "gru-stream.lm", "mingru-file.lm", "witten-bell-3.lm"):
        words = ["a", "cat", "to"]
        texts = [f"t {word}." for word in words]
        done = lmkit("score", "-b", "-m", shelf[name], "--no-eos", "-", stdin="\n".join(texts).encode())
        nats = np.array(list(map(float, done.lines)))
        (found,) = answer("-m", shelf[name], "--prompt", "t [Z].", "--labels", ",".join(words))
        scores = np.array([found["scores"][word]["none"] for word in words])
        if name in NEURAL:
            assert_nats(opened(name), scores - scores[0], nats - nats[0], size=np.abs(nats).max())
        else:
            assert scores - scores[0] == pytest.approx(nats - nats[0], abs=1e-9)


# Candidates.


def test_labels_that_are_easily_lost(answer, film):
    (found,) = answer("-m", film, "--prompt", "fue ", "--labels", "0,,buena,buen")
    assert list(found["scores"]) == ["0", "", "buena", "buen"]
    assert found["answer"] == ""
    assert found["scores"][""]["none"] == 0
    (found,) = answer("-m", film, "--prompt", "fue", "--labels", "la, mala", "--labels", "buena")
    assert list(found["scores"]) == ["la, mala", "buena"]


def test_where_candidates_come_from(answer, film, write):
    def candidates(record, *arguments):
        (found,) = answer("-m", film, *arguments, stdin=lines_of({"prompt": "fue", **record}))
        return list(found["scores"])

    both = {"candidates": ["mala", 0], "labels": ["la"]}
    assert candidates(both) == ["mala", "0"]
    assert candidates({"labels": ["la", "fue"]}) == ["la", "fue"]
    assert candidates(both, "--candidates", "buena,la") == ["buena", "la"]
    write("words.txt", b"buena\n\nla, la\n")
    assert candidates(both, "--candidates-file", "words.txt") == ["buena", "", "la, la"]
    write("v.json", b'{"la": "x", "fue": "y"}')
    assert candidates({"labels": ["x", "y"]}, "--verbalizer", "v.json") == ["la", "fue"]


@pytest.mark.parametrize(
    ("arguments", "record", "status", "message"),
    [
        ([], {"prompt": "a"}, 3, "<stdin>:1: no candidate answers"),
        ([], {"prompt": "a", "candidates": []}, 3, "<stdin>:1: `candidates` is not a list of texts"),
        ([], {"prompt": "a", "candidates": [None]}, 3, "<stdin>:1: `candidates` has values that are not texts"),
        ([], {"prompt": "a", "labels": ["b", "b"]}, 3, "<stdin>:1: `labels`: 'b' is repeated"),
        (["--labels", "a,b,a"], {"prompt": "a"}, 2, "--candidates: 'a' is repeated"),
        (["--labels", "a", "--candidates-file", "f"], {"prompt": "a"}, 2, "exclude each other"),
        (["--candidates-file", "empty"], {"prompt": "a"}, 3, "empty: no answers"),
        (["--labels", "a"], {"text": "a"}, 3, "<stdin>:1: no text `prompt`"),
        (["--labels", "a"], {"prompt": "[Z] [Z]"}, 3, "<stdin>:1: 2 slots [Z]"),
        (["--labels", "a"], {"prompt": "a [Z]", "slot": 1}, 3, "<stdin>:1: `slot` is not the position of a [Z]"),
        (["--labels", "a"], {"prompt": "a", "joint": 1}, 3, "<stdin>:1: `joint` is not a text"),
        (["--labels", "a"], {"prompt": "\ud800"}, 3, "<stdin>:1: it has half a surrogate pair"),
        (["--labels", "a", "--norm", "calibrated"], {"prompt": "a"}, 3, "<stdin>:1: no `input`"),
        (["--labels", "a", "--norm", "domain"], {"prompt": "a"}, 2, "--norm domain needs --domain"),
        (["--labels", "a", "--norms", "odd"], {"prompt": "a"}, 2, "'odd' is not one of"),
        (["--labels", "a", "--prompt", "x", "-"], {}, 2, "--prompt and FILEs exclude each other"),
        (["--prompt", "x"], {}, 2, "no candidate answers"),
        (["--labels", "a", "--strict"], {"prompt": "a"}, 2, "--strict needs --verbalizer"),
        (["--labels", "a", "--content-free", "x"], {"prompt": "a"}, 2, "--content-free needs the norm"),
        (["--labels", "a", "--prompt", "[Z][Z]"], {}, 2, "2 slots [Z]"),
        (["--labels", "a\nb"], {"prompt": "a"}, 3, "<stdin>:1: an answer has several lines"),
    ],
)
def test_what_is_refused(fails, film, write, arguments, record, status, message):
    write("empty", b"")
    stdin = (json.dumps(record) + "\n").encode()
    assert message in fails(status, "prompt", "answer", "-m", film, *arguments, stdin=stdin).stderr


# Records.


def test_the_right_slot_is_taken(answer, film):
    records = [
        {"prompt": "[Z] fue [Z]", "slot": 8},
        {"prompt": "[Z] fue", "slot": None},
        {"prompt": "fue [Z]"},
        {"prompt": "fue"},
    ]
    found = answer("-m", film, "--labels", WORDS, "--joint", " ", stdin=lines_of(*records))
    assert [each["scores"] for each in found] == [found[0]["scores"]] * 4


def test_other_fields_pass_through(answer, film, write):
    records = [
        {"prompt": "fue", "id": "x", "gold": "mala", "joint": " ", "lang": "es"},
        {"prompt": "la ", "label": "old", "scores": 1},
    ]
    write("p.jsonl", b"\n" + lines_of(*records))
    first, second = answer("-m", film, "--labels", "mala,bacan", "p.jsonl")
    assert list(first) == ["id", "answer", "label", "scores", "gold", "lang"]
    assert (first["id"], first["gold"], second["id"]) == ("x", "mala", 3)
    assert (second["label"], list(second)) == ("bacan", ["id", "answer", "label", "scores"])


def test_no_prompts_no_answers(lmkit, film):
    done = lmkit("prompt", "answer", "-m", film, "--labels", "a", stdin=b"")
    assert (done.status, done.stdout, done.stderr) == (0, b"", "")


def test_a_model_of_lines_says_what_it_sees(answer, lmkit, film):
    record = {"prompt": "la\nfue ", "id": 1}
    done = lmkit("prompt", "answer", "-m", film, "--labels", WORDS, stdin=lines_of(record, record))
    assert done.stderr.count("reads single lines") == 1
    (alone,) = answer("-m", film, "--labels", WORDS, "--prompt", "fue ")
    assert done.records == [alone, alone]


def test_a_prompt_beyond_the_context(fails, answer, shelf):
    records = [{"prompt": "a"}, {"prompt": "the cat sat on"}]
    stdin = lines_of(*records)
    done = fails(3, "prompt", "answer", "-m", shelf["transformer.lm"], "--labels", "a,b", stdin=stdin)
    assert "<stdin>:2: prompt with answer of 15 tokens exceeds the model's context of 8" in done.stderr
    assert "--window" in done.stderr
    assert len(answer("-m", shelf["transformer.lm"], "--labels", "a,b", "--window", stdin=stdin)) == 2


def test_a_tie_is_told_once(lmkit, film):
    record = {"prompt": "fue", "id": None}
    done = lmkit("prompt", "answer", "-m", film, "--labels", "x,y", stdin=lines_of(record, record))
    parted = "hint: separate them from the prompt with a --joint such as ' '"
    assert done.stderr == f"lmkit: <stdin>:1: candidates 'x', 'y' have the same tokens; {parted}\n"
    assert [(found["id"], found["answer"]) for found in done.records] == [(1, "x"), (2, "x")]


# Verbalizers.


def test_labels_of_the_course(lmkit, answer, film, write):
    write("v.json", json.dumps(DECK).encode())
    arguments = ["-m", film, "--prompt", "la pelicula fue [Z]", "--candidates", WORDS, "--verbalizer", "v.json"]
    done = lmkit("prompt", "answer", *arguments)
    assert done.stderr == "lmkit: v.json: 'terrible' without a label, 'horrible' not among the candidates\n"
    (found,) = done.records
    assert (found["answer"], found["label"]) == ("bacan", "+")
    plus = math.log(10**-0.6 + 10**-0.2)
    assert found["label_scores"]["+"]["none"] == pytest.approx(plus, abs=1e-6)
    assert found["label_scores"]["-"]["none"] == pytest.approx(-0.7 * LN10, abs=1e-6)
    (most,) = answer(*arguments, "--aggregate", "max")
    assert most["label_scores"]["+"]["none"] == pytest.approx(-0.2 * LN10, abs=1e-6)


def test_a_strict_check_refuses_what_does_not_match(fails, answer, film, write):
    write("v.json", json.dumps(DECK).encode())
    arguments = ["prompt", "answer", "-m", film, "--verbalizer", "v.json", "--strict"]
    for more, stdin in (
        [["--candidates", WORDS], b""],
        [[], lines_of({"prompt": "a", "candidates": WORDS.split(",")})],
    ):
        done = fails(3, *arguments, *more, stdin=stdin)
        assert "'terrible' without a label, 'horrible' not among the candidates" in done.stderr
    assert "no candidate has a label" in fails(3, *arguments[:-1], "--labels", "x,y").stderr
    assert len(answer("-m", film, "--verbalizer", "v.json", "--strict", stdin=lines_of({"prompt": "fue"}))) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "v.json: not JSON"), (b"[]", "not a JSON object"), (b"{", "not JSON"), (b"\xff", "not UTF-8"),
        (b'{"a": "x", "a": "y"}', "v.json: the word 'a' occurs under 'x' and under 'y'"),
        (b'{"a": ["x"], "b": ["x"]}', "v.json: the word 'x' occurs under 'a' and under 'b'"),
    ],
)  # fmt: skip
def test_what_is_no_verbalizer(fails, film, write, data, message):
    write("v.json", data)
    assert message in fails(3, "prompt", "answer", "-m", film, "--prompt", "x", "--verbalizer", "v.json").stderr


# What is finished.


@pytest.fixture
def long(shelf, write):
    """A run with a cache: the arguments, and what it writes without one."""
    prompts = [{"prompt": f"the {word} sat ", "input": word} for word in ("cat", "dog", "cat", "bird", "log")]
    write("p.jsonl", lines_of(*prompts))
    return ["prompt", "answer", "-m", shelf["lstm.lm"], "--labels", "a,the", "--norms", "all", "p.jsonl"]


def test_a_run_goes_on_from_any_byte_of_its_cache(lmkit, long, work):
    whole = lmkit(*long)
    first = lmkit(*long, "--cache", "c")
    assert (first.stdout, first.stderr) == (whole.stdout, "")
    kept = (work / "c").read_bytes()
    assert len(kept.splitlines()) == 1 + 4 + 1 + 3  # a header, prompts, nothing, three without content
    for size in [*range(0, 50, 7), *range(50, len(kept), 211), len(kept) - 1, len(kept)]:
        (work / "c").write_bytes(kept[:size])
        again = lmkit(*long, "--cache", "c")
        assert (again.status, again.stdout) == (0, whole.stdout)
        torn = size > kept.index(b"\n") and not kept[:size].endswith(b"\n")
        assert ("incomplete, removed" in again.stderr) == torn
        assert sorted((work / "c").read_bytes().splitlines()) == sorted(kept.splitlines())


def test_finished_items_are_not_asked_again(lmkit, long, work, monkeypatch):
    from lmkit.prompting import prefix_scoring

    whole = lmkit(*long, "--cache", "c")

    def unasked(*_):
        raise AssertionError

    monkeypatch.setattr(prefix_scoring.StatePrefixScorer, "endings", unasked)
    assert lmkit(*long, "--cache", "c").stdout == whole.stdout
    other = [{"--labels": "--candidates", "the": "the"}.get(word, word) for word in long]
    assert lmkit(*other, "--cache", "c", "--norm", "pmi").status == 0
    before = (work / "c").read_bytes()
    changed = ["a,cat" if word == "a,the" else word for word in long]
    assert lmkit(*changed, "--cache", "c").status != 0
    assert (work / "c").read_bytes() == before


def test_another_model_has_other_items(lmkit, long, shelf, work):
    lmkit(*long, "--cache", "c")
    size = len((work / "c").read_bytes().splitlines())
    other = [shelf["gru-stream.lm"] if word == shelf["lstm.lm"] else word for word in long]
    assert lmkit(*other, "--cache", "c").stdout == lmkit(*other).stdout
    assert len((work / "c").read_bytes().splitlines()) == 2 * size - 1


@pytest.mark.parametrize("data", [b"x", b"a text\n", b"\0\1\2", b'{"prompt": "x"}\n', b"\n"])
def test_what_is_no_cache_is_left_alone(fails, long, work, data):
    (work / "c").write_bytes(data)
    assert "no cache of finished items" in fails(3, *long, "--cache", "c").stderr
    assert (work / "c").read_bytes() == data


def test_a_damaged_cache_is_refused(fails, lmkit, long, work):
    lmkit(*long, "--cache", "c")
    lines = (work / "c").read_bytes().splitlines(keepends=True)
    for odd, message in ((b"{\n", "c:2: a damaged line"), (None, "not a score")):
        (work / "c").write_bytes(b"".join([lines[0], odd or lines[1].replace(b"[[", b"[[1, "), *lines[2:]]))
        assert message in fails(3, *long, "--cache", "c").stderr


def test_a_cache_that_cannot_be(fails, long, shelf):
    assert "is an input" in fails(2, *long, "--cache", "p.jsonl").stderr
    assert "is an input" in fails(2, *long, "--cache", "c", "-o", "p.jsonl").stderr
    assert "No such file" in fails(74, *long, "--cache", "no/c").stderr
    assert "no file that can be kept" in fails(2, *long, "--cache", "/dev/null").stderr


def test_two_runs_do_not_share_a_cache(fails, long, work):
    fcntl = pytest.importorskip("fcntl")
    with open(work / "c", "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "another run writes to it" in fails(2, *long, "--cache", "c").stderr


# What may not be meant.


def test_an_empty_prompt_is_a_prompt(answer, film):
    (found,) = answer("-m", film, "--prompt", "", "--labels", "mala,buena")
    assert (found["id"], found["answer"]) == (1, "buena")


def test_all_norms_are_those_that_a_record_can_have(answer, film, fails):
    records = [{"prompt": "la fue"}, {"prompt": "la fue", "input": "la"}]
    arguments = ["-m", film, "--labels", "mala,buena", "--joint", " "]
    one, other = answer(*arguments, "--norms", "all", stdin=lines_of(*records))
    assert list(one["scores"]["mala"]) == ["none", "tokens", "bytes", "chars", "pmi"]
    assert list(other["scores"]["mala"]) == [*one["scores"]["mala"], "calibrated"]
    (both,) = answer(*arguments, "--norms", "all", stdin=lines_of(records[1]))
    assert both["scores"] == other["scores"]
    for asked in (["--norms", "calibrated"], ["--norm", "calibrated", "--norms", "all"]):
        assert "no `input`" in fails(3, "prompt", "answer", *arguments, *asked, stdin=lines_of(records[0])).stderr
    done = fails(2, "prompt", "answer", *arguments, "--norms", "none,all", stdin=lines_of(records[0]))
    assert "`all` cannot be combined" in done.stderr


def test_escapes_in_the_joint(answer, film):
    def scores(joint):
        return answer("-m", film, "--prompt", "fue", "--labels", "mala,buena", "--joint", joint)[0]["scores"]

    assert scores(r"\t") == scores("\t") == scores(" ")


def test_blanks_around_commas(answer, film):
    (found,) = answer("-m", film, "--prompt", "fue ", "--labels", "mala, buena")
    assert found["answer"] == "buena"
    (found,) = answer("-m", film, "--prompt", "fue", "--labels", " mala", "--labels", " buena")
    assert found["answer"] == " buena"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prompt", "x", "--labels", "0,01"],
         "candidates '0', '01' have the same tokens; hint: separate them from the prompt with a --joint such as ' '"),
        (["--prompt", "x", "--labels", "0,01", "--joint", " "],
         "candidates '0', '01' have the same tokens"),
        (["--prompt", "x", "--labels", "0", "--labels", " mala"],
         "candidates '0' add no token to the prompt and cannot be scored; hint: separate them from the prompt with a "
         "--joint such as ' '"),
        (["--prompt", "fue", "--labels", "mala,buena", "--joint", " "], None),
    ],
)  # fmt: skip
def test_answers_that_are_the_same_to_the_model(lmkit, film, arguments, said):
    done = lmkit("prompt", "answer", "-m", film, *arguments)
    assert done.status == 0
    told = [line for line in done.stderr.splitlines() if "unknown words" not in line]
    assert told == ([f"lmkit: {said}"] if said else [])


def test_what_is_right_may_be_no_candidate(lmkit, film, write):
    golds = [{"prompt": "fue", "joint": " ", "gold": gold} for gold in ("mala", "bad", None, 3, "-")]
    done = lmkit("prompt", "answer", "-m", film, "--labels", "mala,buena", stdin=lines_of(*golds))
    assert done.stderr == "lmkit: 3 records have a gold label that is not among the candidates\n"
    write("v.json", b'{"mala": "-", "buena": "+"}')
    done = lmkit("prompt", "answer", "-m", film, "--verbalizer", "v.json", stdin=lines_of(*golds[-2:]))
    assert done.stderr == "lmkit: 1 record has a gold label that is not among the candidates\n"


def test_either_spelling_in_settings(lmkit, film, write, fails):
    write("s.yaml", b"labels: mala,buena\n")
    done = lmkit("prompt", "answer", "-m", film, "--prompt", "fue ", "-c", "s.yaml")
    assert done.records[0]["answer"] == "buena"
    shown = lmkit("prompt", "answer", "-c", "s.yaml", "--print-config").text
    assert "candidates:\n- mala,buena\n" in shown
    assert "labels:" not in shown
    write("s.yaml", b"labels: mala\ncandidates: buena\n")
    assert "in two spellings" in fails(2, "prompt", "answer", "-c", "s.yaml").stderr


def test_hints_name_what_there_is(fails, film, write):
    write("x.jsonl", b'{"prompt": "a"}\n')
    done = fails(2, "prompt", "answer", "-m", film, "--labels", "a,b", "--cache", "x.jsonl", "x.jsonl")
    assert "hint: give --cache a file of its own" in done.stderr
    write("bad.jsonl", b'{"prompt": "\xff"}\n')
    done = fails(3, "prompt", "answer", "-m", film, "--labels", "a,b", "bad.jsonl")
    assert "--encoding-errors" not in done.stderr
    assert "hint: lmkit prompt --help" in fails(2, "prompt", "tot").stderr
    assert "hint: lmkit --help" in fails(2, "promt", "tot").stderr


@pytest.mark.parametrize("blank", ["\n", "\n\n\n", "  \t\n", ""])
@pytest.mark.parametrize(
    "more", [(), ("--norm", "pmi"), ("--norm", "calibrated"), ("--norms", "all"), ("--cache", "c")]
)
def test_blank_lines_are_no_prompts(lmkit, film, blank, more):
    done = lmkit("prompt", "answer", "-m", film, "--labels", "bacan,mala", *more, stdin=blank.encode())
    assert (done.status, done.stdout, done.stderr) == (0, b"", "")


EMPTY_BUT_ANSWERED = [
    ("prompt", "zero-shot", "--input", "jsonl"), ("prompt", "fill", "--template", "[X]", "--input", "jsonl"),
    ("prompt", "fill", "--template", "{{ X }}", "--input", "jsonl"),
    ("prompt", "chat", "--template", "chatml", "--input", "jsonl"), ("prompt", "tree", "-m", "film.arpa"),
    ("prompt", "ablate", "-m", "film.arpa", "--shots", "-"), ("prompt", "search", "-m", "film.arpa", "--dev", "-"),
    ("prompt", "few-shot", "-"), ("prompt", "cot", "-"), ("prompt", "extract", "--frames", "-"), ("eval", "text"),
    ("eval", "classify", "--gold", "gold"), ("eval", "regress", "--gold", "gold"), ("eval", "em", "--gold", "gold"),
    ("eval", "answers", "--gold", "gold"), ("eval", "bleu", "--references", "gold"),
]  # fmt: skip


@pytest.mark.parametrize("blank", [b"\n", b" \n\t\n"])
@pytest.mark.parametrize("command", EMPTY_BUT_ANSWERED, ids=" ".join)
def test_blank_lines_are_a_bug_in_no_command(lmkit, film, write, command, blank):
    write("gold", b"1\n")
    done = lmkit(*command, stdin=blank)
    assert done.status in (0, 2, 3), done.stderr


def test_an_encoder_answers_at_the_slot(lmkit, write):
    from tiny_encoders import encoder_file

    write("enc.lm", encoder_file())
    records = b'{"id": "a", "prompt": "the cat was too [Z] because it ran.", "gold": "wide"}\n'
    asked = ("prompt", "answer", "-m", "enc.lm", "--candidates", "tired,wide,crossing")
    (found,) = lmkit(*asked, stdin=records).records
    assert found["method"] == "chain over masked pieces, from left to right"
    filled = lmkit("fill", "-m", "enc.lm", "the cat was too [MASK] because it ran.", "--top", 99, "--json").records
    nats = {one["token"]: one["nats"] for one in filled}
    assert found["scores"]["tired"]["none"] == pytest.approx(nats["tired"], abs=1e-4)
    assert found["scores"]["crossing"]["tokens"] == pytest.approx(found["scores"]["crossing"]["none"] / 2)
    assert lmkit(*asked, "--cache", "done.jsonl", stdin=records).status == 2
    write("electra.lm", encoder_file("electra"))
    assert lmkit(*asked[:3], "electra.lm", *asked[4:], stdin=records).status == 4
