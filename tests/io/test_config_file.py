"""`--config` and `--print-config`."""

import pytest


def parsed(data):
    import yaml

    return yaml.safe_load(data)


@pytest.fixture
def settings(lmkit, write):
    """The settings that a command has under a YAML file."""

    def settings(text, *arguments):
        write("settings.yaml", text.encode() if isinstance(text, str) else text)
        done = lmkit(*arguments, "--config", "settings.yaml", "--print-config")
        assert done.status == 0, done.stderr
        return parsed(done.stdout)

    return settings


def test_values_become_defaults_and_typed_ones_win(settings):
    assert settings("order: 2\ntokens: char\n", "ngram", "fit")["order"] == 2
    shown = settings("order: 2\ntokens: char\nmin-count: 4\n", "ngram", "fit", "--order", "7")
    assert (shown["order"], shown["tokens"], shown["min-count"]) == (7, "char", 4)
    assert settings("json: true\n", "next")["json"] is True
    assert settings("order: 2\n", "ngram", "fit", "--order", "5")["order"] == 5


def test_order_on_the_command_line_does_not_matter(lmkit, write):
    write("settings.yaml", b"order: 2\n")
    for words in (
        ["-c", "settings.yaml", "--order", "7"],
        ["--order", "7", "-c", "settings.yaml"],
        ["--order=7", "--config=settings.yaml"],
    ):
        assert parsed(lmkit("ngram", "fit", *words, "--print-config").stdout)["order"] == 7


def test_settings_have_effect(lmkit, shelf, write):
    write("settings.yaml", b"order: 2\nsmoothing: wb\nquiet: true\n")
    done = lmkit("ngram", "fit", "-c", "settings.yaml", shelf["corpus.txt"])
    assert (done.status, done.stderr) == (0, "")
    assert (
        done.stdout
        == lmkit("ngram", "fit", "-q", "--order", "2", "--smoothing", "witten-bell", shelf["corpus.txt"]).stdout
    )
    write("settings.yaml", f"model: {shelf['juan.lm']}\njson: true\n".encode())
    assert lmkit("score", "-c", "settings.yaml", shelf["juan.txt"]).records[0]["tokens"] == 4


def test_names_have_dashes_or_underscores(settings):
    assert settings("min_count: 3\n", "ngram", "fit")["min-count"] == 3
    assert settings("min-count: 3\n", "ngram", "fit")["min-count"] == 3


def test_options_that_repeat(settings, lmkit, shelf, write):
    assert settings("model: [a, b]\n", "ppl")["model"] == ["a", "b"]
    assert settings("stop: [x]\n", "sample")["stop"] == ["x"]
    assert settings("model: [a, b]\n", "ppl", "-m", "c")["model"] == ["c"]
    write("settings.yaml", f"model: ['{shelf['juan.lm']}', '{shelf['witten-bell-2.lm']}']\nbare: true\n".encode())
    assert len(lmkit("ppl", "-c", "settings.yaml", shelf["juan.txt"]).lines) == 2


@pytest.mark.parametrize("command", ["ppl", "ngram mix"])
def test_an_option_that_repeats_may_be_given_once(command, settings):
    assert settings("model: one.lm\n", *command.split())["model"] == ["one.lm"]


def test_switches_with_two_names(settings):
    assert settings("open-vocabulary: false\n", "ngram", "fit")["open-vocabulary"] is False
    assert settings("open-vocabulary: true\n", "ngram", "fit", "--closed-vocabulary")["open-vocabulary"] is False
    assert settings("", "ngram", "fit")["open-vocabulary"] is None


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "{}\n", "null\n"])
def test_files_that_set_nothing(text, settings):
    assert settings(text, "next") == settings("top: 10\n", "next")


def test_other_kinds_of_values_are_taken_as_they_would_be_typed(settings):
    assert settings("output: 5\n", "next")["output"] == "5"
    assert settings("weights: 0.5\n", "ngram", "mix")["weights"] == "0.5"
    assert settings("temperature: 2\n", "next")["temperature"] == 2.0
    assert settings("top: '3'\n", "next")["top"] == 3
    assert settings("output: null\n", "next")["output"] is None


@pytest.mark.parametrize(
    "text",
    ["top: many\n", "top: 2.5\n", "top: -1\n", "top: [1]\n", "top: {a: 1}\n", "json: perhaps\n", "json: [true]\n",
     "order: [a]\n",
     "temperature: -1\n", "temperature: hot\n", "temperature: .nan\n", "prompt: [a, b]\n", "prompt: {a: 1}\n",
     "top: 2020-01-01\n",
     "top: true\n", "temperature: no\n", "prompt: yes\n", "json: 1\n", "json: 'true'\n",
     "output: {}\n", "top: !!binary aGVsbG8=\n"],
)  # fmt: skip
def test_values_that_make_no_sense(text, lmkit, shelf, write):
    write("settings.yaml", text.encode())
    done = lmkit("next", "-m", shelf["juan.lm"], "-c", "settings.yaml")
    assert done.status == 2, done.stderr
    assert done.stdout == b""


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("text", "message"),
    [(b"topp: 3\n", "unknown option 'topp'"), (b"top: 3\nnonsense: 1\n", "unknown option 'nonsense'"),
     (b"3: 4\n", "unknown option 3"),
     (b"config: x\n", "unknown option 'config'"), (b"print-config: true\n", "unknown option 'print-config'"),
     (b"help: true\n", "unknown option 'help'"),
     (b"[1, 2]\n", "mapping"), (b"text\n", "mapping"), (b"3\n", "mapping"), (b"a: [\n", "not YAML"),
     (b"a: b: c\n", "settings.yaml:1: not YAML"),
     (b"top: 3\n\tx: 1\n", "settings.yaml:2: not YAML"), (b"\xff\n", "not YAML"), (b"\0", "not YAML"),
     (b"!!python/object:os.system x\n", "not YAML"),
     (b"[" * 1500, "not YAML"), (b"a: &a [*a]\n", "unknown option 'a'"), (b"? [1]\n: 2\n", ""),
     (b"? {a: 1}\n: 2\n", "not YAML"), (b"top: 1\ntop: 2\n", "settings.yaml:2: 'top'"),
     (b"null: 3\n", "unknown option"), (b"top: 3\n---\ntop: 4\n", "not YAML")],
)  # fmt: skip
def test_files_that_make_no_sense(text, message, fails, write):
    write("settings.yaml", text)
    done = fails(2, "next", "-c", "settings.yaml")
    assert "settings.yaml" in done.stderr
    assert message in done.stderr


def test_typing_errors_have_a_hint(fails, write):
    assert "did you mean 'temperature'?" in fails(2, "next", "-c", write("s.yaml", b"temprature: 2\n")).stderr


def test_files_that_are_not_there(fails):
    assert "none.yaml: No such file" in fails(3, "next", "-c", "none.yaml").stderr


def test_settings_do_not_come_from_stdin(fails):
    """Which texts and models may want."""
    assert "stdin" in fails(2, "next", "-c", "-", stdin=b"top: 3\n").stderr


def test_nothing_is_done_but_printing(lmkit, work):
    done = lmkit("ngram", "fit", "none.txt", "-o", "out", "--print-config")
    assert (done.status, done.stderr) == (0, "")
    assert not (work / "out").exists()


def test_defaults_are_shown(lmkit):
    shown = parsed(lmkit("sample", "--print-config").stdout)
    expected = {
        "model": None, "prompt": "", "number": 1, "max-tokens": 100, "seed": 0, "greedy": False, "temperature": 1.0,
        "top-k": 0, "top-p": 1.0, "order": None, "stop": None, "echo": False, "threads": None, "batch": 32, "beam": 0,
        "draft": None, "json": False, "output": None,
    }  # fmt: skip
    assert {name: shown[name] for name in expected} == expected


@pytest.mark.parametrize("words", [["-o", "s.yaml"], ["--output=./s.yaml"], ["-o", "link"], []])
def test_the_settings_are_not_overwritten(words, fails, shelf, write, work):
    text = f"model: {shelf['juan.lm']}\n{'' if words else 'output: s.yaml'}\n".encode()
    write("s.yaml", text)
    (work / "link").symlink_to("s.yaml")
    assert "is an input and would be overwritten" in fails(2, "next", "-c", "s.yaml", *words).stderr
    assert (work / "s.yaml").read_bytes() == text
