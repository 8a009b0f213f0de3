"""The file from which a stopped training run resumes: OUTPUT.state, a checkpoint of its own kind."""

import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import outputs, streams

KIND = "training-state"


class StateFile:
    """Where a run's state is kept; nowhere for a run whose checkpoint goes to stdout or to a device.

    `may_change` names settings that may differ when a run resumes.
    """

    def __init__(self, output: str | None, may_change: Collection[str] = ()) -> None:
        self._may_change = set(may_change)
        self._output = output
        kept = output not in (None, streams.STDIN) and (os.path.isfile(output) or not os.path.exists(output))
        self.name = f"{output}.state" if kept else None

    def save(self, trainer: Any, fingerprint: Mapping[str, Any], *, writes: bool) -> bool:
        """Writes the state, atomically; every process takes part, one `writes`. Raises OutputError.

        The fingerprint is what the run was asked to do, as a JSON object.
        """
        from lmkit.checkpoint import Checkpoint, serialize

        if self.name is None:
            return False
        numbers, arrays = trainer.state()
        if not writes:
            return False
        content = Checkpoint(KIND, {**numbers, "fingerprint": fingerprint}, arrays)
        with outputs.open_output(self.name, binary=True) as out:
            for piece in serialize(content):
                out.write(piece)
        return True

    def load(self, trainer: Any, fingerprint: Mapping[str, Any]) -> list[str] | None:
        """Takes up the state on disk; None if there is none. Gives the names of settings that are others now.

        Raises CheckpointError where it is of another run.
        """
        if self.name is None:
            raise UsageError("--resume reads OUTPUT.state, so it needs -o OUTPUT")
        if not os.path.exists(self.name):
            return None
        with opening.error_context(self.name):
            content = _whole(opening.read_model(self.name))
            opening.unprotected(self.name)(content)
            if content.kind != KIND:
                raise CheckpointError(f"a checkpoint of kind {content.kind}, expected the state of a training run")
            other = _differences(content.config.get("fingerprint"), json.loads(json.dumps(fingerprint)))
            if set(other) - self._may_change:
                raise CheckpointError(
                    f"the state of another run: {', '.join(other)} differ", hint="--restart starts over"
                )
            try:
                trainer.resume(content.config, dict(content.tensors))
            except (KeyError, ValueError, TypeError, RuntimeError) as error:
                raise CheckpointError(f"damaged state: {error}", hint="--restart starts over") from None
        return other

    @property
    def exists(self) -> bool:
        """Whether there is a state to resume from."""
        return self.name is not None and os.path.exists(self.name)

    def check_no_state(self, hint: str = "--resume continues it, --restart starts over") -> None:
        """Raises UsageError where an interrupted run can be resumed."""
        if self.exists:
            raise UsageError(
                f"{self.name} is left from an interrupted run",
                hint=hint,
            )

    def check_not_finished(self, hint: str = "--restart trains anew and replaces it") -> None:
        """Raises UsageError where the output is there and no state: a run that has ended must not be replaced."""
        if self.name is not None and not self.exists and os.path.exists(str(self._output)):
            output, state = streams.display(str(self._output)), streams.display(self.name)
            raise UsageError(
                f"{output} is finished: {state}, to resume from, is not there",
                hint=hint,
            )

    def remove(self) -> None:
        """Drops what is no longer needed."""
        if self.name is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.name)


def _whole(data: memoryview) -> Any:
    """What a state holds, all of it compared with its digests. Raises CheckpointError."""
    from lmkit.checkpoint import parse

    try:
        content = parse(data)
        content.check()
    except CheckpointError as error:
        raise CheckpointError(str(error), hint=error.hint or "--restart starts over") from None
    return content


def _differences(before: object, now: Mapping[str, Any]) -> list[str]:
    """Which settings are not what they were."""
    before = before if isinstance(before, dict) else {}
    return [key for key in sorted({*now, *before}) if now.get(key) != before.get(key)]
