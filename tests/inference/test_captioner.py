"""Language models that are shown images: numpy beside torch, and the laws of language models."""

import numpy as np
import pytest
from random_models import tokenizer
from random_weights import random_tensors, random_weights

from lmkit import checkpoint
from lmkit.architectures import captioner as architecture
from lmkit.architectures.heads import CLASSIFY, FIRST, TaskHead
from lmkit.architectures.vision import VisionConfig
from lmkit.architectures.vision_model import LoadedVision, PixelScale
from lmkit.errors import CheckpointError, DataError
from lmkit.inference.captioner import Captioner
from lmkit.inference.vision import VisionModel

RNG = np.random.default_rng(0)
IMAGES = list(RNG.random((3, 6, 4, 1)).astype(np.float32))
SIZES = {"layers": 2, "width": 16, "heads": 2, "kv_heads": 1, "head_width": 8, "hidden": 24, "context": 24}
KINDS = {
    "llama": {}, "gpt-2": {"normalisation": "layernorm", "positions": "learned", "activation": "gelu", "bias": "all"},
    "post": {"norm": "post", "positions": "sinusoidal", "tied": True},
}  # fmt: skip


def vision(head=None, **more):
    sizes = {"image_height": 6, "image_width": 4, "channels": 1, "patch": 2, "layers": 2, "width": 12, "heads": 3}
    settings = VisionConfig(**{**sizes, "hidden": 20, **more})
    tensors = random_tensors(settings)
    if head is not None:
        tensors |= {name: RNG.normal(size=shape).astype(np.float32) for name, shape in head.shapes().items()}
    return LoadedVision(settings, PixelScale((0.4,), (0.3,)), tensors, head, "ab")


def captioner(kind="llama"):
    language = random_weights("transformer", tokenizer("word"), **SIZES, **KINDS[kind])
    projection = {"weight": RNG.normal(size=(16, 12)).astype(np.float32), "bias": np.ones(16, np.float32)}
    return architecture.of_parts(vision(), language, projection, prompt="the cat", digest="cd")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.few(2)
def test_numbers_are_those_of_torch(kind):
    torch = pytest.importorskip("torch")
    from lmkit.nn.captioner import CaptionerNetwork

    weights = captioner(kind)
    model = Captioner(weights)
    network = CaptionerNetwork(weights.language, 12)
    network.load_arrays(weights.projection)
    ids = np.array([5, 7, 6, 4], np.int32)
    with torch.no_grad():
        visual = torch.from_numpy(model.visual_tokens(IMAGES[:2]))[None]
        logits = network.outputs(visual, torch.from_numpy(ids[None].astype(np.int64)))[0]
        wanted = torch.log_softmax(logits[:, : model.tokenizer.size].double(), -1).numpy()
    given = model.given(IMAGES[:2])
    states = [given.start(), *given.follow(given.start(), ids)]
    found = np.stack([given.next(state) for state in states])
    np.testing.assert_allclose(found, wanted, atol=2e-4)
    scored = given.score_many(ids, np.array([len(ids)]))
    np.testing.assert_allclose(scored, wanted[np.arange(4), ids], atol=2e-4)


def test_numbers_of_the_vision_transformer_are_those_of_torch():
    torch = pytest.importorskip("torch")
    from lmkit.nn.vision import VisionNetwork

    head = TaskHead(task=CLASSIFY, width=12, labels=("a", "b", "c"), pooling=FIRST)
    for more in ({}, {"embed_norm": True, "last_norm": "first", "activation": "quick_gelu", "patch_bias": False}):
        weights = vision(head, **more)
        network = VisionNetwork(weights.settings, head)
        network.load_arrays(weights.tensors)
        model = VisionModel(weights)
        with torch.no_grad():
            wanted = torch.softmax(network.outputs(torch.from_numpy(model.pixels(IMAGES))), -1).numpy()
        np.testing.assert_allclose(model.image_probabilities(IMAGES), wanted, atol=1e-5)
        made = network.to_arrays()
        assert all((made[name] == tensor).all() for name, tensor in weights.tensors.items())


def test_the_laws_of_language_models_hold():
    given = Captioner(captioner()).given(IMAGES[:1])
    state = given.start()
    assert np.exp(given.next(state)).sum() == pytest.approx(1)
    after = given.follow(state, np.array([4, 5, 6], np.int32))
    before = given.next(state).copy()
    other = given.advance(given.advance(state, 4), 7)
    np.testing.assert_allclose(given.next(after[1]), given.next(given.advance(given.advance(state, 4), 5)), atol=1e-6)
    assert not np.allclose(given.next(other), given.next(after[1]))
    np.testing.assert_array_equal(given.next(state), before)
    rows = given.rows([state, after[2]])
    rows.advance([4, 9])
    np.testing.assert_allclose(rows.next()[0], given.next(after[0]), atol=1e-5)


def test_states_of_other_images_advance_in_one_batch():
    model = Captioner(captioner())
    some = [model.given([image]) for image in IMAGES]
    rows = some[0].rows([each.start() for each in some])
    rows.advance([4, 4, 4])
    for row, each in zip(rows.next(), some, strict=True):
        np.testing.assert_allclose(row, each.next(each.advance(each.start(), 4)), atol=1e-5)


def test_images_their_order_and_the_order_of_their_visual_tokens_matter():
    model = Captioner(captioner())
    one, two = (model.given(images) for images in (IMAGES[:2], IMAGES[1::-1]))
    assert np.abs(one.next(one.start()) - two.next(two.start())).max() > 0.01
    assert one.digest != two.digest
    tokens = model.visual_tokens(IMAGES[:1])
    assert tokens.shape == (6, 12)
    turned = type(one)(model, tokens[::-1])
    plain = type(one)(model, tokens)
    assert np.abs(turned.next(turned.start()) - plain.next(plain.start())).max() > 0.01


def test_images_and_text_beyond_the_context_are_refused():
    model = Captioner(captioner())
    with pytest.raises(DataError, match="leave no room"):
        model.given(IMAGES + IMAGES)
    given = model.given(IMAGES[:1])
    assert given.prompt_limit == 24 - 6 - 1
    with pytest.raises(DataError, match="longer than the language model's context"):
        given.after(np.full(18, 4, np.int32))
    rows = given.rows([given.after(np.full(17, 4, np.int32))])
    with pytest.raises(DataError, match="longer than the language model's context"):
        rows.advance([4])


def test_a_captioner_is_stored_with_both_models_as_they_were():
    weights = captioner()
    data = b"".join(checkpoint.serialize(weights.to_checkpoint({})))
    assert data == b"".join(checkpoint.serialize(weights.to_checkpoint({})))
    parsed = checkpoint.parse(data)
    found = architecture.CaptionerWeights.from_checkpoint(parsed)
    for part in ("vision", "language"):
        theirs, ours = getattr(weights, part).tensors, getattr(found, part).tensors
        assert theirs.keys() == ours.keys()
        assert all((theirs[name] == ours[name]).all() for name in theirs)
    assert (found.prompt, found.layer, found.kind) == ("the cat", 2, "captioner")
    one, two = (Captioner(each).given(IMAGES[:1]) for each in (weights, found))
    np.testing.assert_array_equal(one.next(one.start()), two.next(two.start()))


@pytest.mark.parametrize("change", [{"layer": 9}, {"prompt": 3}, {"language": {}}, {"vision": {"body": {}}}])
def test_damaged_captioners_are_refused(change):
    from dataclasses import replace

    content = captioner().to_checkpoint({})
    with pytest.raises(CheckpointError, match="damaged checkpoint"):
        architecture.CaptionerWeights.from_checkpoint(replace(content, config={**content.config, **change}))
