"""Images before prompts: those of --image for all, or those of each record, for models that are shown images."""

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from lmkit.commands.loading import scoring_models
from lmkit.commands.options.standard import Run
from lmkit.commands.records.prompts import Prompt
from lmkit.errors import UsageError
from lmkit.io import streams
from lmkit.protocols import ImageCaptioner, LanguageModel, context_limit

if TYPE_CHECKING:
    from lmkit.protocols import StoredModel


class ImagePrompts:
    """The model of `lmkit sample`, shown images if it is a captioner."""

    def __init__(self, run: Run, name: str, images: Sequence[str] | None) -> None:
        self._run, self._name, self._images = run, name, images or []
        self._captioner: ImageCaptioner | None = None

    def opened(self, device: str, *, records: bool) -> "StoredModel":
        """The model: of a captioner its language model behind the images of --image, else behind none yet.

        Raises UsageError where images are asked for and cannot be shown, or a captioner has none.
        """
        found = scoring_models.open_generating_model(
            self._name, device, sources=True, shown=partial(self._shown, records)
        )
        if self._images and self._captioner is None:
            from lmkit.commands.loading import vision_models  # loads numpy, which help needs not

            raise vision_models.no_captioner(found.kind, self._name)
        return found

    def _shown(self, records: bool, captioner: ImageCaptioner) -> "StoredModel":
        self._captioner = captioner
        if self._images:
            from lmkit.commands.loading import vision_models

            return vision_models.shown(self._run, captioner, self._images)
        if not records:
            raise UsageError(
                f"{streams.display(self._name)}: a captioner needs images",
                hint="give --image FILE, or JSON Lines with a field `image`",
            )
        return captioner.given([])

    @property
    def prompt(self) -> str | None:
        """The prompt that is meant where none is given; None for other models."""
        return None if self._captioner is None else self._captioner.prompt

    def limit(self, model: LanguageModel, most: int) -> int:
        """Tokens of a text, at most: as many as asked for, and as a captioner's context has room for."""
        room = context_limit(model)
        return most if self._captioner is None or room is None else min(most, room)

    def model_for(self, prompt: Prompt) -> LanguageModel | None:
        """The model that is shown the images of a prompt's own record; None where it has none. Raises DataError."""
        from lmkit.commands.records import image_records

        named = {image_records.IMAGE, image_records.IMAGES} & prompt.record.keys()
        if self._captioner is None or not named:
            return None
        shown = {name: prompt.record[name] for name in named}
        for name in named:
            if not isinstance(shown[name], str):  # pixels would make answers long
                del prompt.record[name]
        return self._captioner.given(image_records.taken(shown, prompt.place, os.path.dirname(prompt.place)))
