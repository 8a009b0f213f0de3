"""`lmkit data dedup`."""

import json

import pytest


def jsonl(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def test_the_first_of_equal_lines_is_kept(lmkit):
    text = "b\na\n\nb\nB\n\na \na\nna\u0308h\nn\u00e4h\n".encode()
    done = lmkit("data", "dedup", stdin=text)
    assert done.text == "b\na\n\nB\n\na \nna\u0308h\nn\u00e4h\n"
    assert done.stderr == "lmkit: 10 records: 8 kept, 2 dropped\n"
    assert lmkit("data", "dedup", "--normalize", stdin=text).text == "b\na\n\n\nna\u0308h\n"


def test_many_lines_against_a_python_set(lmkit):
    lines = [b"%d" % (number * number % 7919) for number in range(30_000)]
    done = lmkit("data", "dedup", "-q", stdin=b"\n".join(lines))
    assert done.stdout.split(b"\n")[:-1] == list(dict.fromkeys(lines))


def test_records_go_out_as_they_came(lmkit, write, work):
    a = write("a.jsonl", b'{"id":1,  "text": "x"}\n{"text": "y"}\n{"id":2, "text":"x"}\n')
    done = lmkit("data", "dedup", a, "--report", "r.jsonl")
    assert done.stdout == b'{"id":1,  "text": "x"}\n{"text": "y"}\n'
    assert json.loads((work / "r.jsonl").read_text()) == {
        "cluster": 1, "size": 2, "kept": "a.jsonl:1", "dropped": "a.jsonl:3", "jaccard": 1.0,
    }  # fmt: skip


def test_paragraphs_and_lines_within_texts(lmkit):
    text = b"p q\nr\n\n\ns\n\np q\nr\n\nt"
    assert lmkit("data", "dedup", "--unit", "paragraph", stdin=text).stdout == b"p q\nr\n\n\ns\n\nt\n"
    records = jsonl({"text": "x\ny\n\nz", "k": 1}, {"text": "y\nw", "k": 2}, {"text": "z", "k": 3})
    done = lmkit("data", "dedup", "--unit", "line", "--input", "jsonl", stdin=records)
    assert done.records == [{"text": "x\ny\n\nz", "k": 1}, {"text": "w", "k": 2}]
    paragraphs = jsonl({"text": "a\nb\n\nc"}, {"text": "c\n\na\n\na\nb"})
    done = lmkit("data", "dedup", "--unit", "paragraph", "--input", "jsonl", stdin=paragraphs)
    assert done.records == [{"text": "a\nb\n\nc"}, {"text": "a"}]


@pytest.mark.parametrize("near", [[], ["--near", "0.9", "--shingle", "1"]])
def test_what_another_file_has_is_dropped(near, lmkit, write):
    test = write("test.txt", b"one two\nthree four\n")
    done = lmkit("data", "dedup", *near, "--against", test, stdin=b"zero\nthree four\nfive\nzero\none two\n")
    assert done.lines == ["zero", "five"]


SENTENCE = "the cat sat on the mat and looked at me all day long as it does"


def test_near_duplicates_are_clustered_and_one_is_kept(lmkit, write, work):
    texts = [SENTENCE, "something else that is here", SENTENCE.upper().replace(" ", ", "), SENTENCE + " today"]
    data = write("a.jsonl", jsonl(*({"text": text, "q": q} for text, q in zip(texts, [1, 2, "3.5", 3], strict=True))))
    done = lmkit("data", "dedup", "--near", "0.8", "--report", "r.jsonl", data)
    assert [record["text"] for record in done.records] == texts[:2]
    rows = [json.loads(line) for line in (work / "r.jsonl").read_text().splitlines()]
    assert [(row["cluster"], row["size"], row["kept"], row["dropped"]) for row in rows] == [
        (1, 3, "a.jsonl:1", "a.jsonl:3"), (1, 3, "a.jsonl:1", "a.jsonl:4"),
    ]  # fmt: skip
    assert [row["jaccard"] for row in rows] == [1.0, 12 / 13]
    best = lmkit("data", "dedup", "--near", "0.8", "--best", "q", data)
    assert [record["text"] for record in best.records] == [texts[1], texts[2]]


def test_texts_without_words_are_no_near_duplicates(lmkit):
    assert lmkit("data", "dedup", "--near", "0.5", stdin=b"...\n...\n\nw\nW\n").lines == ["...", "...", "", "w"]


def test_substrings_that_occurred_before_are_cut_out(lmkit, write, work):
    cut = f"Before. {SENTENCE}! After."
    data = write(
        "a.jsonl", jsonl({"text": SENTENCE, "k": 1}, {"text": cut, "k": 2}, {"k": 3, "text": SENTENCE.upper()})
    )
    done = lmkit("data", "dedup", "--substring", "10", "--report", "r.jsonl", data)
    assert done.records == [{"text": SENTENCE, "k": 1}, {"text": "Before. After.", "k": 2}]
    assert done.stderr == "lmkit: 3 records: 2 kept, 1 dropped, 2 spans of 32 words cut out\n"
    rows = [json.loads(line) for line in (work / "r.jsonl").read_text().splitlines()]
    end = len(SENTENCE)
    shared = {"cluster": 1, "size": 3, "kept": "a.jsonl:1", "kept_span": [0, end], "words": 16}
    assert rows == [
        {**shared, "dropped": "a.jsonl:2", "span": [8, 8 + end]}, {**shared, "dropped": "a.jsonl:3", "span": [0, end]},
    ]  # fmt: skip
    table = write("t.tsv", f"k\tw\n1\t{cut}\n2\t\n".encode())
    done = lmkit(
        "data",
        "dedup",
        "-q",
        "--substring",
        "3",
        "--field",
        "w",
        "--against",
        write("b.tsv", f"w\n{SENTENCE}\n".encode()),
        table,
    )
    assert done.stdout == b"k\tw\n1\tBefore. After.\n2\t\n"
    assert (
        lmkit("data", "dedup", "-q", "--substring", "3", stdin=b"a b c\n\nx a b c\nA B C\n").stdout == b"a b c\n\nx\n"
    )


@pytest.mark.parametrize(
    ("status", "arguments", "said"),
    [(2, ["--near", "2"], "0.01<=x<=1"), (2, ["--near", ".5", "--unit", "line"], "--near compares records"),
     (2, ["--near", ".5", "--substring", "9"], "cannot be combined"), (2, ["--substring", "1"], "2<=x<=100000"),
     (2, ["--substring", "9", "--normalize"], "--substring always compares normalised words"),
     (2, ["--best", "q"], "--best needs --near"), (2, ["--near", ".5", "--normalize"], "always compares normalised"),
     (2, ["--near", ".5", "--best", "q"], "plain text, which has no fields"),
     (3, ["--near", ".5", "--best", "q", "a.jsonl"], "a.jsonl:1: the field 'q' is not a number"),
     (3, ["--against", "none.txt"], "none.txt: No such file"), (3, ["--field", "t", "a.jsonl"], "no field 't'")],
)  # fmt: skip
def test_careless_input(status, arguments, said, fails, write):
    write("a.jsonl", b'{"text": "a", "q": [1]}\n')
    assert said in fails(status, "data", "dedup", *arguments, stdin=b"a\n").stderr
