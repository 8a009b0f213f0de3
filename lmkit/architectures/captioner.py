"""A language model that is shown images: a vision transformer, a linear map, and a transformer language model.

Liu et al. (2023; LLaVA), figure 1. The vision transformer makes visual tokens Z_v of images X_v; H_v = W Z_v + b are in
place of embeddings of tokens. The language model reads its start token, H_v of all images in order and the prompt X_q,
and writes X_a. Both models stay as they were trained.

N visual tokens of an image, D numbers of each, E numbers in an embedding of the language model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from lmkit.architectures.config import Shapes, linear
from lmkit.architectures.families import FAMILIES, imported
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.transformer import TransformerConfig
from lmkit.architectures.vision_model import LoadedVision
from lmkit.checkpoint import Array, Checkpoint
from lmkit.data.sequences import TextFormat
from lmkit.errors import CheckpointError
from lmkit.tokenization import tokenizers

VISION, LANGUAGE, PROJECTION = "vision.", "language.", "projection."
"""What the names of the tensors of each part begin with."""


def projection_shapes(vision: int, language: int) -> Shapes:
    """Shapes of W, (E, D), and b."""
    return linear("projection", language, vision, True)


@dataclass(frozen=True)
class CaptionerWeights:
    """The three parts; `projection` holds `weight`, (E, D), and `bias`, (E,)."""

    kind: ClassVar[str] = "captioner"

    vision: LoadedVision
    language: LoadedModel
    projection: Mapping[str, Array]
    layer: int
    """How many blocks of the vision transformer are run; fewer than all: no norm follows."""
    prompt: str = ""
    """The prompt that it learned to write captions after."""
    digest: str = ""

    @property
    def tokenizer(self) -> Any:
        """The language model's."""
        return self.language.tokenizer

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        content = self.language.to_checkpoint({})
        config = {
            "language": {"kind": content.kind, **content.config}, "layer": self.layer, "prompt": self.prompt,
            "vision": self.vision.body.config(),
        }  # fmt: skip
        own = {name: tensor for name, tensor in content.tensors.items() if name.startswith("tokenizer.")}
        tensors: dict[str, Any] = {
            **own,
            **{VISION + name: tensor for name, tensor in self.vision.body.tensors.items()},
            **{LANGUAGE + name: tensor for name, tensor in self.language.tensors.items()},
            **{PROJECTION + name: tensor for name, tensor in self.projection.items()},
        }
        return Checkpoint(self.kind, config, tensors, content.tokenizer, origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "CaptionerWeights":
        """The model in a checkpoint; its arrays stay where they are. Raises CheckpointError."""
        config = checkpoint.config
        said, prompt, layer = config.get("language"), config.get("prompt"), config.get("layer")
        if not isinstance(said, Mapping) or said.get("kind") != TransformerConfig.kind or not isinstance(prompt, str):
            raise CheckpointError("damaged checkpoint: a captioner's config has no language model or no prompt")
        vision = LoadedVision.of_parts(config.get("vision"), checkpoint, VISION)
        if type(layer) is not int or not 1 <= layer <= vision.settings.layers:
            raise CheckpointError("damaged checkpoint: no such layer of the vision transformer")
        language = _language(said, checkpoint)
        settings = language.settings
        assert isinstance(settings, TransformerConfig)
        shapes = projection_shapes(vision.settings.width, settings.width)
        projection = {
            name.removeprefix(PROJECTION): checkpoint.array(name, "F32", shape) for name, shape in shapes.items()
        }
        return cls(vision, language, projection, layer, prompt, checkpoint.digest)


def _language(config: Mapping[str, Any], checkpoint: Checkpoint) -> LoadedModel:
    """The language model of a captioner. Raises CheckpointError."""
    settings = imported(FAMILIES[TransformerConfig.kind].config).from_json(config)
    tokenizer = tokenizers.load(checkpoint)
    if settings.vocabulary < tokenizer.size:
        raise CheckpointError(f"damaged checkpoint: {tokenizer.size} tokens, {settings.vocabulary} in the model")
    shapes = settings.shapes()
    checkpoint.check({LANGUAGE + name for name in shapes})
    tensors = {name: checkpoint.array(LANGUAGE + name, "F32", shape) for name, shape in shapes.items()}
    return LoadedModel(settings, TextFormat.from_json(config.get("text"), tokenizer.size), tokenizer, tensors)


def width_of(language: LoadedModel) -> int:
    """E."""
    assert isinstance(language.settings, TransformerConfig)
    return language.settings.width


def of_parts(
    vision: LoadedVision, language: LoadedModel, projection: Mapping[str, Array], **more: Any
) -> CaptionerWeights:
    """The captioner of trained parts. Raises CheckpointError where the language model is no transformer of ours."""
    if not isinstance(language.settings, TransformerConfig):
        raise CheckpointError(
            f"of kind {language.settings.kind}, but images are shown to transformers", hint="`lmkit train transformer`"
        )
    return replace(CaptionerWeights(vision.body, language, projection, vision.settings.layers), **more)
