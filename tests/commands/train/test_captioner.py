"""`lmkit train vision` and `train captioner`, and what is done with their models."""

import json

import numpy as np
import pytest

from lmkit import checkpoint

NAMES = ("left", "right")


@pytest.fixture
def pictures(work):
    """Bars at the left or at the right of noise, as .npz and as records; texts that say where a word was."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 40, (40, 4, 4)).astype(np.uint8)
    sides = rng.integers(0, 2, 40)
    for image, side in zip(images, sides, strict=True):
        image[:, 2 * side : 2 * side + 2] += 200
    labels = np.array(NAMES)[sides]
    np.savez(work / "train.npz", images=images[:30], labels=labels[:30], captions=labels[:30])
    records = [
        {"id": number, "image": image.tolist(), "label": str(label), "caption": str(label)}
        for number, (image, label) in enumerate(zip(images[30:], labels[30:], strict=True))
    ]
    (work / "valid.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (work / "text.txt").write_text("".join(f"{name} {other} is {name}\n" for name in NAMES for other in "abcd") * 4)
    np.save(work / "one.npy", images[30])
    return str(labels[30])


def test_pictures_are_learned_and_described(lmkit, fails, pictures, work):
    small = ["--threads", 1, "--restart"]
    seen = lmkit("train", "vision", *small, "--patch", 2, "--layers", 1, "--width", 16, "--heads", 2, "--epochs", 25,
                 "--lr", 0.01, "--valid", "valid.jsonl", "train.npz", "-o", "v.lm")  # fmt: skip
    assert "visual tokens of shape (4, 16)" in seen.stderr
    assert seen.status == 0
    labels = lmkit("predict", "-m", "v.lm", "valid.jsonl").records
    assert sum(one["label"] == one["gold"] for one in labels) >= 9
    bare = lmkit("predict", "-m", "v.lm", "--bare", "valid.jsonl").stdout.decode()
    assert bare.split() == [one["label"] for one in labels]
    assert lmkit("train", "transformer", *small, "--tokens", "word", "--by", "line", "--layers", 1, "--width", 16,
                 "--heads", 2, "--context", 12, "--steps", 60, "text.txt", "-o", "g.lm").status == 0  # fmt: skip
    made = lmkit("train", "captioner", *small, "--vision", "v.lm", "-m", "g.lm", "--prompt", "is", "--epochs", 15,
                 "--lr", 0.05, "--valid", "valid.jsonl", "train.npz", "-o", "c.lm")  # fmt: skip
    assert made.status == 0
    assert "probe" in made.stderr
    parts = {name: checkpoint.parse((work / name).read_bytes()) for name in ("v.lm", "g.lm", "c.lm")}
    own = parts["c.lm"].tensors
    for file, prefix in (("v.lm", "vision."), ("g.lm", "language.")):
        for name, tensor in parts[file].tensors.items():
            if not name.startswith(("tokenizer.", "head.")):
                assert tensor.tobytes() == own[prefix + name].tobytes()
    assert parts["c.lm"].origin["parents"] == {"vision": parts["v.lm"].digest, "language": parts["g.lm"].digest}
    captions = lmkit("sample", "-m", "c.lm", "--greedy", "valid.jsonl").records
    assert sum(one["text"] == one["caption"] for one in captions) >= 9
    assert "image" not in captions[0]
    alone = lmkit("sample", "-m", "c.lm", "--image", "one.npy", "--greedy")
    assert alone.stdout.decode() == f"{captions[0]['text']}\n"
    assert "visual tokens of shape (4, 16)" in alone.stderr
    for search in (["--beam", 2], ["--contrastive", 0.6, "-k", 2], ["-n", 3, "-t", 0.5]):
        assert lmkit("sample", "-m", "c.lm", "--image", "one.npy", *search).status == 0
    answer = lmkit("prompt", "answer", "-m", "c.lm", "--image", "one.npy", "--prompt", "is", "--joint", " ",
                   "--candidates", "left,right", "-q").records  # fmt: skip
    assert answer[0]["answer"] == pictures
    assert "needs images" in fails(2, "sample", "-m", "c.lm").stderr
    assert "needs a captioner" in fails(2, "sample", "-m", "g.lm", "--image", "one.npy").stderr
    assert "needs a captioner" in fails(2, "prompt", "answer", "-m", "g.lm", "--image", "one.npy", "--prompt", "is",
                                        "--candidates", "a,b").stderr  # fmt: skip
    assert "after images" in fails(4, "ppl", "-m", "c.lm", "text.txt").stderr
    assert "not a vision transformer" in fails(
        4, "train", "captioner", "--vision", "g.lm", "-m", "g.lm", "train.npz", "-o", "x.lm"
    ).stderr  # fmt: skip


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"label": "a"}, "no `image`"), ({"image": "no.png", "label": "a"}, "no.png"),
        ({"image": [[1]]}, "no text `label`"), ({"image": [[999]], "label": "a"}, "outside 0 to 255"),
        ({"images": [[[1]], [[1]]], "label": "a"}, "2 images with one label"), ({"image": [], "label": "a"}, "image"),
        ({"image": "text.txt", "label": "a"}, "neither PNG nor JPEG"), ({"image": [[1]], "label": "a\tb"}, "tab"),
    ],
)  # fmt: skip
def test_records_that_are_no_pictures_say_where(fails, write, work, record, said):
    write("text.txt", b"text")
    write("bad.jsonl", json.dumps(record).encode() + b"\n")
    error = fails(3, "train", "vision", "bad.jsonl", "-o", "v.lm").stderr
    assert said in error
    assert "bad.jsonl:1" in error


def test_options_that_cannot_be_say_so(fails, pictures):
    assert "patches" in fails(2, "train", "vision", "--patch", 3, "train.npz", "-o", "v.lm").stderr
    assert "--size" in fails(2, "train", "vision", "--size", "9", "train.npz", "-o", "v.lm").stderr
    assert "two models" in fails(2, "train", "captioner", "train.npz", "-o", "c.lm").stderr
    assert "--valid" in fails(2, "train", "vision", "--patience", 1, "train.npz", "-o", "v.lm").stderr
