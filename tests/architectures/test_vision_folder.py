"""Vision transformers out of folders of transformers: random small ones give the same numbers there and here."""

import numpy as np
import pytest

from lmkit import registry
from lmkit.errors import CheckpointError
from lmkit.io.folders import Folder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40}
CASES = {
    "vit": ("ViTConfig", "ViTModel", {"image_size": 12, "patch_size": 4}),
    "vit-gray": ("ViTConfig", "ViTModel", {"image_size": 8, "patch_size": 2, "num_channels": 1}),
    "clip": ("CLIPVisionConfig", "CLIPVisionModel", {"image_size": 12, "patch_size": 3}),
    "clip-gelu": ("CLIPVisionConfig", "CLIPVisionModel", {"image_size": 8, "patch_size": 4, "hidden_act": "gelu"}),
}


def saved(case, folder):
    config, model, more = CASES[case]
    torch.manual_seed(len(case))
    made = getattr(transformers, model)(getattr(transformers, config)(**SIZES, **more)).eval()
    with torch.no_grad():
        for tensor in made.parameters():
            tensor.normal_(0, 0.3)
    made.save_pretrained(folder)
    return made


@pytest.mark.parametrize("case", CASES)
@pytest.mark.few(2)
def test_states_are_those_of_transformers(case, work):
    theirs = saved(case, work)
    ours = registry.load_folder(Folder(str(work)), "folder")
    sizes = ours.settings.image_height, ours.settings.image_width, ours.settings.channels
    images = np.random.default_rng(1).random((2, *sizes)).astype(np.float32)
    pixels = ours.pixels(list(images))
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(pixels).permute(0, 3, 1, 2)).last_hidden_state.numpy()
    np.testing.assert_allclose(ours.hidden_states(pixels), wanted, atol=1e-4)
    np.testing.assert_array_equal(ours.visual_tokens(list(images))[1], ours.visual_tokens([images[1]])[0])


def test_labels_are_those_of_transformers(work):
    torch.manual_seed(0)
    config = transformers.ViTConfig(**SIZES, image_size=8, patch_size=4, num_labels=3)
    theirs = transformers.ViTForImageClassification(config).eval()
    theirs.save_pretrained(work)
    ours = registry.load_folder(Folder(str(work)), "folder")
    image = np.random.default_rng(2).random((8, 8, 3)).astype(np.float32)
    with torch.no_grad():
        logits = theirs(torch.from_numpy(ours.pixels([image])).permute(0, 3, 1, 2)).logits
    np.testing.assert_allclose(ours.image_probabilities([image]), torch.softmax(logits, -1).numpy(), atol=1e-5)
    assert ours.labels == tuple(config.id2label.values())


def test_folders_that_cannot_be_run_say_so(work):
    saved("vit", work)
    config = (work / "config.json").read_text()
    (work / "config.json").write_text(config.replace('"gelu"', '"mish"'))
    with pytest.raises(CheckpointError, match="hidden_act 'mish'"):
        registry.load_folder(Folder(str(work)), "folder")
    (work / "config.json").write_text(config.replace('"hidden_size": 24', '"hidden_size": 27'))
    with pytest.raises(CheckpointError, match=r"its config\.json makes it"):
        registry.load_folder(Folder(str(work)), "folder")
