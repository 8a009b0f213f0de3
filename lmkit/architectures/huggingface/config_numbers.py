"""Numbers of a config.json, checked."""

from collections.abc import Mapping
from typing import Any

from lmkit.errors import CheckpointError


def number(values: Mapping[str, Any], key: str) -> int:
    """Return a whole number of a config.json. Raises CheckpointError for anything else."""
    value = values.get(key)
    if type(value) is not int:
        raise CheckpointError(f"config.json: {key} is {value!r}, not a whole number")
    return value


def real(values: Mapping[str, Any], key: str) -> float:
    """Return a number of a config.json. Raises CheckpointError for anything else."""
    value = values.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise CheckpointError(f"config.json: {key} is {value!r}, not a number")
    return float(value)
