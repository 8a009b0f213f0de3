"""Instructions of records that a program can check, in the form of IFEval."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lmkit.errors import DataError

if TYPE_CHECKING:
    from lmkit.metrics.instruction_checks import Instruction


def instructions_of(fields: Mapping[str, Any]) -> "list[Instruction]":
    """The instructions of a record: `instruction_id_list`, and `kwargs` with what goes with each. Raises DataError."""
    from lmkit.metrics.instruction_checks import instruction

    kinds, given = fields.get("instruction_id_list"), fields.get("kwargs")
    if not isinstance(kinds, list) or not kinds:
        raise DataError(
            "no `instruction_id_list`, a list of instructions", hint="--gold FILE has prompts with their instructions"
        )
    given = [{}] * len(kinds) if given is None else given
    if not isinstance(given, list) or len(given) != len(kinds) or not all(isinstance(one, dict) for one in given):
        raise DataError(f"`kwargs` is not a list of {len(kinds)} objects, one for each instruction")
    return [instruction(kind, one) for kind, one in zip(kinds, given, strict=True)]
