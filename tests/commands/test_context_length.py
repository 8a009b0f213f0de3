"""Texts beyond a transformer's context, by every command that takes a model: windows with a notice, or a refusal."""

import json

import pytest

LONG = b"the cat sat on the mat\n"
NOTICE = "exceed the context length, using sliding windows of 8 tokens, stride 4"
REFUSED = "exceeds the model's context of 8"
PROMPT = "the cat sat on the mat"

READ = [["ppl"], ["score"], ["entropy"], ["embed"], ["embed", "--each", "token"], ["compress"]]
WRITTEN = [
    ["sample", "--max-tokens", "30"],
    ["sample", "--max-tokens", "30", "--beam", "2"],
    ["prompt", "tree", "--prompt", "a", "--depth", "3", "--max-tokens", "9"],
    ["prompt", "tree", "--prompt", "a", "--self-consistency", "2", "--numbers", "--max-tokens", "30"],
]
PROMPTED = [
    ["next"], ["sample", "--max-tokens", "2"], ["prompt", "answer", "--labels", "a,b"],
    ["prompt", "tree", "--depth", "1", "--max-tokens", "2"],
]  # fmt: skip


@pytest.fixture
def model(shelf):
    return shelf["transformer-stream.lm"]


@pytest.mark.few(2)
@pytest.mark.parametrize("command", READ, ids=" ".join)
def test_texts_are_read_through_windows_with_a_notice(command, lmkit, model, write):
    write("long", LONG)
    done = lmkit(*command, "-m", model, "long", "-o", "out")
    assert done.status == 0
    assert done.stderr.count(NOTICE) == 1
    write("short", b"the cat")
    assert NOTICE not in lmkit(*command, "-m", model, "short", "-o", "out").stderr
    assert NOTICE not in lmkit(*command, "-m", model, "long", "-o", "out", "--quiet").stderr


def test_vectors_of_a_table_need_no_context(lmkit, model):
    assert lmkit("embed", "--static", "-m", model, stdin=LONG).stderr == ""


@pytest.mark.parametrize("command", WRITTEN, ids=" ".join)
def test_texts_are_written_through_windows_with_a_notice(command, lmkit, model):
    done = lmkit(*command, "-m", model)
    assert done.status == 0
    assert done.stderr.count(NOTICE) == 1


def test_a_text_within_the_context_has_no_notice(lmkit, model):
    assert lmkit("sample", "--max-tokens", "8", "-m", model).stderr == ""


@pytest.mark.parametrize("command", PROMPTED, ids=" ".join)
def test_prompts_are_refused_but_for_window(command, fails, lmkit, model):
    assert REFUSED in fails(3, *command, "-m", model, "--prompt", PROMPT).stderr
    assert lmkit(*command, "-m", model, "--prompt", PROMPT, "--window").status == 0


def test_attention_is_refused(fails, model):
    assert "a context of 8" in fails(2, "attention", "-m", model, "--text", PROMPT).stderr


@pytest.mark.few(4)
@pytest.mark.parametrize("name", ["gru-stream.lm", "witten-bell-3.lm"])
@pytest.mark.parametrize("command", READ, ids=" ".join)
def test_other_models_have_no_such_limit(command, name, lmkit, shelf):
    if command[0] == "embed" and name == "witten-bell-3.lm":
        return
    done = lmkit(*command, "-q", "-m", shelf[name], "-o", "out", stdin=LONG)
    assert (done.status, done.stderr) == (0, "")


def test_the_signature_names_the_windows(lmkit, model, write):
    (record,) = lmkit("ppl", "--json", "-m", model, write("long", LONG)).records
    assert "context:8/4" in record["signature"]
    assert json.loads(lmkit("compress", "--json", "-m", model, "long", "-o", "o").stderr.splitlines()[-1])["signature"]
