"""`lmkit eval text`."""

import json

import pytest

LINES = b"a b a b a\na b c\na b c\n\n"
COLUMNS = [
    "file",
    "texts",
    "empty",
    "tokens",
    "mean_length",
    "vocabulary",
    "type_token_ratio",
    "duplicates",
    "distinct_1",
    "distinct_2",
    "rep_1",
    "rep_2",
    "self_bleu",
    "signature",
]


@pytest.fixture
def figures(lmkit):
    """The JSON records that a measurement prints."""

    def figures(*words, stdin=b""):
        done = lmkit("eval", "text", "--json", *words, stdin=stdin)
        assert done.status == 0, done.stderr
        return done.records

    return figures


def without(record, *keys):
    return {key: value for key, value in record.items() if key not in keys}


def test_a_table(lmkit):
    done = lmkit("eval", "text", "--order", "2", stdin=LINES)
    header, row = (line.split("\t") for line in done.text.splitlines())
    assert header == COLUMNS
    assert row[:12] == (
        ["<stdin>", "4", "1", "11", "2.75", "3", "0.272727", "0.25", "0.272727", "0.375", "0.2", "0.166667"]
    )
    assert done.stderr == ""


def test_json_has_the_keys_of_the_table(figures):
    (record,) = figures("--order", "2", stdin=LINES)
    assert list(record) == COLUMNS
    assert record["signature"].startswith("tokens:word|order:2|distinct:n-grams|rep:mean|bleu:floor-0.1+effective")


def test_files_and_their_total(figures, write):
    one, two = write("one.txt", b"a b\na b\n"), write("two.txt", b"a b\nc d e f\n")
    first, second, total = figures(one, two)
    assert [first["file"], second["file"], total["file"]] == ["one.txt", "two.txt", "total"]
    assert [first["duplicates"], second["duplicates"], total["duplicates"]] == [0.5, 0, 0.5]
    assert [first["distinct_1"], second["distinct_1"], total["distinct_1"]] == [0.5, 1, 0.6]
    assert [first["self_bleu"], second["self_bleu"]] == [1, 0]
    (joined,) = figures(stdin=b"a b\na b\na b\nc d e f\n")
    assert without(joined, "file") == without(total, "file")


def test_json_lines_are_the_same_texts(figures, write):
    records = [{"id": 1, "text": line.decode()} for line in LINES.split(b"\n")[:-1]]
    data = "\n\n".join(json.dumps(record) for record in records).encode()
    plain = figures(stdin=LINES)
    assert figures("--field", "text", stdin=data) == plain
    assert figures("--field", "other", stdin=data.replace(b'"text"', b'"other"')) == plain


def test_texts_of_several_lines(figures):
    data = b'{"text": "ab\\ncd"}\n{"text": "ab\\ncd"}\n'
    assert figures("--field", "text", stdin=data)[0]["tokens"] == 4
    assert figures("--field", "text", "--tokens", "char", stdin=data)[0]["tokens"] == 10
    assert figures("--field", "text", stdin=data)[0]["texts"] == 2


def test_what_sample_writes(lmkit, shelf, figures, work):
    model = shelf["witten-bell-3.lm"]
    plain = lmkit("sample", "-m", model, "-n", "20")
    (work / "drawn.jsonl").write_bytes(lmkit("sample", "-m", model, "-n", "20", "--json").stdout)
    (record,) = figures("--field", "text", "drawn.jsonl")
    assert without(record, "file") == without(figures(stdin=plain.stdout)[0], "file")
    assert record["texts"] == 20


@pytest.mark.parametrize(("kind", "tokens"), [("word", 2), ("char", 6), ("byte", 7)])
def test_tokens(kind, tokens, figures):
    assert figures("--tokens", kind, stdin="año ab\n".encode())[0]["tokens"] == tokens


def test_bytes_may_be_any(figures, fails):
    assert figures("--tokens", "byte", stdin=b"\xff\0\xfe\n")[0]["vocabulary"] == 3
    assert "<stdin>:1: not UTF-8" in fails(3, "eval", "text", stdin=b"\xff\n").stderr


def test_a_tokenizer_that_is_given(lmkit, shelf, figures):
    model = shelf["witten-bell-3.lm"]
    (record,) = figures("-q", "--tokens", model, stdin=b"zzzz yyyy\n")
    assert (record["tokens"], record["vocabulary"]) == (2, 1)
    assert "tokens:word|vocabulary:" in record["signature"]
    done = lmkit("eval", "text", "--tokens", model, stdin=b"zzzz yyyy\n")
    assert f"2 tokens are unknown to {model} and count as the same" in done.stderr


def test_self_bleu_of_some(figures, write):
    text = write("text.txt", b"".join(b"a b %d %d\n" % (i % 7, i % 5) for i in range(30)))
    some = figures("--self-bleu-texts", "9", "--seed", "1", text)
    assert some == figures("--self-bleu-texts", "9", "--seed", "1", text)
    assert some[0]["self_bleu"] != figures(text)[0]["self_bleu"]
    assert "|references:9|seed:1|" in some[0]["signature"]
    assert "|references:all|" in figures(text)[0]["signature"]
    assert without(some[0], "self_bleu", "signature") == without(figures(text)[0], "self_bleu", "signature")


def test_what_is_not_defined_is_empty(lmkit, figures):
    (record,) = figures(stdin=b"a\n")
    assert [record[key] for key in ("distinct_1", "distinct_2", "rep_2", "self_bleu")] == [1, None, None, None]
    assert lmkit("eval", "text", stdin=b"a\n").text.splitlines()[1].split("\t")[-2] == ""
    (blank,) = figures(stdin=b"\n\n")
    assert [blank[key] for key in ("texts", "empty", "tokens", "mean_length", "type_token_ratio")] == [2, 2, 0, 0, None]
    assert blank["duplicates"] == 0.5


def test_an_empty_file_among_others(figures, write):
    first, second, total = figures(write("none.txt", b""), write("some.txt", b"a b\n"))
    assert (first["texts"], first["duplicates"], first["mean_length"]) == (0, None, None)
    assert without(second, "file") == without(total, "file")


def test_marks_of_sentences_are_dropped(lmkit):
    done = lmkit("eval", "text", "--json", stdin=b"<s> a </s>\n")
    assert done.records[0]["tokens"] == 1
    assert "2 words spelled <s> or </s> were dropped" in done.stderr


def test_nothing_to_measure(fails):
    assert "no text to measure: the input is empty" in fails(3, "eval", "text").stderr
    assert "no text to measure" in fails(3, "eval", "text", "--field", "text", stdin=b"\n\n").stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"plain", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"a": 1}', "no field 'text'"),
        (b"{}", "no field 'text'"),
        (b'{"text": 7}', "the field 'text' is not a text"),
        (b'{"text": "\\ud800"}', "the field 'text' has half a surrogate pair"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 10_000, "not JSON"),
        (b'{"text": "\0"}', "not JSON"),
    ],
)
def test_bad_json_lines(line, message, fails):
    done = fails(3, "eval", "text", "--field", "text", stdin=b'{"text": "x"}\n\n' + line + b"\n")
    assert "<stdin>:3: " in done.stderr
    assert message in done.stderr


def test_usage(fails, write):
    assert (
        "'subword': expected one of word, char, byte, or a file"
        in fails(2, "eval", "text", "--tokens", "subword").stderr
    )
    for words in ["--order", "0"], ["--self-bleu-texts", "1"]:
        fails(2, "eval", "text", *words, stdin=b"a\n")
    assert "stdin is wanted for two things" in fails(2, "eval", "text", "--tokens", "-").stderr
    assert "is an input and would be overwritten" in fails(2, "eval", "text", "x", "-o", write("x", b"a\n")).stderr
    assert "missing.txt" in fails(3, "eval", "text", "missing.txt").stderr


def test_json_without_field_is_told(lmkit):
    done = lmkit("eval", "text", "--json", stdin=b'{"text": "a"}\n')
    assert done.records[0]["tokens"] == 2
    assert "<stdin>: JSON Lines, taken for plain text; --input jsonl reads" in done.stderr
    assert lmkit("eval", "text", stdin=b"{a}\n").stderr == ""


def test_a_terminal_has_a_column_for_each_file(lmkit, write, monkeypatch):
    monkeypatch.setattr("lmkit.io.outputs.is_terminal", lambda stream: True)
    lines = lmkit("eval", "text", "--order", "1", write("one.txt", b"a b\n"), write("b.txt", b"c\n")).text.splitlines()
    assert lines[0].split() == ["file", "one.txt", "b.txt", "total"]
    assert [line.split()[0] for line in lines[1:-1]] == [*COLUMNS[1:9], "rep_1", "self_bleu"]
    assert lines[-2].split()[1:] == ["-", "-", "0"]
    assert lines[-1].startswith("signature: tokens:word|")
