"""Commands on models of other makers: start tokens, end tokens, chat templates and settings of generation."""

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published_models import generated, saved, torch, transformers

import lmkit as package
from lmkit.commands.loading import models as opening
from lmkit.errors import LmkitWarning


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What transformers warns of is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """A folder whose tokenizer adds no start token, its model and tokenizer in transformers."""
    path = tmp_path_factory.mktemp("published") / "model"
    model, words = saved(path, 5)
    model.generation_config.update(
        do_sample=True, temperature=0.25, top_k=3, max_new_tokens=4, watermarking_config=None
    )
    model.generation_config.save_pretrained(path)
    return path, model, words


@pytest.fixture
def folder(made: tuple[Path, Any, Any]) -> Path:
    return made[0]


@pytest.mark.slow
def test_a_sample_ends_where_that_of_transformers_does(made: Any, lmkit: Callable[..., Any]) -> None:
    path, model, words = made
    tokens = generated(model, words, "the cat")
    record = lmkit("sample", "-m", path, "--greedy", "--max-tokens", 30, "--prompt", "the cat", "--json").records[0]
    ends = model.generation_config.eos_token_id
    ended = tokens[-1] in ends
    assert record["finish_reason"] == ("eos" if ended else "length")
    assert record["tokens"] == len(tokens) - ended


@pytest.mark.slow
def test_constraints_can_end(made: Any, lmkit: Callable[..., Any]) -> None:
    path, model, words = made
    free = lmkit("sample", "-m", path, "--greedy", "--regex", "(?s).*", "--prompt", "a", "--max-tokens", 30, "--json")
    tokens = generated(model, words, "a")
    assert free.records[0]["finish_reason"] in ("eos", "length")
    several = lmkit("sample", "-m", path, "--regex", "[a-z]+", "-n", 40, "--max-tokens", 60, "--json").records
    assert tokens
    assert "eos" in {record["finish_reason"] for record in several}
    assert all(record["complete"] for record in several if record["finish_reason"] == "eos")


def test_bos_says_where_the_start_token_is(made: Any, lmkit: Callable[..., Any], fails: Callable[..., Any]) -> None:
    path, model, words = made
    ids = words("the cat sat", add_special_tokens=False).input_ids

    def nats(begun: list[int], first: int) -> float:
        with torch.inference_mode():
            logs = torch.log_softmax(model(torch.tensor([[*begun, *ids]])).logits[0].double(), dim=-1)
        own = [*begun, *ids]
        return sum(float(logs[place - 1, own[place]]) for place in range(first, len(own)))

    def ours(*options: Any) -> Any:
        (record,) = lmkit("ppl", "-m", path, "--json", *options, stdin=b"the cat sat").records
        return record

    for mode in ("auto", "always"):
        record = ours("--bos", mode)
        assert record["nats"] == pytest.approx(nats([1], 1), abs=1e-4)
        assert record["tokens"] == len(ids)
        assert "|bos:yes|" in record["signature"]
    record = ours("--bos", "never")
    assert (record["nats"], record["tokens"]) == (pytest.approx(nats([], 1), abs=1e-4), len(ids) - 1)
    assert "|bos:no|" in record["signature"]
    line = lmkit("score", "-m", path, "--bos", "never", "--json", stdin=b"the cat sat\n").records[0]
    assert line["nats"] == pytest.approx(nats([], 1), abs=1e-4)
    asked = ["prompt", "answer", "-m", path, "--prompt", "the cat", "--joint", " ", "--candidates", "sat"]
    found = {
        mode: lmkit(*asked, "--bos", mode).records[0]["scores"]["sat"]["none"] for mode in ("auto", "always", "never")
    }
    before = len(words("the cat", add_special_tokens=False).input_ids)
    assert found["auto"] == found["never"] == pytest.approx(nats([], before), abs=1e-4)
    assert found["always"] == pytest.approx(nats([1], before + 1), abs=1e-4)
    assert "nothing to predict the first token from" in fails(3, "sample", "-m", path, "--bos", "never").stderr
    assert (
        lmkit("next", "-m", path, "--bos", "never", "--prompt", "a", "--json").records
        != lmkit("next", "-m", path, "--bos", "always", "--prompt", "a", "--json").records
    )


def test_models_trained_here_have_their_start_token(
    lmkit: Callable[..., Any], fails: Callable[..., Any], shelf: Any
) -> None:
    assert "was trained with its start token" in fails(2, "score", "-m", shelf["juan.lm"], "--bos", "never").stderr
    always = lmkit("score", "-m", shelf["juan.lm"], "--bos", "always", stdin=b"a\n")
    assert always.stdout == lmkit("score", "-m", shelf["juan.lm"], stdin=b"a\n").stdout


def test_defaults_are_followed_where_asked_for(
    folder: Path, lmkit: Callable[..., Any], fails: Callable[..., Any]
) -> None:
    def texts(*options: Any) -> Any:
        return lmkit("sample", "-m", folder, "-n", 5, "--prompt", "the", "--json", *options).records

    asked = texts("--defaults")
    assert asked == texts("-t", 0.25, "-k", 3, "--max-tokens", 4)
    assert asked != texts()
    assert texts("--defaults", "-t", 1.0) == texts("-k", 3, "--max-tokens", 4)  # what is typed wins, a default too
    assert texts("--defaults", "--greedy", "--max-tokens", 9) == texts("--greedy", "--max-tokens", 9)
    assert texts("--defaults", "--beam", 5) == texts("--beam", 5, "--max-tokens", 4)


def test_settings_that_do_not_draw_are_greedy(folder: Path, lmkit: Callable[..., Any], work: Path, fails: Any) -> None:
    import shutil

    shutil.copytree(folder, work / "other")

    def told(**settings: Any) -> Any:
        (work / "other" / "generation_config.json").write_text(json.dumps(settings))
        return lmkit("sample", "-m", "other", "--defaults", "--prompt", "the", "--json")

    plain = {"do_sample": False, "temperature": 0.7, "max_new_tokens": 6, "eos_token_id": 2}
    greedy = lmkit("sample", "-m", folder, "--greedy", "--max-tokens", 6, "--prompt", "the", "--json").records[0]
    assert told(**plain).records[0]["text"].startswith(greedy["text"])
    assert told(**plain, suppress_tokens=[7]).stderr.endswith(
        "generation_config: suppress_tokens not supported, ignored\n"
    )
    assert len(told(num_beams=3, max_new_tokens=6).records) == 1
    (work / "other" / "generation_config.json").write_text(json.dumps({"do_sample": True, "top_k": "x"}))
    assert "other: generation_config: top_k is 'x'" in fails(4, "sample", "-m", "other", "--defaults").stderr
    (work / "other" / "generation_config.json").write_text("{}")
    assert "no settings of generation" in fails(4, "sample", "-m", "other", "--defaults").stderr


CHAT = {"messages": [{"role": "user", "content": "the cat"}]}


def test_prompts_of_a_models_own_template(
    made: Any, lmkit: Callable[..., Any], fails: Callable[..., Any], work: Path
) -> None:
    import shutil

    path, _, words = made
    data = (json.dumps(CHAT) + "\n").encode()
    expected = words.apply_chat_template(CHAT["messages"], tokenize=False)
    shutil.copytree(path, work / "named")
    (work / "named" / "additional_chat_templates").mkdir()
    for name in ("tool_use", "plain"):
        (work / "named" / "additional_chat_templates" / f"{name}.jinja").write_text(f"{name}{{{{ eos_token }}}}")
    assert lmkit("convert", "named", "-o", "named.lm").status == 0
    for model in ("named", "named.lm"):

        def prompt(*options: Any, model: str = model, stdin: bytes = data) -> str:
            done = lmkit("prompt", "chat", "-m", model, "--input", "jsonl", *options, stdin=stdin)
            return str(done.records[0]["prompt"])

        assert prompt() == expected
        assert prompt("--template", "plain") == "plain<|end|>"
        assert prompt("--template", "chatml") != expected
        tools = (json.dumps({**CHAT, "tools": [{"name": "x"}]}) + "\n").encode()
        assert prompt(stdin=tools) == "tool_use<|end|>"
        assert prompt("--template", "default", stdin=tools) == expected
        done = lmkit("prompt", "chat", "-m", model, stdin=b"a <|turn|>\n")
        assert "message 1 contains <|turn|>, a control token of the template" in done.stderr
        assert (
            "--template 'other' is neither a file or folder nor one of default, plain, tool_use, llama2"
            in fails(2, "prompt", "chat", "-m", model, "--template", "other").stderr
        )
    again = transformers.AutoTokenizer.from_pretrained(work / "named")
    assert set(again.chat_template) == {"default", "plain", "tool_use"}


def test_attention_and_vectors_begin_as_texts_do(folder: Path, lmkit: Callable[..., Any], made: Any) -> None:
    words = made[2]
    count = len(words("the cat", add_special_tokens=False).input_ids)
    record = lmkit("attention", "-m", folder, "--text", "the cat", "--json").records[0]
    assert len(record["tokens"]) == count


# Speed.


def test_a_folder_is_as_big_as_its_weights(folder: Path) -> None:
    assert opening.size_of_model(str(folder)) == (folder / "model.safetensors").stat().st_size


def test_matrices_of_a_folder_are_multiplied_by_rows(tmp_path: Path) -> None:
    """And answers are those of the same model as a checkpoint, to the last bit."""
    from published_models import files_of

    from lmkit.architectures.huggingface import folder as reading
    from lmkit.inference.linear import row_major
    from lmkit.inference.transformer import TransformerModel

    saved(tmp_path / "model", 4)  # of GPT-2's shape, whose matrices lie in columns
    weights = reading.read(files_of(tmp_path / "model"))
    turned = {name: np.ascontiguousarray(array) for name, array in weights.tensors.items()}
    assert any(not array.flags.c_contiguous for array in weights.tensors.values())
    for array in weights.tensors.values():
        assert (row_major(array) == array).all()
        assert row_major(array).flags.c_contiguous
    from dataclasses import replace

    ids = np.arange(20, dtype=np.int32)
    one, other = (TransformerModel(some) for some in (weights, replace(weights, tensors=turned)))
    assert (one.next(one.after(ids)) == other.next(other.after(ids))).all()


@pytest.mark.slow
def test_torch_draws_no_weights_that_are_thrown_away(tmp_path: Path) -> None:
    from published_models import files_of

    from lmkit.architectures.huggingface import folder as reading
    from lmkit.nn import factory

    saved(tmp_path / "model", 4)
    weights = reading.read(files_of(tmp_path / "model"))
    before = torch.get_rng_state()
    made = factory.loaded(weights)
    assert torch.equal(torch.get_rng_state(), before)
    for name, array in made.to_arrays().items():
        assert (array == weights.tensors[name]).all()


def test_a_name_finds_a_folder_in_the_hubs_cache(
    folder: Path, work: Path, lmkit: Callable[..., Any], fails: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, cached = "c0ffee", work / "cache" / "models--org--model"
    monkeypatch.setenv("HF_HUB_CACHE", str(work / "cache"))
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    (cached / "snapshots").mkdir()
    (cached / "snapshots" / commit).symlink_to(folder)
    named = lmkit("score", "--json", "-m", "org/model", stdin=b"the cat\n")
    assert named.stderr == f"lmkit: org/model: revision {commit} in the Hugging Face cache\n"
    assert named.stdout == lmkit("score", "--json", "-m", folder, stdin=b"the cat\n").stdout
    assert lmkit("info", "--json", "org/model").records[0]["origin"] == {"model": "org/model", "revision": commit}
    assert lmkit("convert", "org/model", "-o", "model.lm").status == 0
    origin = lmkit("info", "--json", "model.lm").records[0]["origin"]
    assert origin["settings"] == {"model": "org/model", "revision": commit}
    assert lmkit("bpe", "encode", "-m", "org/model", stdin=b"the cat\n").text
    talk = b'{"messages": [{"role": "user", "content": "the cat"}]}\n'
    assert lmkit("prompt", "chat", "-m", "org/model", stdin=talk).stdout == (
        lmkit("prompt", "chat", "-m", folder, stdin=talk).stdout
    )
    with pytest.warns(LmkitWarning, match="revision c0ffee"):
        assert package.load("org/model").tokenizer.digest == package.load(folder).tokenizer.digest
    absent = fails(3, "ppl", "-m", "org/absent", stdin=b"a\n").stderr
    assert "org/absent: no such file or folder, and no such model in the Hugging Face cache" in absent
    assert str(work / "cache") in absent
    assert "absent.lm: No such file" in fails(3, "ppl", "-m", "absent.lm", stdin=b"a\n").stderr
    (work / "org").mkdir()
    (work / "org" / "model").write_bytes(b"no model")
    assert "org/model: neither a checkpoint" in fails(4, "info", "org/model").stderr
