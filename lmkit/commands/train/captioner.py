"""`lmkit train captioner`: a language model that is shown images, of which only a linear map is trained."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import vision_models
from lmkit.commands.options.image_training import NAMES, ImageTraining
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import UNRECORDED, Run
from lmkit.commands.records import image_records
from lmkit.commands.records.image_records import CAPTION, ImageRecord
from lmkit.commands.training_run.image_session import ImageRun, ImageSession, check
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.io import outputs, streams

if TYPE_CHECKING:
    from lmkit.data.answer_sequences import AnswerSequence
    from lmkit.protocols import F32

SECTIONS = {
    "Images and output": ("file", "valid", "output"),
    "Parts": ("vision", "model", "layer", "prompt"),
    "Training": NAMES,
}
PROBED = 200
"""Different captions, at most, that a linear probe tells apart."""
PROBE_L2 = 1.0


@in_sections(SECTIONS)
@with_groups(training={"epochs": 15.0, "lr": 0.03, "weight_decay": 0.0})
def captioner(
    run: Run,
    file: Annotated[
        str,
        typer.Argument(
            metavar="[FILE]", show_default=False,
            help="Images: JSON Lines of `image` (a PNG, JPEG or .npy file, or rows of pixels) or `images`, `caption`, "
            "and `prompt` if each has its own; or .npz with `images` and `captions`. `-` or none: stdin.",
        ),
        UNRECORDED,
    ] = streams.STDIN,
    vision: Annotated[
        str | None,
        typer.Option(
            "--vision", metavar="MODEL", show_default=False,
            help="Vision transformer: a checkpoint of `train vision`, or a Hugging Face folder of ViT or CLIP.",
        ),
        UNRECORDED,
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="MODEL", show_default=False,
            help="Language model: a transformer, as a checkpoint, a Hugging Face folder or a GGUF file.",
        ),
        UNRECORDED,
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            "--layer", metavar="N", min=1, show_default="all",
            help="Number of layers of the vision transformer that run; LLaVA leaves out the last one.",
        ),
    ] = None,
    prompt: Annotated[
        str,
        typer.Option("--prompt", metavar="TEXT", help="Prompt between the images and the caption."),
    ] = "",
    *,
    training: ImageTraining,
) -> None:  # fmt: skip
    """Train a captioner: a language model that is shown images.

    A linear map W turns each visual token of a vision transformer into a vector in place of a token's embedding, as in
    LLaVA (Liu et al. 2023); only W and its bias are trained, both models stay as they are. The language model reads its
    start token, the visual tokens of the images in order, the prompt, and writes the caption. `sample --image` and
    `prompt answer --image` use the result.

    With --valid `accuracy` is the share of captions that greedy search gets right to the last token, and `probe` that
    of a linear classifier on the mean of the visual tokens, which says how much the vision transformer alone knows.

    Examples:
      lmkit train captioner --vision vision.lm -m gpt.lm --prompt "this is" train.jsonl -o cap.lm
      lmkit sample -m cap.lm --image seven.png --greedy
      lmkit prompt answer -m cap.lm --image seven.png --prompt "this is" --candidates one,seven
    """
    if vision is None or model is None:
        raise UsageError("a captioner is made of two models", hint="give --vision MODEL and -m MODEL")
    outputs.expect_output(training.output, binary=True)
    state = check(run, training)
    from lmkit.architectures import captioner as architecture
    from lmkit.architectures.neural_model import LoadedModel
    from lmkit.inference.vision import VisionModel

    seeing, language = vision_models.open_vision(vision), opening.open_weights(model)
    if not isinstance(language, LoadedModel):
        raise CheckpointError(f"{streams.display(model)}: no language model", hint="`lmkit train transformer`")
    blocks = seeing.settings.layers
    if layer is not None and layer > blocks:
        raise UsageError(f"--layer {layer}: the vision transformer has {blocks} layers")
    with opening.error_context(model):
        blank = architecture.of_parts(seeing, language, {}, layer=layer or blocks, prompt=prompt)
    texts = _Captions(run, language, VisionModel(seeing), blank.layer, prompt)
    width = architecture.width_of(language)
    found = texts.read(file)
    held = None if training.valid is None else texts.read(training.valid)
    visual: F32 = found["visual"]

    def network() -> Any:
        import torch

        from lmkit.nn.captioner import CaptionerNetwork
        from lmkit.nn.factory import SEEDS

        made = CaptionerNetwork(language, visual.shape[2])
        made.initialise(torch.Generator().manual_seed(training.seed % SEEDS))
        return made

    def of_weights(weights: Mapping[str, Any]) -> Any:
        return architecture.of_parts(seeing, language, dict(weights), layer=blank.layer, prompt=prompt)

    made = ImageRun(
        {name: found[name] for name in ("visual", "ids", "targets")},
        None if held is None else {name: held[name] for name in ("visual", "ids", "targets")}, of_weights, network,
        [f"captioner: visual tokens of shape {visual.shape[1:]}, as vectors of {width}"],
        image_records.inputs_of([file, training.valid]), {"vision": seeing.digest, "language": language.digest},
        lambda: _probed(found, held),
    )  # fmt: skip
    ImageSession(run, training, state, made).go()


class _Captions:
    """Captions as sequences behind visual tokens."""

    def __init__(self, run: Run, language: Any, vision: Any, layer: int, prompt: str) -> None:
        self._run, self._language, self._vision, self._layer, self._prompt = run, language, vision, layer, prompt
        self._shown: int | None = None

    def read(self, name: str) -> dict[str, Any]:
        """The arrays of a file's captions, and these as texts. Raises DataError."""
        import numpy as np

        from lmkit.training.image_batches import captions

        visual, sequences, texts = [], [], []
        for record in image_records.read(self._run, name):
            visual.append(self._tokens(record))
            sequences.append(self._sequence(record))
            texts.append(record.text(CAPTION))
        if not visual:
            raise DataError(f"{streams.display(name)}: no images: the input is empty")
        return {**captions(np.stack(visual), sequences), "texts": texts}

    def _tokens(self, record: ImageRecord) -> "F32":
        self._shown = len(record.images) if self._shown is None else self._shown
        if len(record.images) != self._shown:
            raise DataError(f"{record.place}: {len(record.images)} images, but {self._shown} in the first record")
        found: F32 = self._vision.visual_tokens(record.images, self._layer)
        return found.reshape(-1, found.shape[-1])

    def _sequence(self, record: ImageRecord) -> "AnswerSequence":
        import numpy as np

        from lmkit.data.answer_sequences import joined
        from lmkit.data.sequences import encode_prompt
        from lmkit.generation.prompt_encoding import ends_of

        language = self._language
        own = record.text("prompt") if "prompt" in record.fields else self._prompt
        space = " " if own and not own[-1].isspace() else ""
        caption = language.tokenizer.encode(f"{space}{record.text(CAPTION)}".encode())
        end = np.array(ends_of(language.form)[:1], dtype=np.int32)
        before = encode_prompt(language.tokenizer, language.form, own.encode())
        found = joined([(before, False), (caption, True), (end, True)])
        room = language.settings.context - 1 - self._vision.settings.patches * len(record.images)
        if len(found.ids) - 1 > room:
            raise DataError(
                f"{record.place}: images, prompt and caption are longer than the language model's context of "
                f"{language.settings.context} tokens",
                hint="a vision transformer with larger patches has fewer visual tokens",
            )
        return found


def _probed(found: Mapping[str, Any], held: Mapping[str, Any] | None) -> dict[str, float]:
    """How often a linear classifier on the mean of the visual tokens tells validation captions apart; if few differ."""
    import numpy as np

    from lmkit.linear_models import softmax_regression
    from lmkit.linear_models.linear_map import DenseMatrix

    names: Sequence[str] = sorted(set(found["texts"]))
    if held is None or not 2 <= len(names) <= PROBED:
        return {}
    numbers = {name: number for number, name in enumerate(names)}
    x, y = (each["visual"].mean(axis=1).astype(np.float64) for each in (found, held))
    middle, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    labels = np.array([numbers[text] for text in found["texts"]], dtype=np.int64)
    fitted = softmax_regression.fit(DenseMatrix((x - middle) / scale), labels, len(names), PROBE_L2)
    logs = softmax_regression.log_probabilities(fitted(DenseMatrix((y - middle) / scale)))
    right = [names[row] == text for row, text in zip(logs.argmax(axis=0).tolist(), held["texts"], strict=True)]
    return {"probe": sum(right) / len(right)}
