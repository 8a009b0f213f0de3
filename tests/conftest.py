"""Running lmkit in this process and in one of its own, tiny texts, and one tiny file of every kind."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the command has it; numpy reads it when it is imported
for number, handler in {
    signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL,
}.items():  # fmt: skip
    if signal.getsignal(number) == signal.SIG_IGN:  # as background jobs of a shell begin; lmkit's would inherit it
        signal.signal(number, handler)

import hypothesis
import numpy as np
import pytest

from lmkit import checkpoint, cli

ROOT = Path(__file__).resolve().parent.parent
HANG = 60  # seconds after which a process counts as hanging

PROFILE = hypothesis.settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("gate", PROFILE)
hypothesis.settings.register_profile("thorough", PROFILE, max_examples=100)  # `make slow`
hypothesis.settings.load_profile("gate")


GOLDEN = (5**0.5 - 1) / 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of tests marked `few(n)` all but n parameter sets are slow; the n lie apart, where parameters are stacked too."""
    sets: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("few") and not item.get_closest_marker("slow"):
            sets.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for members in sets.values():
        (count,) = members[0].get_closest_marker("few").args  # type: ignore[union-attr]
        taken: set[int] = set()
        step = 0
        while len(taken) < min(count, len(members)):
            taken.add(int(step * GOLDEN % 1 * len(members)))
            step += 1
        for index, member in enumerate(members):
            if index not in taken:
                member.add_marker("slow")


# Texts.

JUAN = b"yo soy Juan\nJuan yo soy\nyo no salto\n"
LLUVIAS = b"debido a las copiosas lluvias\na las cinco\ncopiosas lluvias de abril\n"
CORPUS = """\
the cat sat on the mat
the dog sat on the log
a cat and a dog sat on the mat
the cat saw the dog and the dog saw the cat
a bird sang in the tree
the bird in the tree saw a cat
the cat in the tree saw a bird
on the mat the dog slept
in the log the cat slept
the dog slept and the cat slept and the bird sang
a niña vio el árbol
el árbol de la niña
the mat the mat the mat
a
the

sang
the dog on the log and the cat on the mat and the bird in the tree
""".encode()
TEST = "the cat saw a bird\na dragon sat on the dog\n\nel árbol\nzzz\nthe the the\n".encode()
OTHER = b"a dragon slept in the cave\nthe dragon saw the cat\na cave in the tree\nthe cat slept in the cave\n"

SMOOTHINGS = (
    "modified-kneser-ney", "kneser-ney", "absolute", "witten-bell", "jelinek-mercer",
    "katz", "add-k", "mle", "stupid-backoff",
)  # fmt: skip

FOUR = b"""\\data\\
ngram 1=7

\\1-grams:
-99\t<unk>
-99\t<s>
-99\t</s>
-0.3010299956639812\ta
-0.5228787452803376\tb
-0.8239087409443188\tc
-1.3010299956639813\td

\\end\\
"""
"""A distribution over four words, .5, .3, .15, .05, whatever came before."""

ARPA = b"""\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-1.0\t<unk>\t0
0\t<s>\t-0.3010299956639812
-0.6989700043360187\t</s>
-0.3010299956639812\ta\t-0.3010299956639812
-0.6989700043360187\tb\t0

\\2-grams:
-0.1249387366083\t<s> a\t-0.3010299956639812
-0.3010299956639812\ta b\t-0.1249387366083
-0.6020599913279624\ta a\t0
-0.0969100130080564\tb </s>

\\3-grams:
-0.1549019599857432\t<s> a b
-0.0457574905606751\ta b </s>

\\end\\
"""
"""A trigram model written by hand; its scores are not meant to sum to one."""


# Running commands.


@dataclass(frozen=True)
class Result:
    """How a command ended and what it said."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def records(self) -> list[Any]:
        """Its JSON Lines, without the command line that reports end with: tests compare commands typed in many ways."""
        found = [json.loads(line) for line in self.text.split("\n") if line]
        for record in found:
            if isinstance(record, dict):
                record.pop("command", None)
        return found

    @property
    def rows(self) -> list[dict[str, str]]:
        """Its TSV, under the header."""
        header, *rows = [line.split("\t") for line in self.text.split("\n")[:-1]]
        return [dict(zip(header, row, strict=True)) for row in rows]


def run_here(*arguments: object, stdin: bytes = b"") -> Result:
    """Runs a command in this process, standard streams replaced."""
    before = sys.stdin, sys.stdout, sys.stderr
    out, err = io.BytesIO(), io.BytesIO()
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)), encoding="utf-8")  # type: ignore[type-var]
    sys.stdout = io.TextIOWrapper(out, encoding="utf-8", newline="\n", write_through=True)
    sys.stderr = io.TextIOWrapper(err, encoding="utf-8", newline="\n", errors="backslashreplace", write_through=True)
    signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(HANG)
    try:
        status = cli.run([os.fspath(a) if isinstance(a, os.PathLike) else str(a) for a in arguments])
        sys.stdout.flush()
        sys.stderr.flush()
        return Result(int(status), out.getvalue(), err.getvalue().decode())
    finally:
        signal.alarm(0)
        sys.stdin, sys.stdout, sys.stderr = before


def _hangs(_number: int, _frame: object) -> None:
    pytest.fail("the command hangs")


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home, a folder for temporary files and a working directory of its own; no settings from outside."""
    for folder in ("home", "tmp", "work"):
        (tmp_path / folder).mkdir()
    for name in list(os.environ):
        if name.startswith(("LMKIT", "XDG_", "LC_", "PYTHON")) or name in (
            "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "LANG", "LANGUAGE", "POSIXLY_CORRECT",
        ):  # fmt: skip
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def work(clean: None) -> Path:
    """The working directory."""
    return Path.cwd()


@pytest.fixture
def write(work: Path) -> Callable[[str, bytes], Path]:
    """Writes a file into the working directory; gives its name."""

    def write(name: str, data: bytes) -> Path:
        (work / name).write_bytes(data)
        return Path(name)

    return write


@pytest.fixture(scope="session")
def lmkit() -> Callable[..., Result]:
    """Runs a command in this process."""
    return run_here


@pytest.fixture
def process(clean: None) -> Callable[..., Result]:
    """Runs a command in a process of its own."""

    def process(*arguments: object, stdin: bytes | None = b"", env: Mapping[str, str] | None = None) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "lmkit", *map(str, arguments)],
            input=stdin, capture_output=True, timeout=HANG, env={**os.environ, **(env or {})}, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr.decode())

    return process


@pytest.fixture
def shell(clean: None) -> Callable[..., Result]:
    """Runs a line of bash, in which `lmkit` is the command."""

    def shell(line: str, *, stdin: bytes = b"") -> Result:
        prelude = f'lmkit() {{ "{sys.executable}" -m lmkit "$@"; }}\n'
        done = subprocess.run(
            ["bash", "-c", prelude + line], input=stdin, capture_output=True, timeout=HANG, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    return shell


@pytest.fixture
def fails(lmkit: Callable[..., Result]) -> Callable[..., Result]:
    """Runs a command that has to fail with a status and one line, and no more than a hint beside it."""

    def fails(status: int, *arguments: object, stdin: bytes = b"") -> Result:
        done = lmkit(*arguments, stdin=stdin)
        assert done.status == status, done.stderr
        assert_one_line(done.stderr)
        return done

    return fails


@pytest.fixture(scope="session")
def one_line() -> Callable[[str], None]:
    """Fails unless an error message is one line, and a hint at most."""
    return assert_one_line


def assert_one_line(stderr: str) -> None:
    lines = stderr.split("\n")
    assert lines.pop() == "", stderr
    assert len(lines) in (1, 2), stderr
    assert lines[0].startswith("lmkit"), stderr
    assert ": " in lines[0], stderr
    assert lines[1:] == [] or lines[1].startswith("  hint: "), stderr
    assert "Traceback" not in stderr


def without_context_notice(stderr: str) -> str:
    """Messages but for the notice that a text goes beyond the model's context."""
    return "".join(line for line in stderr.splitlines(keepends=True) if "tokens exceed the context length" not in line)


# Files of every kind.


class Shelf:
    """Files of every kind by name, each made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in {"corpus.txt": CORPUS, "other.txt": OTHER, "test.txt": TEST, "juan.txt": JUAN}.items():
            (folder / name).write_bytes(text)
        (folder / "four.arpa").write_bytes(FOUR)
        (folder / "by-hand.arpa").write_bytes(ARPA)
        self._recipes = dict(recipes())

    def __getitem__(self, name: str) -> Path:
        path, command = self.folder / name, self.command(name)
        if name in NEURAL and not path.exists():
            path.write_bytes(self._neural(*NEURAL[name]))
        if command is not None and not path.exists():
            done = run_here(*command, "--quiet", "-o", path)
            assert done.status == 0, done.stderr
        return path

    def _neural(self, kind: str, by: str, settings: Mapping[str, Any]) -> bytes:
        """A neural model with random weights over the characters of the corpus."""
        from random_weights import random_weights

        from lmkit.commands.loading.models import open_tokenizer

        tokenizer = open_tokenizer(str(self["char-witten-bell.lm"]))
        weights = random_weights(kind, tokenizer, by=by, **settings)
        return b"".join(checkpoint.serialize(weights.to_checkpoint({"command": "test"})))

    def command(self, name: str) -> list[str] | None:
        """The command that makes a file, but for its output; None where it is written by hand."""
        if name not in self._recipes:
            return None
        return [str(self[word[1:-1]]) if word.startswith("{") else word for word in self._recipes[name]]


def recipes() -> Iterator[tuple[str, Sequence[str]]]:
    """The command that makes each file, but for its output."""
    text = "{corpus.txt}"
    yield "word-0.lm", ["ngram", "fit", "--order", "0", text]
    for smoothing in SMOOTHINGS:
        for order in "1234":
            yield f"{smoothing}-{order}.lm", ["ngram", "fit", "--order", order, "--smoothing", smoothing, text]
    for tokens, smoothing in itertools.product(("char", "byte"), ("modified-kneser-ney", "witten-bell", "katz")):
        command = ["ngram", "fit", "--order", "3", "--tokens", tokens, "--smoothing", smoothing, text]
        yield f"{tokens}-{smoothing}.lm", command
    yield "open-mle.lm", ["ngram", "fit", "--order", "3", "--smoothing", "mle", "--open-vocabulary", text]
    yield "open-0.lm", ["ngram", "fit", "--order", "0", "--open-vocabulary", text]
    yield "closed-wb.lm", ["ngram", "fit", "--order", "3", "--smoothing", "wb", "--closed-vocabulary", text]
    yield "small-vocabulary.lm", ["ngram", "fit", "--order", "3", "--min-count", "3", text]
    normal = ["--normalize", "nfkc,lowercase", "--punctuation", "split"]
    yield "normalising.lm", ["ngram", "fit", "--order", "3", *normal, text]
    yield "count-pruned.lm", ["ngram", "fit", "--order", "4", "--prune", "0,0,1", text]
    yield "other.lm", ["ngram", "fit", "--order", "2", "--smoothing", "wb", "{other.txt}"]
    yield "juan.lm", ["ngram", "fit", "--order", "2", "--smoothing", "mle", "{juan.txt}"]
    yield "pruned.lm", ["ngram", "prune", "-m", "{witten-bell-3.lm}", "--threshold", "1e-3"]
    yield "pruned-hard.lm", ["ngram", "prune", "-m", "{modified-kneser-ney-4.lm}", "--threshold", "0.02"]
    yield "by-hand.lm", ["ngram", "import", "{by-hand.arpa}"]
    yield "four.lm", ["ngram", "import", "{four.arpa}"]
    yield "mkn.arpa", ["ngram", "export", "{modified-kneser-ney-3.lm}"]
    yield "pruned.arpa", ["ngram", "export", "{count-pruned.lm}"]
    yield "imported.lm", ["ngram", "import", "{mkn.arpa}"]
    yield "imported-pruned.lm", ["ngram", "import", "{pruned.arpa}"]
    yield "mixed.lm", ["ngram", "mix", "-m", "{modified-kneser-ney-3.lm}", "-m", "{other.lm}", "--weights", "0.7,0.3"]
    yield "mixed-log.lm", ["ngram", "mix", "--log-linear", "-m", "{witten-bell-3.lm}", "-m", "{other.lm}"]
    yield "char-mixed.lm", ["ngram", "mix", "-m", "{char-witten-bell.lm}", "-m", "{char-other.lm}"]
    yield "char-other.lm", ["ngram", "fit", "--order", "2", "--tokens", "char", "--smoothing", "wb", "{other.txt}"]
    yield "counts.lm", ["ngram", "count", "--order", "3", text]
    yield "other-counts.lm", ["ngram", "count", "--order", "3", "{other.txt}"]


_SMALL = {"layers": 2, "width": 12, "heads": 2, "kv_heads": 1, "head_width": 6, "hidden": 16, "context": 8}
_GPT = {"positions": "learned", "normalisation": "layernorm", "activation": "gelu", "bias": "all", "tied": True}
NEURAL: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "transformer.lm": ("transformer", "line", _SMALL),
    "transformer-stream.lm": ("transformer", "stream", {**_SMALL, **_GPT}),
    "lstm.lm": ("rnn", "line", {"width": 9}),
    "gru-stream.lm": ("rnn", "stream", {"cell": "gru", "width": 8, "layers": 1}),
    "mingru-file.lm": ("rnn", "file", {"cell": "mingru", "width": 8, "tied": True, "bias": False}),
    "ffn.lm": ("ffn", "line", {"width": 4, "hidden": 8}),
    "ffn-documents.lm": ("ffn", "blank-line", {"width": 4, "hidden": 8, "direct": True, "context": 2}),
}
"""Kind, what is a sequence, and settings of neural models with random weights."""

LANGUAGE_MODELS = (*(name for name, _ in recipes() if "counts" not in name), "four.arpa", "by-hand.arpa", *NEURAL)
"""Every kind of language model; `by-hand` ones are not distributions."""

RARELY = {
    *(f"{smoothing}-{order}.lm" for smoothing in SMOOTHINGS[1:] for order in "124"),
    "char-katz.lm", "byte-katz.lm", "byte-modified-kneser-ney.lm", "mkn.arpa", "imported.lm",
}  # fmt: skip
"""Those whose smoothing, unit and source others have too; tests of them are slow ones."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that take `model_name` run for every kind of language model."""
    if "model_name" in metafunc.fixturenames:
        marks = dict.fromkeys(RARELY, pytest.mark.slow)
        metafunc.parametrize("model_name", [pytest.param(n, marks=marks.get(n, ())) for n in LANGUAGE_MODELS])


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Files of every kind, by name."""
    return Shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture(scope="session")
def opened(shelf: Shelf) -> Callable[[str], Any]:
    """A language model of the shelf, opened once."""
    from lmkit.commands.loading.models import open_language_model

    models: dict[str, Any] = {}

    def opened(name: str) -> Any:
        if name not in models:
            models[name] = open_language_model(str(shelf[name]))
        return models[name]

    return opened


@pytest.fixture
def model(model_name: str, opened: Callable[[str], Any]) -> Any:
    """Each language model in turn."""
    return opened(model_name)


def without_digests(data):
    """A checkpoint as it was written before there were any, so that what reads it must find damage itself."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    metadata = header["__metadata__"]
    del metadata["digests"]
    mark = json.loads(metadata["lmkit"])
    del mark["digest"]
    text = checkpoint.canonical({**header, "__metadata__": {**metadata, "lmkit": checkpoint.canonical(mark)}}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


@pytest.fixture(scope="session")
def packed() -> Callable[..., bytes]:
    """The bytes of a checkpoint from a header and data, right or wrong."""

    def packed(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return (len(text) if length is None else length).to_bytes(8, "little") + text + data

    return packed


@pytest.fixture(scope="session")
def small() -> checkpoint.Checkpoint:
    """A small checkpoint of no kind that a command knows."""
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7, dtype=np.int64)}
    return checkpoint.Checkpoint("toy", {"order": 3}, tensors, {"type": "word"}, {"command": "x"}, {"about": "é"})
