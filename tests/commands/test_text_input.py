"""Every command that reads running text reads it from files of any form: --input, --field, names and folders."""

import bz2
import csv
import gzip
import hashlib
import io
import json
import sys

import pytest
from conftest import CORPUS, run_here
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit import checkpoint

LINES = CORPUS.decode().split("\n")[:-1]


def as_jsonl(texts, field="text"):
    return "".join(
        json.dumps({"id": at, field: text}, ensure_ascii=False) + "\n" for at, text in enumerate(texts)
    ).encode()


def as_csv(texts, field="text"):
    written = io.StringIO()
    csv.writer(written).writerows([("id", field), *enumerate(texts)])
    return written.getvalue().encode()


def as_tsv(texts, field="text"):
    return "".join(f"{at}\t{text}\n" for at, text in [("id", field), *enumerate(texts)]).encode()


def as_parquet(texts, field="text"):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    written = io.BytesIO()
    pq.write_table(pa.table({"id": list(range(len(texts))), field: texts}), written)
    return written.getvalue()


FORMS = {"jsonl": as_jsonl, "csv": as_csv, "tsv": as_tsv, "parquet": as_parquet}
BPE = ["bpe", "train", "--vocab-size", "300"]
SMALL = ["--steps", "2", "--batch", "2", "--context", "4", "--width", "8", "--quiet"]
COMMANDS = {
    "ngram fit": ["ngram", "fit", "--order", "2"],
    "ngram fit of bytes": ["ngram", "fit", "--order", "2", "--tokens", "byte"],
    "ngram count": ["ngram", "count", "--order", "2"],
    "bpe train": BPE,
    "bpe train of characters": ["bpe", "train", "--vocab-size", "60", "--level", "char"],
    "bpe count": ["bpe", "count"],
    "bpe encode": ["bpe", "encode", "-m", "bpe.lm"],
    "bpe encode to words": ["bpe", "encode", "-m", "MODEL"],
    "bpe stats": ["bpe", "stats", "-m", "bpe.lm"],
    "w2v train": ["w2v", "train", "--dim", "4", "--min-count", "1", "--epochs", "1", "--threads", "1", "--quiet"],
    "w2v pairs": ["w2v", "pairs"],
    "train ffn": ["train", "ffn", "--hidden", "8", *SMALL],
    "train rnn": ["train", "rnn", "--steps", "2", "--batch", "2", "--width", "8", "--quiet"],
    "train transformer": ["train", "transformer", "--layers", "1", "--heads", "1", *SMALL],
    "ppl": ["ppl", "-m", "MODEL"],
    "ppl of a stream": ["ppl", "-m", "STREAM"],
    "score": ["score", "-m", "MODEL", "--json"],
    "entropy": ["entropy", "--order", "1"],
    "entropy of words": ["entropy", "--unit-of", "word"],
    "entropy under a model": ["entropy", "-m", "MODEL"],
    "embed": ["embed", "--bow"],
    "data next": ["data", "next"],
    "eval text": ["eval", "text"],
}


def contents(data):
    """What a checkpoint holds but for where it came from; the bytes of anything else."""
    if not checkpoint.is_checkpoint(data[:9]):
        return data
    content = checkpoint.parse(memoryview(data))
    tensors = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in content.tensors.items()}
    return content.kind, content.config, content.tokenizer, tensors


@pytest.fixture(scope="module")
def answers():
    """What each command makes of the plain text."""
    return {}


@pytest.mark.few(10)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", COMMANDS)
def test_records_are_read_as_their_lines_are(name, form, lmkit, shelf, write, answers):
    models = {"MODEL": shelf["witten-bell-3.lm"], "STREAM": shelf["gru-stream.lm"]}
    if "bpe.lm" in COMMANDS[name]:
        write("bpe.lm", lmkit(*BPE, shelf["corpus.txt"]).stdout)
    command = [models.get(word, word) for word in COMMANDS[name]]

    def answer(*more, stdin):
        done = lmkit(*command, *more, stdin=stdin)
        assert done.status == 0, done.stderr
        return contents(done.stdout)

    if name not in answers:
        answers[name] = answer(stdin=CORPUS)
    asked = ("--input", form, "--field", "text")
    assert answer(*asked, stdin=FORMS[form](LINES)) == answers[name]


@settings(max_examples=15)
@given(st.lists(st.text(st.sampled_from('ab \n\té\u2028\r",'), max_size=9), min_size=1, max_size=5))
def test_any_texts_have_the_counts_of_plain_lines(texts):
    plain = "".join(text + "\n" * (not text.endswith("\n")) for text in texts).encode()
    expected = run_here("ngram", "count", "--order", "2", stdin=plain)
    for form in ("jsonl", "csv", "parquet"):
        found = run_here("ngram", "count", "--order", "2", "--input", form, stdin=FORMS[form](texts))
        assert (found.status, found.stdout) == (expected.status, expected.stdout), form


@pytest.mark.parametrize("packed", [lambda data: data, gzip.compress, bz2.compress])
def test_names_tell_the_form_whatever_the_compressor(packed, lmkit, write):
    ending = {gzip.compress: ".gz", bz2.compress: ".bz2"}.get(packed, "")
    plain = lmkit("ngram", "count", "--order", "2", stdin=CORPUS).stdout
    for form in ("jsonl", "csv", "parquet"):
        name = write(f"a.{form}{ending}", packed(FORMS[form](LINES)))
        assert lmkit("ngram", "count", "--order", "2", name).stdout == plain


def test_several_files_and_folders_are_one_text(lmkit, write, work):
    (work / "data").mkdir()
    write("data/b.parquet", as_parquet(LINES[5:9]))
    write("data/a.jsonl.gz", gzip.compress(as_jsonl(LINES[:5])))
    write("data/README", b"no text\n")
    write("rest.txt", "".join(line + "\n" for line in LINES[9:]).encode())
    plain = lmkit("ngram", "count", "--order", "2", stdin=CORPUS).stdout
    assert lmkit("ngram", "count", "--order", "2", "data/", "rest.txt").stdout == plain
    done = lmkit("ppl", "-m", "-", "data", stdin=lmkit("ngram", "fit", "--order", "2", stdin=CORPUS).stdout)
    assert [row["file"] for row in done.rows] == ["data/a.jsonl.gz", "data/b.parquet", "total"]


def test_texts_beside_the_first_are_records_too(lmkit, shelf, write):
    lines, records = write("a.txt", CORPUS), write("a.jsonl", as_jsonl(LINES))
    one, two = (lmkit("ngram", "coverage", lines, name) for name in (lines, records))
    assert one.text == two.text
    fit = ["ngram", "fit", "--order", "2", "--smoothing", "jelinek-mercer", lines, "--heldout"]
    assert contents(lmkit(*fit, lines).stdout) == contents(lmkit(*fit, records).stdout)
    mix = ["ppl", "-m", shelf["witten-bell-3.lm"], "-m", shelf["other.lm"], "--mix", "auto", lines, "--mix-text"]
    assert lmkit(*mix, lines).text == lmkit(*mix, records).text
    train = [*COMMANDS["train transformer"], lines, "--valid"]
    assert contents(lmkit(*train, lines).stdout) == contents(lmkit(*train, records).stdout)


def test_a_field_is_named(lmkit, write):
    plain = lmkit("w2v", "pairs", stdin=CORPUS).text
    for form, to in FORMS.items():
        name = write(f"a.{form}", to(LINES, "body"))
        assert lmkit("w2v", "pairs", "--field", "body", name).text == plain
    assert lmkit("w2v", "pairs", "--field", "body", stdin=as_jsonl(LINES, "body")).text == plain
    done = lmkit("w2v", "pairs", name := write("b.jsonl", as_jsonl(LINES, "body")))
    assert done.status == 3
    assert done.stderr == f"lmkit w2v pairs: {name}:1: no field 'text'\n  hint: --field NAME; there is 'id', 'body'\n"


def test_tsv_without_a_field_is_plain_lines(lmkit, write):
    data = b"id\ttext\n1\ta b\n"
    assert lmkit("ngram", "count", write("a.tsv", data)).stdout == lmkit("ngram", "count", stdin=data).stdout


def test_lines_are_answered_as_they_come(shell, shelf):
    model = shelf["witten-bell-3.lm"]
    answered = "for _ in $(seq 500); do [ -s out ] && break; sleep .1; done"
    line = (
        f"""(echo '{{"text": "the cat"}}'; {answered}; echo '{{"text": 1}}') """
        f"| lmkit score -m {model} --input jsonl -b | tee out"
    )
    done = shell(line)
    assert len(done.lines) == 1
    assert "<stdin>:2: the field 'text' is not a text" in done.stderr


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b"{\n", "a.jsonl:1: not JSON"),
        ("a.jsonl", b'{"text": []}\n', "a.jsonl:1: the field 'text' is not a text"),
        ("a.csv", b'text\n"a\n', "a.csv:2: not CSV"),
        ("a.csv", b"body\na\n", "a.csv:2: no field 'text'"),
        ("a.parquet", b"text\n", "a.parquet: not Parquet"),
    ],
)
def test_bad_records_end_with_their_place(name, data, message, fails, write):
    assert message in fails(3, "ngram", "count", write(name, data)).stderr


def test_without_pyarrow(fails, write, monkeypatch):
    name = write("a.parquet", as_parquet(["a"]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pyarrow" in fails(69, "ngram", "count", name).stderr


def test_what_cannot_be_combined(fails, write, shelf):
    assert "--input tsv needs --field" in fails(2, "ngram", "count", "--input", "tsv").stderr
    assert "--input text has no fields" in fails(2, "ngram", "count", "--input", "text", "--field", "x").stderr
    table = write("p.txt", b"0.5\n0.5\n")
    assert "--input cannot be combined with --probs" in fails(2, "entropy", "--probs", "--input", "csv", table).stderr
    for command in (["ngram", "fit", "--from-counts"], ["bpe", "train", "--from-counts"], ["score", "--pairs", table]):
        models = ["-m", shelf["witten-bell-3.lm"]] if command[0] == "score" else []
        assert f"cannot be combined with {command[-1 - (command[0] == 'score')]}" in (
            fails(2, *command, *models, "--field", "x").stderr
        )


def test_records_that_are_taken_for_text_are_noticed(lmkit, write):
    done = lmkit("ngram", "count", stdin=as_jsonl(LINES))
    assert done.stderr == (
        "lmkit: <stdin>: JSON Lines, taken for plain text; --input jsonl reads the field 'text', or that of --field\n"
    )
    assert lmkit("ngram", "count", "--input", "text", stdin=as_jsonl(LINES)).stderr == ""
    assert "Parquet, taken for plain text" in lmkit("bpe", "count", write("a.dat", as_parquet(LINES))).stderr


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "command",
    [
        ["ngram", "fit", "--order", "2"], ["bpe", "train", "--vocab-size", "270"],
        ["bpe", "train", "--level", "char", "--vocab-size", "40"], ["bpe", "count"],
        ["w2v", "train", "--dim", "4", "--epochs", "1", "--min-count", "1"],
        ["train", "ffn", "--steps", "1", "--width", "2", "--hidden", "2", "--by", "line"],
    ],
    ids=lambda command: " ".join(command[:3]),
)  # fmt: skip
def test_the_origin_has_files_as_they_are_stored(command, lmkit, write):
    """In every command alike: `sha256sum` gives the hash of a plain file, and those under `files`."""

    def files_of(*names):
        (record,) = origin_of(lmkit(*command, "-q", *names))
        return record, record.get("files")

    def hashed(data, **more):
        return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **more}

    plain, _ = files_of(write("a.txt", CORPUS))
    assert plain == hashed(CORPUS)
    packed, lines, jsonl = gzip.compress(CORPUS), CORPUS.replace(b"\n", b"\r\n"), gzip.compress(as_jsonl(LINES))
    assert files_of(write("a.txt.gz", packed)) == ({**plain, "files": [hashed(packed)]}, [hashed(packed)])
    assert files_of(write("a.jsonl.gz", jsonl))[1] == [hashed(jsonl, form="jsonl", field="text")]
    assert files_of("a.txt", write("b.txt", b"the\n"))[1] == [hashed(CORPUS), hashed(b"the\n")]
    if "--level" in command or command[0] != "bpe":  # others take bytes as they are
        assert files_of(write("c.txt", lines)) == ({**plain, "files": [hashed(lines)]}, [hashed(lines)])
        assert files_of(write("d.txt", CORPUS[:-1]))[1] == [hashed(CORPUS[:-1])]
        odd = b"a b\r\n" + CORPUS[:-1]  # as long as its text
        assert files_of(write("e.txt", odd))[1] == [hashed(odd)]


def test_the_origin_has_parents_by_digest(lmkit, write, shelf):
    def info(name):
        return lmkit("info", "--json", name).records[0]

    text = write("a.txt", CORPUS)
    assert lmkit("bpe", "train", "-q", "--vocab-size", "270", text, "-o", "bpe.lm").status == 0
    tokenizer = info("bpe.lm")["tokenizer"]["digest"]
    made = lmkit("train", "ffn", "-q", "--steps", "1", "--width", "2", "--tokens", "bpe.lm", text)
    origin = checkpoint.parse(memoryview(made.stdout)).origin
    assert (origin["tokenizer"], origin["settings"]["tokens"]) == (tokenizer, "bpe")
    made = lmkit("ngram", "fit", "-q", "--order", "2", "--tokens", "bpe.lm", text)
    assert checkpoint.parse(memoryview(made.stdout)).origin["tokenizer"] == tokenizer
    parents = [shelf["witten-bell-3.lm"], shelf["other.lm"]]
    digests = [{"model": info(name)["digest"]} for name in parents]
    mixed = lmkit("ngram", "mix", "-m", parents[0], "-m", parents[1], "--tune", text)
    stored = {"bytes": len(CORPUS), "sha256": hashlib.sha256(CORPUS).hexdigest()}
    assert origin_of(mixed) == [*digests, stored]
    assert origin_of(lmkit("ngram", "prune", parents[0])) == digests[:1]
    held = lmkit(
        "ngram", "fit", "-q", "--order", "2", "--smoothing", "jelinek-mercer", "--heldout", text, stdin=b"the cat\n"
    )
    assert origin_of(held)[1:] == [stored]
    arpa = write("m.arpa.gz", gzip.compress(shelf["mkn.arpa"].read_bytes()))
    (record,) = origin_of(lmkit("ngram", "import", arpa))
    assert record["sha256"] == hashlib.sha256(arpa.read_bytes()).hexdigest()


def origin_of(done):
    return checkpoint.parse(memoryview(done.stdout)).origin["inputs"]


@pytest.mark.few(1)
@pytest.mark.parametrize("by", ["file", "blank-line"])
def test_a_record_is_a_document(by, lmkit, write, work):
    documents = ["the cat\nsat", "on the mat", "", "the dog"]
    (work / "each").mkdir()
    for at, text in enumerate(documents):
        write(f"each/{at}.txt", f"{text}\n".encode())
    records = write("a.jsonl", as_jsonl(documents))
    train = ["train", "rnn", "--by", by, "--steps", "2", "--batch", "2", "--width", "8", "--quiet"]
    trained = lmkit(*train, records)
    if by == "file":
        assert contents(trained.stdout) == contents(lmkit(*train, "each").stdout)
    else:
        lines = "\n\n".join(documents).encode()
        assert contents(trained.stdout)[3] == contents(lmkit(*train, stdin=lines).stdout)[3]
    model = write("m.lm", trained.stdout)
    of_files, of_records = (lmkit("ppl", "-m", model, "--json", "-q", name).records[-1] for name in ("each", records))
    assert of_records["nats"] == pytest.approx(of_files["nats"], rel=1e-6)
    sizes = ("tokens", "bits_per_word", "bits_per_byte")
    assert [of_records[key] for key in sizes] == pytest.approx([of_files[key] for key in sizes], rel=1e-6)
    under = lmkit("entropy", "-m", model, "--json", "-q", records).records[-1]
    assert under["bits_per_byte"] == pytest.approx(of_files["bits_per_byte"], rel=1e-6)


def test_a_text_that_is_one_document_is_read_over_records(lmkit, shelf, write):
    records, lines = write("a.jsonl", as_jsonl(LINES[:9])), "".join(line + "\n" for line in LINES[:9]).encode()
    one = lmkit("ppl", "-m", shelf["gru-stream.lm"], "-b", records)
    assert one.stdout == lmkit("ppl", "-m", shelf["gru-stream.lm"], "-b", stdin=lines).stdout
