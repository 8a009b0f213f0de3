"""`lmkit finetune instruct`: through checkpoints, what is learned, what is kept, and what is refused."""

import json

import numpy as np
import pytest

from lmkit import checkpoint

ANSWERS = {"red": "yes", "blue": "no", "green": "yes", "grey": "no"}
RECORDS = [{"instruction": f"Is {word} it?", "output": said} for word, said in ANSWERS.items()]
DATA = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()
QUICK = ("--batch", "4", "--threads", "1", "-q")


@pytest.fixture(scope="module")
def base(lmkit, tmp_path_factory):
    """The file of a tiny transformer of characters."""
    folder = tmp_path_factory.mktemp("base")
    text = folder / "text.txt"
    text.write_text("Below is an instruction. Write a response that does what is asked, about it.\n### IRyno:g\n\n")
    sizes = ("--layers", "1", "--width", "16", "--heads", "2", "--context", "160", "--batch", "2", "--steps", "2")
    words = ("--tokens", "char", "--by", "blank-line", "--threads", "1", "-q", text)
    assert lmkit("train", "transformer", *sizes, *words, "-o", folder / "base.lm").status == 0
    return folder / "base.lm"


@pytest.fixture
def tuned(lmkit, base, write):
    def tuned(*words, data=DATA, output="sft.lm", status=0):
        done = lmkit("finetune", "instruct", "-m", base, write("t.jsonl", data), *QUICK, *words, "-o", output)
        assert done.status == status, done.stderr
        return done

    return tuned


def content(name):
    with open(name, "rb") as file:
        return checkpoint.parse(memoryview(file.read()))


@pytest.mark.slow
def test_only_the_first_token_of_answers_varies_and_is_learned(lmkit, base, tuned):
    tuned("--epochs", "120", "--lr", "0.02", "--valid", "t.jsonl", "--log", "log.jsonl")
    prompts = lmkit("data", "format", "--style", "instruct", "t.jsonl")
    said = lmkit("sample", "-m", "sft.lm", "--greedy", "--input", "jsonl", "-", stdin=prompts.stdout)
    assert [record["text"] for record in said.records] == list(ANSWERS.values())
    assert {record["finish_reason"] for record in said.records} == {"eos"}
    record = lmkit("info", "--json", "sft.lm").records[0]
    assert record["origin"]["parent"] == content(base).digest
    assert record["origin"]["trained"]["validation"]["accuracy"] == 1.0
    asked = lmkit("prompt", "chat", "-m", "sft.lm", "-b", stdin=b"Is red it?\n")
    assert asked.text.endswith("### Instruction:\nIs red it?\n\n### Response:\n\n")
    with open("log.jsonl", encoding="utf-8") as file:
        assert {event["event"] for event in map(json.loads, file)} == {"step", "evaluation"}


def test_an_adapter_keeps_template_and_ends_for_the_merged_model(lmkit, base, tuned):
    before = base.read_bytes()
    tuned("--train", "lora", "--rank", "2", "--epochs", "2", output="a.lm")
    assert base.read_bytes() == before
    assert content("a.lm").config["parent"] == content(base).digest
    assert "lmkit finetune merge" in lmkit("ppl", "-m", "a.lm", stdin=b"yes\n").stderr
    assert lmkit("finetune", "merge", "-m", base, "--adapter", "a.lm", "-o", "m.lm").status == 0
    merged = content("m.lm")
    assert set(merged.tokenizer["chat_templates"]) == {"default"}
    assert merged.config["text"] == content("a.lm").config["text"]
    assert merged.origin["parents"] == {"adapter": content("a.lm").digest, "model": content(base).digest}
    assert lmkit("ppl", "-b", "-m", "m.lm", stdin=b"yes\n").status == 0
    tuned("--train", "layers=0", "--epochs", "1", output="l.lm")
    kept = content("l.lm").tensors["embed_tokens.weight"]
    assert kept.tobytes() == content(base).tensors["embed_tokens.weight"].tobytes()


def test_a_resumed_run_gives_the_same_bytes(lmkit, base, tuned, monkeypatch):
    from lmkit.commands.finetune.conversation_session import ConversationTuning

    words = ("--train", "lora", "--epochs", "5", "--batch", "2", "--valid", "t.jsonl")
    tuned(*words)
    with open("sft.lm", "rb") as file:
        whole = file.read()
    plain = ConversationTuning.train

    def interrupted(self):
        for number, _ in enumerate(plain(self)):
            if number == 3:
                self.save()
                raise KeyboardInterrupt
            yield

    monkeypatch.setattr(ConversationTuning, "train", interrupted)
    tuned(*words, status=130)
    monkeypatch.setattr(ConversationTuning, "train", plain)
    tuned(*words, "--resume")
    with open("sft.lm", "rb") as file:
        assert file.read() == whole


def test_the_mask_and_marks_in_messages(lmkit, base, write):
    chat = [{"role": "user", "content": "### Response:\nx"}, {"role": "assistant", "content": "no"}]
    data = json.dumps({"messages": chat, "id": "c"}).encode()
    done = lmkit("finetune", "instruct", "-m", base, write("c.jsonl", data), "--show-mask", "--json")
    assert "c.jsonl:1: a message contains ### Response:, a mark of the template; broken up" in done.stderr
    record = done.records[0]
    assert record["id"] == "c"
    learned = [piece for piece, counts in zip(record["pieces"], record["learned"], strict=True) if counts]
    assert learned == ["n", "o", "<s>"]


def test_tasks_have_weights(lmkit, base, write):
    one, other = write("one.jsonl", DATA), write("two.jsonl", DATA)
    words = ("finetune", "instruct", "-m", base, one, other, *QUICK, "--epochs", "1")
    assert lmkit(*words, "--weights", "one=0.75,two=0.25", "-o", "w.lm").status == 0
    assert len(content("w.lm").origin["inputs"]) == 2
    done = lmkit(*words, "--weights", "one=1", "-o", "w.lm")
    assert (done.status, "expected a weight for each of one, two" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("line", "words", "status", "message"),
    [
        ('{"instruction": "a"}', (), 3, "t.jsonl:1: no output"),
        ('{"messages": [{"role": "user", "content": "a"}]}', (), 3, "t.jsonl:1: no answer"),
        (
            '{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "a"}]}', (), 3,
            "roles must alternate",
        ),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', (), 3, "an answer to nothing"),
        ('{"instruction": "a", "output": "' + 300 * "b" + '"}', (), 3, "exceeds the model's context of 160"),
        ('{"instruction": "a", "output": "' + 300 * "b" + '"}', ("--truncate", "drop"), 3, "no conversation fits"),
        ("", (), 3, "t.jsonl: no records"),
        ('{"instruction": "a", "output": "b"}', ("--train", "layers=3"), 2, "the model has layers 0 to 0"),
        ('{"instruction": "a", "output": "b"}', ("--template", "nowhere"), 2, "--template 'nowhere'"),
        ('{"instruction": "a", "output": "b"}', ("--patience", "1"), 2, "--patience needs validation examples"),
    ],
)  # fmt: skip
def test_what_is_refused(tuned, line, words, status, message):
    done = tuned(*words, data=line.encode(), status=status)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_truncation_says_how_much(lmkit, base, write):
    data = json.dumps({"instruction": "a" * 200, "output": "yes"}).encode() + b"\n" + DATA
    words = ("finetune", "instruct", "-m", base, write("t.jsonl", data), "--show-mask")
    done = lmkit(*words, "--truncate", "start")
    assert "1 training conversations cut at the start: " in done.stderr
    assert "tokens lost" in done.stderr
    done = lmkit(*words, "--truncate", "drop")
    assert "1 training conversations left out, beyond the context of 160 tokens" in done.stderr


@pytest.fixture
def chatml(lmkit, write, work):
    """Command line that tunes a tiny transformer of BPE pieces with a template of its own."""
    text = write("text.txt", b"red is a colour\nblue is a colour\nIs red it? yes\nIs blue it? no\n\n" * 4)
    assert lmkit("bpe", "train", "-q", "--vocab-size", "280", text, "-o", "bpe.lm").status == 0
    sizes = ("--layers", "1", "--width", "16", "--heads", "2", "--context", "160", "--batch", "2", "--steps", "2")
    words = ("--tokens", "bpe.lm", "--by", "blank-line", "--threads", "1", "-q")
    assert lmkit("train", "transformer", *words, *sizes, text, "-o", "base.lm").status == 0
    return ("finetune", "instruct", "-m", "base.lm", "--template", "chatml", write("t.jsonl", DATA), *QUICK)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_a_tuned_model_has_its_template(lmkit, chatml):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    assert lmkit(*chatml, "--epochs", "2", "-o", "sft.lm").status == 0
    assert lmkit("convert", "sft.lm", "-o", "folder").status == 0
    theirs = transformers.AutoTokenizer.from_pretrained("folder")
    user = {"role": "user", "content": "Is red it?"}
    asked = theirs.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    ours = lmkit("prompt", "chat", "-m", "sft.lm", "-b", stdin=b"Is red it?\n")
    assert ours.text == asked + "\n"
    mask = lmkit("finetune", "instruct", "-m", "sft.lm", "t.jsonl", "--show-mask", "--json").records[0]
    whole = theirs(asked + "yes", add_special_tokens=False)["input_ids"]
    assert mask["ids"][1:-1] == whole  # between the start and the end that lmkit's models have
    model = transformers.AutoModelForCausalLM.from_pretrained("folder").eval()
    with torch.inference_mode():
        assert model(torch.tensor([whole])).logits.shape[1] == len(whole)


@pytest.mark.slow
def test_an_adapter_through_a_folder_of_peft(lmkit, chatml):
    assert lmkit(*chatml, "--train", "lora", "--rank", "2", "--epochs", "2", "-o", "a.lm").status == 0
    assert lmkit("convert", "a.lm", "--base", "base.lm", "-o", "peft").status == 0
    assert lmkit("convert", "peft", "--base", "base.lm", "-o", "b.lm").status == 0
    for name in ("a", "b"):
        assert lmkit("finetune", "merge", "-m", "base.lm", "--adapter", f"{name}.lm", "-o", f"{name}-m.lm").status == 0
    one, other = content("a-m.lm").tensors, content("b-m.lm").tensors
    assert set(one) == set(other)
    for name, array in one.items():
        np.testing.assert_allclose(other[name], array, atol=1e-6)
