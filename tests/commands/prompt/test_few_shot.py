"""`lmkit prompt few-shot`, `zero-shot` and `cot`: files and options in, records out."""

import json

import pytest

from lmkit.commands.options.prompting import unescaped

FRENCH = "sea otter\tloutre de mer\npeppermint\tmenthe poivrée\nplush girafe\tgirafe peluche\n".encode()
MANY = b"".join(b"text %d of many\t%s\n" % (number, b"pos" if number % 3 else b"neg") for number in range(1, 31))
ROGER = {
    "input": "Roger has 5 tennis balls. He buys 2 more cans of tennis balls. Each can has 3 tennis balls. "
    "How many tennis balls does he have now?",
    "reasoning": "Roger started with 5 balls. 2 cans of 3 tennis balls each is 6 tennis balls. 5 + 6 = 11.",
    "output": "11",
}
CAFETERIA = (
    b"The cafeteria had 23 apples. If they used 20 to make lunch and bought 6 more, how many apples do they have?\n"
)


def lines_of(*records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


@pytest.fixture
def made(lmkit):
    """The records of a command that says nothing on stderr."""

    def made(*words, stdin=b""):
        done = lmkit("prompt", *words, stdin=stdin)
        assert (done.status, done.stderr) == (0, "")
        return done.records

    return made


@pytest.fixture
def few(made, write):
    """The records of few-shot with many examples."""
    shots = write("many.tsv", MANY)
    return lambda *words, stdin=b"new\n": made("few-shot", *words, shots, stdin=stdin)


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, 1), (3, 3)])
def test_translation_by_examples(count, shown, made, write):
    words = ["--instruction", "Translate English to French:", "-k", count, write("fr.tsv", FRENCH)]
    (record,) = made("few-shot", *words, stdin=b"cheese\n")
    pairs = ["sea otter => loutre de mer\n", "peppermint => menthe poivrée\n", "plush girafe => girafe peluche\n"]
    assert record == {
        "id": 1,
        "prompt": "Translate English to French:\n" + "".join(pairs[:shown]) + "cheese =>",
        "joint": " ",
        "input": "cheese",
        "shots": [1, 2, 3][:shown],
        "labels": ["loutre de mer", "menthe poivrée", "girafe peluche"],
    }


def test_zero_shot_is_few_shot_of_none(made, write):
    stdin, words = b"cheese\n\n  a b\t\n", ["--instruction", r"Uno\ndos", "--sep", r" \\n\t"]
    few = made("few-shot", "-q", "-k", "0", *words, write("fr.tsv", FRENCH), stdin=stdin)
    zero = made("zero-shot", "-q", *words, stdin=stdin)
    assert [record["prompt"] for record in zero] == [f"Uno\ndos\n{text} \\n" for text in ("cheese", "", "  a b\t")]
    assert [{**record, "shots": [], "labels": few[0]["labels"]} for record in zero] == [
        {key: record[key] for key in (*record,)} for record in few
    ]


def test_the_answer_on_a_line_of_its_own(made, write):
    shots = write(
        "finance.tsv",
        b"Circulation revenue has increased by 5% in Finland.\tNeutral\n"
        b"Panostaja did not disclose the purchase price.\tNegative\n"
        b"Paying off the national debt will be extremely painful.\tPositive\n",
    )
    item = b"The company anticipated its operating profit to improve.\n"
    (record,) = made("few-shot", "-k", "3", "--sep", r"\n", shots, stdin=item)
    assert record["prompt"].encode() == shots.read_bytes().replace(b"\t", b"\n") + item
    assert "joint" not in record
    assert record["labels"] == ["Neutral", "Negative", "Positive"]


def test_escapes():
    assert unescaped(r"a\nb\tc\\nd\e\\") == "a\nb\tc\\nd\\e\\"


def test_records_pass_through_and_prompts_are_our_own(made, write):
    shots = write("shots.jsonl", lines_of({"id": "s", "text": "bien", "label": 1, "more": 0}))
    items = write(
        "items.jsonl",
        lines_of(
            {"id": 7, "text": "mal", "label": 0, "lang": "es", "prompt": "x", "joint": "y", "candidates": ["0"]},
            {"question": "a [Z] b", "shots": [5], "slot": 2, "dropped": 3, "labels": ["z"]},
        ),
    )
    first, second = made("few-shot", "-k", "1", shots, items)
    assert first == {
        "id": 7, "prompt": "bien => 1\nmal =>", "joint": " ", "gold": "0", "input": "mal", "shots": ["s"],
        "labels": ["1"], "lang": "es", "candidates": ["0"],
    }  # fmt: skip
    assert list(first)[:7] == ["id", "prompt", "joint", "gold", "input", "shots", "labels"]
    assert second == {
        "id": 2, "prompt": "bien => 1\na [Z] b =>", "joint": " ", "input": "a [Z] b", "shots": ["s"], "labels": ["1"],
        "slot": None,
    }  # fmt: skip


def test_fields_by_name(made, write):
    shots = write("shots.jsonl", lines_of({"x": "uno", "y": "one", "input": "no"}))
    items = write("items.jsonl", lines_of({"x": "dos", "y": 2, "input": "yes"}))
    (record,) = made("few-shot", "-k", "1", "--input-field", "x", "--output-field", "y", shots, items)
    assert (record["prompt"], record["gold"]) == ("uno => one\ndos =>", "2")


def test_forms_and_numbers(made, write):
    shots = lines_of({"input": "a", "output": "b"})
    one, two = write("one.tsv", b"u\tU\nv\n"), write("two.txt", b"w\tx\n")
    found = made("few-shot", "-q", "-k", "1", "--shots-input", "jsonl", "-", one, two, stdin=shots)
    assert [(record["id"], record["input"], record.get("gold")) for record in found] == [
        (1, "u", "U"), (2, "v", None), (3, "w\tx", None),
    ]  # fmt: skip
    records = made("few-shot", "-k", "1", "--input", "jsonl", write("s.jsonl", shots), stdin=b'\n{"input": "c"}\n')
    assert [record["id"] for record in records] == [2]


@pytest.mark.parametrize("name", ["shots", "shots.tsv", "shots.txt", "SHOTS.TSV"])
def test_examples_of_any_name_have_tabs(name, made, write):
    (record,) = made("few-shot", "-k", "1", write(name, b"a\tb\n"), stdin=b"c\n")
    assert record["prompt"] == "a => b\nc =>"


def test_compressed_records(made, write):
    import gzip

    shots = write("shots.jsonl.gz", gzip.compress(lines_of({"text": "a", "label": "b"})))
    assert made("few-shot", "-k", "1", shots, stdin=b"c\n")[0]["prompt"] == "a => b\nc =>"


def test_more_labels_than_can_be_listed(made, write):
    shots = b"".join(b"text %d\t%d\n" % (number, number) for number in range(21))
    (record,) = made("few-shot", write("shots.tsv", shots), stdin=b"new\n")
    assert "labels" not in record
    (record,) = made("few-shot", write("shots.tsv", shots[: shots.rindex(b"text")]), stdin=b"new\n")
    assert len(record["labels"]) == 20


def test_a_text_among_the_examples_is_asked_without_itself(made, write):
    shots = write("many.tsv", MANY)
    for record in made("few-shot", "-k", "29", "--select", "balanced", shots, shots):
        assert sorted([*record["shots"], record["id"]]) == list(range(1, 31))
        assert record["prompt"].count(f"{record['input']} =>") == 1


@pytest.mark.parametrize("way", ["first", "random", "balanced", "similar"])
def test_ways_to_choose(way, few):
    stdin = b"text 30 of few\nfew\n"
    one, other = few("--select", way, "--seed", "1", stdin=stdin)
    assert [one, other] == few("--select", way, "--seed", "1", stdin=stdin)
    assert len(set(one["shots"])) == 4
    assert (one["shots"] == other["shots"]) == (way != "similar")
    assert (one["shots"] == [1, 2, 3, 4]) == (way == "first")
    if way == "similar":
        assert one["shots"][0] == 30
    if way == "balanced":
        assert sorted(number % 3 == 0 for number in one["shots"]) == [False, False, True, True]
    reverse, _ = few("--select", way, "--seed", "1", "--arrange", "reversed", stdin=stdin)
    assert reverse["shots"] == one["shots"][::-1]
    mixed, _ = few("--select", way, "--seed", "1", "--arrange", "random", "--per-item", stdin=stdin)
    assert len(mixed["shots"]) == 4


def test_draws_for_each_item_hang_on_its_id(few, made, write):
    records = [{"id": f"n{number}", "text": f"item {number}"} for number in range(9)]
    words = ["--select", "random", "--per-item", "--input", "jsonl", "--arrange", "random"]
    there = few(*words, stdin=lines_of(*records))
    back = few(*words, stdin=lines_of(*records[::-1]))
    assert back[::-1] == there
    assert len({tuple(record["shots"]) for record in there}) == 9


def test_named_examples(few):
    (record,) = few("--select", "fixed", "--ids", "3, 17,5")
    assert record["shots"] == [3, 17, 5]
    (record,) = few("--select", "fixed", "--ids", "3,17,5", "-k", "2", stdin=b"text 3 of many\n")
    assert record["shots"] == [17, 5]


def test_examples_that_are_the_same_are_one(lmkit, write):
    shots = write("shots.tsv", b"a b\tp\nA  B\tq\nc\tr\n")
    done = lmkit("prompt", "few-shot", "-k", "2", shots, stdin=b"x\n")
    assert done.records[0]["shots"] == [1, 3]
    assert done.stderr == "lmkit: shots.tsv: 1 example repeats an earlier one, left out\n"


# Likeness by a model.


@pytest.fixture
def animals(lmkit, write, work):
    write("vectors.txt", b"4 2\ncat 1 0.1\ndog 0.9 0.2\nred 0 1\nblue 0.1 1\n")
    assert lmkit("w2v", "import", "vectors.txt", "-o", "vectors.lm").status == 0
    return write("shots.tsv", b"red\tcolour\nunheard\tnothing\ndog\tanimal\nblue dog\tboth\n")


def test_likeness_by_vectors(made, animals):
    words = ["few-shot", "-k", "3", "--select", "similar", "--similar-by", "vectors.lm", animals]
    cat, none, both = made(*words, stdin=b"cat\nwhat\ndog blue\n")
    assert cat["shots"] == [3, 4, 1]
    assert none["shots"] == [1, 2, 3]
    assert both["shots"] == [4, 3, 1]


@pytest.mark.parametrize("model", ["lstm.lm", "transformer-stream.lm", "ffn-documents.lm"])
def test_likeness_by_any_model_with_vectors(model, made, shelf, write, lmkit):
    import numpy as np

    texts = ["the cat sat", "a dog", "cave cave", "the cat sat on the mat", "mouse"]
    shots = write("shots.tsv", "".join(f"{text}\tx\n" for text in texts).encode())
    (record,) = made("few-shot", "-k", "5", "--select", "similar", "--similar-by", shelf[model], shots, stdin=b"the\n")
    rows = made_vectors(lmkit, shelf[model], [*texts, "the"])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert record["shots"] == (np.argsort(-(rows[:-1] @ rows[-1]), kind="stable") + 1).tolist()


def made_vectors(lmkit, model, texts):
    """What `lmkit embed` says of each text."""
    import numpy as np

    done = lmkit("embed", "--json", "-m", model, stdin="".join(f"{text}\n" for text in texts).encode())
    return np.array([record["vector"] for record in done.records])


# Budgets.


@pytest.mark.parametrize(
    ("most", "room", "kept"), [(40, 0, 4), (17, 0, 4), (16, 0, 3), (21, 5, 3), (8, 0, 1), (7, 0, 0)]
)
def test_a_budget_leaves_out_whole_examples(most, room, kept, lmkit, write, shelf):
    shots = write("shots.tsv", b"a b\tc\nd e\tf\ng h\ti\nj k\tl\n")
    words = ["-m", shelf["word-0.lm"], "--max-tokens", most, "--room", room, "--sep", " ", "--example-sep", " "]
    done = lmkit("prompt", "few-shot", "--instruction", "x x", *words, shots, stdin=b"new item\nitem\n")
    first, second = done.records
    assert first["shots"] == [1, 2, 3, 4][:kept]
    assert first.get("dropped") == (4 - kept or None)
    assert first["prompt"].startswith("x x\n")
    assert first["prompt"].endswith("new item")
    told = f"kept {kept} of 4 examples in 2 prompts"
    if second["shots"] != first["shots"]:
        told = f"kept {kept + 1} of 4 examples in 1 prompt, {kept} of 4 in 1"
    assert done.stderr == f"lmkit: {told}\n"


def test_the_least_similar_is_left_out_first(lmkit, shelf, few):
    words = ["--select", "similar", "--arrange", "reversed", "-m", str(shelf["char-witten-bell.lm"]), "-q"]
    stdin = b"text 7 of those\n"
    (whole,) = few(*words, "--max-tokens", "1000", stdin=stdin)
    (cut,) = few(*words, "--max-tokens", "70", stdin=stdin)
    assert cut["shots"] == whole["shots"][cut["dropped"] :]
    assert cut["shots"][-1] == 7
    assert cut["dropped"] == 2
    (most,) = few(*words, "--max-tokens", len(cut["prompt"]), stdin=stdin)
    assert most == cut
    (less,) = few(*words, "--max-tokens", len(cut["prompt"]) - 1, stdin=stdin)
    assert less["dropped"] == 3


def test_an_item_that_alone_is_too_long(fails, write, shelf):
    shots = write("fr.tsv", FRENCH)
    words = ["few-shot", "-k", "2", "-m", shelf["word-0.lm"], "--max-tokens", "3", shots]
    done = fails(3, "prompt", *words, write("items.txt", b"one two three four\n"))
    assert "items.txt:1: the prompt has 5 tokens without examples, expected at most 3" in done.stderr
    done = fails(3, "prompt", "zero-shot", "-m", shelf["word-0.lm"], "--max-tokens", "3", stdin=b"a\nb c d e\n")
    assert "<stdin>:2: the prompt has 5 tokens without examples, expected at most 3" in done.stderr
    assert len(done.records) == 1


# Reasoning.


def test_chains_of_thought(made, write):
    shots = write("roger.jsonl", lines_of(ROGER))
    (record,) = made("cot", "-k", "1", shots, stdin=CAFETERIA)
    question = CAFETERIA.decode().strip()
    before = f"Q: {ROGER['input']}\nA: "
    after = f"The answer is 11.\n\nQ: {question}\nA:"
    assert record["prompt"] == f"{before}{ROGER['reasoning']} {after}"
    assert (record["joint"], record["input"], record["shots"]) == (" ", question, [1])
    (standard,) = made("cot", "-k", "1", "--no-reasoning", shots, stdin=CAFETERIA)
    assert standard == {**record, "prompt": before + after}
    (zero,) = made("cot", stdin=CAFETERIA)
    assert zero == {"id": 1, "prompt": f"Q: {question}\nA: Let's think step by step.", "input": question, "shots": []}
    (none,) = made("cot", "-k", "0", "--trigger", "Veamos.", shots, stdin=CAFETERIA)
    assert none["prompt"] == f"Q: {question}\nA: Veamos."


def test_answers_of_gsm8k(made, write):
    answer = "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\n#### 24"
    shots = write("train.jsonl", lines_of({"question": "May?", "answer": answer}))
    items = write("test.jsonl", lines_of({"question": "June?", "answer": "2 * 12 = <<2*12=24>>24\n#### 1,024"}))
    (record,) = made("cot", "-k", "1", shots, items)
    assert record["prompt"] == "Q: May?\nA: Natalia sold 48/2 = 24 clips in May. The answer is 24.\n\nQ: June?\nA:"
    assert record["gold"] == "1,024"
    (kept,) = made("cot", "-k", "1", "--keep-marks", shots, items)
    assert "<<48/2=24>>24" in kept["prompt"]
    assert made("cot", shots, shots, "-k", "0")[0]["gold"] == "24"


def test_four_examples_or_those_that_are_named(made, write):
    shots = write("shots.jsonl", lines_of(*({"input": f"q{n}", "reasoning": "r", "output": "o"} for n in range(5))))
    assert [record["shots"] for record in made("cot", shots, shots)][:2] == [[2, 3, 4, 5], [1, 3, 4, 5]]
    named = made("cot", "--select", "fixed", "--ids", "3,1", shots, stdin=b"new\n")
    assert [record["shots"] for record in named] == [[3, 1]]


# What goes wrong.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["few-shot"], "Missing argument"),
        (["few-shot", "-"], "stdin is wanted for two things at once"),
        (["few-shot", "many.tsv", "-m", "-", "--max-tokens", "9"], "stdin is wanted for two things at once"),
        (["few-shot", "many.tsv", "-k", "-1"], "not in the range"),
        (["few-shot", "many.tsv", "--select", "best"], "is not one of first, random, balanced, similar, fixed"),
        (["few-shot", "many.tsv", "--select", "fixed"], "--select fixed and --ids need each other"),
        (["few-shot", "many.tsv", "--ids", "1"], "--select fixed and --ids need each other"),
        (["few-shot", "many.tsv", "--similar-by", "x"], "--similar-by needs --select similar"),
        (["few-shot", "many.tsv", "--per-item"], "--per-item needs random choices"),
        (["few-shot", "many.tsv", "--max-tokens", "9"], "--max-tokens and --model need each other"),
        (["few-shot", "many.tsv", "-m", "x"], "--max-tokens and --model need each other"),
        (["few-shot", "many.tsv", "--room", "9"], "--room needs --max-tokens"),
        (["zero-shot", "-m", "x", "--max-tokens", "9", "--room", "9"], "--room 9 leaves nothing of --max-tokens 9"),
        (["cot", "-k", "2"], "examples need SHOTS"),
        (["few-shot", "many.tsv", "-o", "many.tsv"], "would be overwritten"),
        (["few-shot", "many.tsv", "--sep", "\udcff"], "not UTF-8"),
    ],
)
def test_options_that_make_no_sense(words, message, fails, write):
    write("many.tsv", MANY)
    assert message in fails(2, "prompt", *words, stdin=b"x\n").stderr


@pytest.mark.parametrize(
    ("shots", "items", "words", "message"),
    [
        (b"", b"x\n", [], "shots: too few examples: expected 4, got 0"),
        (MANY, b"x\n", ["-k", "31"], "shots: too few examples: expected 31, got 30"),
        (MANY, b"a\ntext 3 OF many\n", ["-k", "30"], "expected 30, got 29 that differ from <stdin>:2"),
        (MANY, b"text 3 of many\n", ["--select", "fixed", "--ids", "3,4"], "got 1 that differ from <stdin>:1"),
        (MANY, b"x\n", ["--select", "fixed", "--ids", "3,no"], "shots: no example with the id 'no'"),
        (b"a\tb\nc\n", b"x\n", [], "shots:2: no output"),
        (b"a\tb\tc\n", b"x\n", [], "shots:1: 3 fields: expected an input, a tab and an output"),
        (b"{}\n", b"x\n", ["--shots-input", "jsonl"], "shots:1: no field 'input' or 'text' or 'question'"),
        (b'{"text": "a"}\n', b"x\n", ["--shots-input", "jsonl"], "shots:1: no output"),
        (b'{"text": "a", "label": [1]}\n', b"", ["--shots-input", "jsonl"], "the field 'label' has the wrong type"),
        (b'{"text": "a\\ud800"}\n', b"", ["--shots-input", "jsonl"], "shots:1: half a surrogate pair"),
        (b'{"text": "a", "label": 1, "id": []}\n', b"", ["--shots-input", "jsonl"], "its `id` is neither"),
        (b"a\tb\xff\n", b"x\n", [], "shots:1: not UTF-8 (byte 0xff, column 4)"),
        (b"a\tb\n", b"x\n\xff\n", ["-k", "1"], "<stdin>:2: not UTF-8"),
        (b"a\tb\n", b"x\n", ["-k", "1", "--input", "jsonl"], "<stdin>:1: not JSON"),
    ],
)
def test_data_that_are_wrong(shots, items, words, message, fails, write):
    done = fails(3, "prompt", "few-shot", *words, write("shots", shots), stdin=items)
    assert message in done.stderr


def test_files_that_are_wrong(fails, lmkit, write, shelf):
    write("many.tsv", MANY)
    assert "none: No such file" in fails(3, "prompt", "few-shot", "none", stdin=b"x\n").stderr
    assert "none: No such file" in fails(3, "prompt", "few-shot", "many.tsv", "none").stderr
    words = ["prompt", "few-shot", "many.tsv", "--select", "similar", "--similar-by", shelf["juan.lm"]]
    assert "a model of kind ngram has no vectors" in fails(4, *words, stdin=b"x\n").stderr
    done = fails(3, "prompt", "cot", write("s.jsonl", lines_of({"input": "a", "output": "b"})), stdin=b"x\n")
    assert "s.jsonl:1: no reasoning" in done.stderr
    done = lmkit("prompt", "few-shot", "-k", "1", "--encoding-errors", "replace", "many.tsv", stdin=b"a\xff\n")
    assert done.records[0]["input"] == "a\ufffd"
    assert "1 invalid byte sequence" in done.stderr


def test_an_endless_stream_is_answered_as_it_comes(shell, write):
    write("many.tsv", MANY)
    done = shell("yes item | lmkit prompt few-shot -k 2 --select similar many.tsv | head -3 | cut -c 1-9")
    assert (done.status, done.text, done.stderr) == (0, '{"id": 1,\n{"id": 2,\n{"id": 3,\n', "")


def test_no_items_no_prompts(lmkit, write):
    done = lmkit("prompt", "few-shot", write("many.tsv", MANY), stdin=b"")
    assert (done.status, done.text, done.stderr) == (0, "", "")


# What may not be meant.

RECORD = "this looks like JSON Lines, read as plain text; hint: --input jsonl reads records"
TABS = "lines with tabs, read as plain text; hint: --input tsv splits them"


@pytest.mark.parametrize(
    "words",
    [["few-shot", "-k", "0", "many.tsv"], ["zero-shot"], ["cot"], ["fill", "--template", "[X] is"],
     ["chat", "--template", "chatml"]],
)  # fmt: skip
@pytest.mark.parametrize(("line", "said"), [('{ "text": "a"}', RECORD), ("a\tb", TABS), ("a\tb\tc", ""), ("{a}", "")])
def test_lines_that_look_like_more_are_told_of_once_for_each_file(words, line, said, lmkit, write):
    write("many.tsv", MANY)
    names = [write("dev", f"{line}\n{line}\n".encode()), write("dev.txt", f"{line}\n".encode())]
    if words[0] != "cot":  # whose first file has the examples
        done = lmkit("prompt", *words, *names)
        assert done.stderr == "".join(f"lmkit: {name}: {said}\n" for name in ("dev", "dev.txt") if said)
    done = lmkit("prompt", *words, stdin=f"{line}\n{line}\n".encode())
    assert (len(done.records), done.stderr) == (2, f"lmkit: <stdin>: {said}\n" if said else "")
    done = lmkit("prompt", *words, "--input", "text", stdin=f"{line}\n".encode())
    assert done.stderr == ""


@pytest.mark.parametrize("words", [["zero-shot"], ["fill", "--template", "[X] is"], ["chat", "--template", "chatml"]])
def test_empty_lines_are_items_and_counted(words, lmkit):
    done = lmkit("prompt", *words, stdin=b"a\n\n\nb\n")
    assert (len(done.records), done.stderr) == (4, "lmkit: 2 empty lines, read as items\n")


@pytest.mark.parametrize("words", [["fill", "--template", "[X]"], ["chat", "--template", "chatml"]])
def test_hints_name_no_option_that_is_not_there(words, fails):
    assert "--encoding-errors" not in fails(3, "prompt", *words, stdin=b"a\xff\n").stderr
    assert "--encoding-errors" in fails(3, "prompt", "zero-shot", stdin=b"a\xff\n").stderr


def test_questions_in_the_place_of_examples(fails, write):
    done = fails(3, "prompt", "cot", write("questions.txt", b"How many?\n"), stdin=b"")
    assert "SHOTS comes first; without SHOTS, pass questions on stdin" in done.stderr
