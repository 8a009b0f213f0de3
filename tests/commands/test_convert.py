"""`lmkit convert`, and folders where a checkpoint is accepted."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.transformer import TransformerConfig
from lmkit.checkpoint import parse, serialize
from lmkit.data.sequences import TextFormat
from lmkit.tokenization.tokenizers import from_list

FILES = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def checkpoint(**changes: Any) -> bytes:
    """A small transformer over characters."""
    tokenizer = from_list("char", [b"a", b"b", b" "])
    shape = {"vocabulary": 6, "layers": 1, "width": 8, "heads": 2, "kv_heads": 1, "head_width": 4, "hidden": 5}
    settings = TransformerConfig(**{**shape, "context": 7, **changes})
    random = np.random.default_rng(0)
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in settings.shapes().items()}
    weights = LoadedModel(settings, TextFormat.of("stream", tokenizer), tokenizer, tensors)
    return b"".join(map(bytes, serialize(weights.to_checkpoint({}))))


@pytest.fixture
def model(write: Callable[[str, bytes], Path]) -> Path:
    """The small transformer as a file."""
    return write("model.lm", checkpoint())


@pytest.fixture
def folder(model: Path, lmkit: Callable[..., Any]) -> Path:
    """The small transformer as a folder."""
    assert lmkit("convert", model, "-o", "folder").status == 0
    return Path("folder")


def test_a_transformer_becomes_a_folder_and_a_checkpoint_again(
    model: Path, folder: Path, lmkit: Callable[..., Any]
) -> None:
    assert sorted(os.listdir(folder)) == FILES
    assert os.stat(folder).st_mode & 0o777 == 0o777 & ~_umask()
    assert lmkit("convert", folder, "-o", "again.lm").status == 0
    first, again = parse(model.read_bytes()), parse(Path("again.lm").read_bytes())
    assert {name: array.tobytes() for name, array in again.tensors.items()} == {
        name: array.tobytes() for name, array in first.tensors.items()
    }
    assert (again.config, again.tokenizer) == (first.config, first.tokenizer)
    assert [entry["file"] for entry in again.origin["inputs"]] == FILES


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_same_command_writes_the_same_bytes(model: Path, folder: Path, lmkit: Callable[..., Any]) -> None:
    os.mkdir("empty")
    assert lmkit("convert", "--to", "huggingface", folder, "-o", "empty").status == 0
    assert lmkit("convert", "-", "-o", "third", stdin=model.read_bytes()).status == 0
    for name in FILES:
        assert (folder / name).read_bytes() == Path("empty", name).read_bytes() == Path("third", name).read_bytes()
    written = [lmkit("convert", folder).stdout for _ in range(2)]
    assert written[0] == written[1]


def test_a_folder_appears_whole_or_not_at_all(model: Path, lmkit: Callable[..., Any], monkeypatch: Any) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        done = lmkit("convert", model, "-o", "folder")
    assert (done.status, done.stderr) == (74, "lmkit convert: folder: No space left on device\n")
    assert os.listdir(".") == ["model.lm"]


def test_what_is_there_is_not_overwritten(model: Path, folder: Path, fails: Callable[..., Any]) -> None:
    before = (folder / "config.json").read_bytes()
    assert "folder is there already" in fails(2, "convert", model, "-o", folder).stderr
    assert "model.lm is there already" in fails(2, "convert", folder, "--to", "huggingface", "-o", model).stderr
    assert "is an input and would be" in fails(2, "convert", folder, "-o", folder / "config.json").stderr
    assert (folder / "config.json").read_bytes() == before
    assert "several files" in fails(2, "convert", model).stderr


def test_other_conversions_are_those_of_the_groups(shelf: Any, lmkit: Callable[..., Any]) -> None:
    arpa = shelf["by-hand.arpa"]
    assert lmkit("convert", arpa, "-o", "model.lm").status == 0
    assert Path("model.lm").read_bytes() == shelf["by-hand.lm"].read_bytes()
    assert lmkit("convert", "model.lm").text == lmkit("ngram", "export", "model.lm").text
    assert lmkit("bpe", "train", "--vocab-size", "270", shelf["corpus.txt"], "-o", "bpe.lm").status == 0
    assert lmkit("convert", "bpe.lm", "-o", "tokenizer.json").status == 0
    assert lmkit("convert", "tokenizer.json", "-o", "again.lm").status == 0
    text = b"the cat\n"
    ids = [lmkit("bpe", "encode", "-m", name, stdin=text).text for name in ("bpe.lm", "again.lm")]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("status", "words", "message"),
    [
        (2, ["model.lm", "--to", "lm"], "a checkpoint already"),
        (4, ["model.lm", "--to", "arpa"], "of kind transformer"),
        (2, ["folder", "--to", "arpa"], "converts to lm or huggingface, not to arpa"),
        (4, ["text.txt"], "neither a checkpoint nor an ARPA file"),
        (4, ["text.txt", "--to", "huggingface", "-o", "x"], "text.txt: not a checkpoint"),
        (4, ["model.bin"], "model.bin: a pickle"),
        (4, ["folder/model.safetensors"], "name the folder"),
        (4, ["empty.txt"], "empty"),
        (3, ["absent"], "No such file"),
        (2, ["-"], "needs the input as a file"),
        (4, ["bare"], "bare: no config.json in the folder"),
        (2, ["model.lm", "--to", "onnx"], "'onnx' is not one of lm, huggingface"),
        (2, ["model.lm", "--to", "huggingface", "--precision", "bf16"], "--precision is for lm and gguf"),
        (4, ["model.lm", "-o", "x.gguf"], "its tokenizer is no byte-level BPE"),
    ],
)
def test_what_can_not_be_converted_is_refused(
    status: int, words: list[str], message: str, folder: Path, write: Callable[[str, bytes], Path], fails: Any
) -> None:
    write("text.txt", b"a text\0\n")
    write("empty.txt", b"")
    write("model.bin", b"\x80\x04" + b"x" * 50)
    os.mkdir("bare")
    before = sorted(os.listdir("."))
    assert message in fails(status, "convert", *words, stdin=b"text").stderr
    assert sorted(os.listdir(".")) == before


def test_a_shape_that_transformers_lacks_is_refused(
    write: Callable[[str, bytes], Path], shelf: Any, fails: Callable[..., Any]
) -> None:
    write("post.lm", checkpoint(norm="post"))
    assert "post.lm: norm post" in fails(4, "convert", "post.lm", "-o", "out").stderr
    done = fails(4, "convert", "--to", "huggingface", shelf["four.lm"], "-o", "out")
    assert "of kind ngram, not a neural model" in done.stderr


def test_info_of_a_folder_says_what_its_checkpoint_says(model: Path, folder: Path, lmkit: Callable[..., Any]) -> None:
    ours, theirs = (lmkit("info", "--json", name).records[0] for name in (model, folder))
    assert theirs["parameters"] == ours["parameters"]
    assert theirs["tokenizer"] == ours["tokenizer"]
    assert theirs["config"]["format"] == "LlamaForCausalLM"
    assert theirs["config"]["width"] == ours["config"]["width"]
    assert "tensor\tmodel.embed_tokens.weight\tF32\t6x8" in lmkit("info", "--tensors", folder).lines


def test_encode_takes_the_tokenizer_of_a_folder_whatever_its_model(folder: Path, lmkit: Callable[..., Any]) -> None:
    os.remove(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    assert lmkit("bpe", "encode", "-m", folder, stdin=b"ab\n b\n").text == "3 4\n5 4\n"


def test_damaged_folders_are_refused_in_one_line(folder: Path, fails: Callable[..., Any]) -> None:
    (folder / "model.safetensors").write_bytes(b"junk" * 100)
    for command in (["convert"], ["info"], ["ppl", "-m"], ["score", "-m"], ["next", "-m"], ["sample", "-m"]):
        assert "folder: model.safetensors: not a checkpoint" in fails(4, *command, folder).stderr
    os.remove(folder / "model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")
    done = fails(4, "convert", folder)
    assert "folder: pytorch_model.bin is a pickle" in done.stderr
    assert "hint: `save_pretrained`" in done.stderr


def test_a_link_to_nothing_is_a_damaged_folder(folder: Path, fails: Callable[..., Any]) -> None:
    os.remove(folder / "tokenizer.json")
    os.symlink("nowhere", folder / "tokenizer.json")
    assert "folder: tokenizer.json: No such file or directory" in fails(4, "convert", folder).stderr


def test_links_out_of_a_folder(folder: Path, work: Path, lmkit: Callable[..., Any], fails: Callable[..., Any]) -> None:
    plain = lmkit("convert", folder).stdout
    outside = work / "outside"
    outside.mkdir()
    (folder / "model.safetensors").rename(outside / "weights")
    os.symlink(outside / "weights", folder / "model.safetensors")
    done = lmkit("convert", folder)
    assert done.stdout == plain
    assert done.stderr.splitlines()[:1] == [f"lmkit: {folder}/model.safetensors: a symbolic link to {outside}/weights"]
    (work / "secret").write_text("{{ 'my key' }}")
    os.symlink("../secret", folder / "chat_template.jinja")
    refused = fails(4, "prompt", "chat", "-m", folder, stdin=b'{"messages": [{"role": "user", "content": "a"}]}\n')
    assert "folder: chat_template.jinja: a symbolic link out of its folder" in refused.stderr
    assert "hint: copy the file into the folder" in refused.stderr
    os.remove(folder / "chat_template.jinja")
    os.remove(folder / "model.safetensors")
    (outside / "weights").rename(folder / "model.safetensors")
    (folder / "tokenizer.json").rename(folder / "of-the-tokenizer.json")
    os.symlink("of-the-tokenizer.json", folder / "tokenizer.json")
    os.symlink(folder, work / "other-name")
    within = lmkit("convert", "other-name")
    assert (within.status, "tokenizer.json" in within.stderr) == (0, False)
    (folder / "of-the-tokenizer.json").rename(outside / "tokenizer.json")
    os.remove(folder / "tokenizer.json")
    os.symlink(outside / "tokenizer.json", folder / "tokenizer.json")
    for command in (["convert"], ["info"], ["ppl", "-m"], ["score", "-m"], ["bpe", "encode", "-m"]):
        assert "folder: tokenizer.json: a symbolic link out of its folder" in fails(4, *command, folder).stderr


def test_links_of_the_hubs_cache_are_followed(
    folder: Path, work: Path, lmkit: Callable[..., Any], fails: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = lmkit("convert", folder).stdout
    model = work / "cache" / "models--org--model"
    snapshot, blobs = model / "snapshots" / "c0ffee", model / "blobs"
    for made in (snapshot, blobs, model / "refs"):
        made.mkdir(parents=True)
    (model / "refs" / "main").write_text("c0ffee")
    for file in list(folder.iterdir()):
        file.rename(blobs / f"blob-{file.name}")
        os.symlink(f"../../blobs/blob-{file.name}", snapshot / file.name)
    monkeypatch.setenv("HF_HUB_CACHE", str(work / "cache"))
    os.symlink(snapshot, work / "by-a-link")
    for name in (snapshot, "by-a-link"):
        done = lmkit("convert", name)
        assert (done.stdout, "symbolic" in done.stderr) == (plain, False)
    named = lmkit("convert", "org/model", "-o", "named.lm")
    assert (named.status, "symbolic" in named.stderr) == (0, False)
    blobs.rename(work / "blobs")
    os.symlink(work / "blobs", blobs)
    assert "a symbolic link out of its folder" in fails(4, "convert", snapshot).stderr
