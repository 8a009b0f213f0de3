"""`lmkit prompt fill`."""

import json
import sys

import pytest

COURSE = "[X]. En general la pelicula me parecio [Z]."
QUESTION = {"id": "q1", "question": "¿Qué?", "context": "Nada.", "choices": ["uno", "dos"], "answer": "dos", "k": [1]}


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def test_the_template_of_the_course(lmkit):
    command = ["prompt", "fill", "--template", COURSE, "--x", "Amé esa pelicula"]
    done = lmkit(*command)
    assert (done.status, done.stderr) == (0, "")
    prompt = "Amé esa pelicula. En general la pelicula me parecio [Z]."
    assert done.records == [{"id": 1, "prompt": prompt, "input": "Amé esa pelicula"}]
    assert lmkit(*command, "-b").text == f"{prompt}\n"


def test_items_of_lines_tsv_and_records(lmkit, write):
    template = ["prompt", "fill", "--template", r"[X]\n=> "]
    assert lmkit(*template, stdin=b"a\n\nb [Z]").records == [
        {"id": 1, "prompt": "a\n=>", "joint": " ", "input": "a"},
        {"id": 2, "prompt": "\n=>", "joint": " ", "input": ""},
        {"id": 3, "prompt": "b [Z]\n=>", "joint": " ", "slot": None, "input": "b [Z]"},
    ]
    assert lmkit(*template, write("a.tsv", b"a\tpos\nb\n")).records == [
        {"id": 1, "prompt": "a\n=>", "joint": " ", "gold": "pos", "input": "a"},
        {"id": 2, "prompt": "b\n=>", "joint": " ", "input": "b"},
    ]
    own = {"id": "x", "label": 1, "text": "a", "joint": "?", "slot": 3, "prompt": "old", "more": {"é": None}}
    records = write("a.jsonl", lines(own))
    assert lmkit(*template, records, "-", stdin=b"b").records == [
        {"id": "x", "prompt": "a\n=>", "joint": " ", "gold": "1", "text": "a", "more": {"é": None}},
        {"id": 2, "prompt": "b\n=>", "joint": " ", "input": "b"},
    ]
    pairs = ["prompt", "fill", "-b", "--template", "[X:p]? [Z], [X:h]", "--columns", "p,h", "--input", "tsv"]
    assert lmkit(*pairs, stdin=b"x y\tz\n").text == "x y? [Z], z\n"


def test_files_of_templates(lmkit, write):
    data = ["prompt", "fill", "-b", "--input", "jsonl", write("d.jsonl", lines({"text": "<a>", "tags": ["x", "y"]}))]
    assert lmkit(*data, "--template", "@plain.txt", stdin=b"").status == 3
    write("plain.txt", b"\xef\xbb\xbf[X]\r\n:\n")
    assert lmkit(*data, "--template", "@plain.txt").text == "<a>\n:\n"
    write("t.j2", b"{% for tag in tags %}\n{{ tag }}\n{% endfor %}\n{{ X }}{{ text }}\n\n")
    assert lmkit(*data, "--template", "@t.j2").text == "\nx\n\ny\n\n<a><a>\n\n"
    assert lmkit(*data, "--template", "{{ tags | join('-') }}").text == "x-y\n"


def test_multiple_choice(lmkit):
    done = lmkit("prompt", "fill", "--template", "t0-mcq", "--input", "jsonl", stdin=lines(QUESTION))
    assert done.records == [
        {
            "id": "q1",
            "prompt": "Read the context and answer the question by selecting one of the provided choices\n"
            "Question: ¿Qué?\nContext: Nada.\nChoices: (A) uno (B) dos\nAnswer:",
            "joint": " ", "gold": "dos", "candidates": ["uno", "dos"],
            "question": "¿Qué?", "context": "Nada.", "choices": ["uno", "dos"], "k": [1],
        }
    ]  # fmt: skip
    (record,) = lmkit(
        "prompt", "fill", "--template", "t0-mcq", "--answers", "letter", "--input", "jsonl", stdin=lines(QUESTION)
    ).records
    assert (record["candidates"], record["gold"]) == (["A", "B"], "B")


def test_named_formats_of_tables(lmkit):
    fill = ["prompt", "fill", "-b", "--input", "tsv", "--template"]
    assert lmkit(*fill, "gpt1", stdin=b"El home\tLa persona\nLa comida\n").lines == [
        "[START] El home [DELIM] La persona [EXTRACT]", "[START] La comida [EXTRACT]",
    ]  # fmt: skip
    done = lmkit(*fill[:2], *fill[3:], "gpt1", "--task", "similarity", stdin=b"x\ty\t1\n")
    assert done.records == [
        {"id": "1-ab", "prompt": "[START] x [DELIM] y [EXTRACT]", "gold": "1", "a": "x", "b": "y", "pair": 1,
         "order": "ab"},
        {"id": "1-ba", "prompt": "[START] y [DELIM] x [EXTRACT]", "gold": "1", "a": "y", "b": "x", "pair": 1,
         "order": "ba"},
    ]  # fmt: skip
    assert lmkit(*fill[:3], "--template", "bert", "--x", "x").text == "[CLS] x [SEP]\n"
    assert lmkit(*fill, "t5", "--task", "summarize:", stdin=b"x\ty\n").text == "summarize: x\n"


def test_the_list_of_formats_names_them_with_examples(lmkit):
    rows = {row["name"]: row for row in lmkit("prompt", "fill", "--list").rows}
    assert list(rows) == ["t0-mcq", "gpt1", "bert", "t5", "instruct"]
    assert rows["bert"] == {"name": "bert", "fields": "a, b", "example": "[CLS] a man [SEP] a person [SEP]"}


@pytest.mark.parametrize(
    ("status", "arguments", "stdin", "told"),
    [
        (2, [], "", "no template"),
        (2, ["--template", "no slots"], "", "no [X]"),
        (2, ["--template", "t0mcq"], "", "--list shows the named templates"),
        (2, ["--template", "[X][Z][Z]"], "", "--template: [Z] occurs twice"),
        (2, ["--template", "{{ x"], "", "--template: line 1: "),
        (2, ["--template", "[X]", "--x", "a", "b.txt"], "", "exclude each other"),
        (2, ["--template", "[X]", "--task", "x"], "", "--task needs a named template"),
        (2, ["--template", "bert", "--task", "similarity"], "", "does not apply to bert"),
        (2, ["--template", "gpt1", "--task", "x"], "", "does not apply to gpt1"),
        (2, ["--template", "[X]", "--columns", "a,,b"], "", "--columns"),
        (2, ["--template", "@-"], "[X]", "stdin is wanted for two things"),
        (3, ["--template", "@b.txt"], "", "b.txt: the template has neither [X]"),
        (3, ["--template", "@nowhere"], "", "nowhere: No such file"),
        (3, ["--template", "@."], "", "Is a directory"),
        (3, ["--template", "@junk"], "", "junk: not UTF-8"),
        (3, ["--template", "@bad.j2"], "", "bad.j2: line 2: "),
        (3, ["--template", "{{ x }}"], "a\n", "<stdin>:1: --template: line 1: 'x' is undefined"),
        (3, ["--template", "[X]", "--input", "jsonl"], "{}\n", "<stdin>:1: no field 'input'"),
        (3, ["--template", "[X]", "--input", "jsonl"], "[]\n", "<stdin>:1: not a JSON object"),
        (3, ["--template", "[X]", "--input", "jsonl"], '\n{"text": "\\ud800"}\n', "<stdin>:2: half a surrogate"),
        (3, ["--template", "[X]", "--input", "tsv"], "a\tb\tc\n", "<stdin>:1: 3 fields"),
        (3, ["--template", "t0-mcq", "--input", "jsonl"], '{"question": "", "context": ""}\n', "'choices'"),
        (3, ["--template", "t5"], "a\n", "<stdin>:1: no field 'task'"),
        (3, ["--template", "gpt1", "--task", "similarity"], "a\n", "<stdin>:1: similarity needs two texts"),
        (3, ["--template", "{{ 'x' * 10 ** 7 }}"], "a\n", "<stdin>:1: --template: the text has more than 1048576"),
    ],
)
def test_what_is_wrong_is_one_line(status, arguments, stdin, told, fails, write):
    write("junk", b"\xff\xfe[X]")
    write("bad.j2", b"a\n{% if %}\n")
    write("b.txt", b"b\n")
    assert told in fails(status, "prompt", "fill", *arguments, stdin=stdin.encode()).stderr


def test_records_that_are_read_as_lines_are_told_of(lmkit):
    done = lmkit("prompt", "fill", "-b", "--template", "[X]", stdin=b'{"text": "a"}\n')
    assert done.text == '{"text": "a"}\n'
    assert (
        done.stderr
        == "lmkit: <stdin>: this looks like JSON Lines, read as plain text; hint: --input jsonl reads records\n"
    )


def test_without_jinja_its_installation_is_told_and_slots_work(fails, lmkit, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert "jinja2" in fails(69, "prompt", "fill", "--template", "{{ X }}").stderr
    assert lmkit("prompt", "fill", "-b", "--template", "[X]", "--x", "a").text == "a\n"


def test_an_answer_is_looked_for_where_the_template_says(lmkit, shelf):
    prompts = lmkit("prompt", "fill", "--template", "[X] [Z] on the mat", stdin=b"the cat\nthe dog\n").stdout
    done = lmkit("prompt", "answer", "-m", shelf["witten-bell-3.lm"], "--labels", "sat,tree", stdin=prompts)
    assert [record["answer"] for record in done.records] == ["sat", "sat"]
