"""Small files of settings that are data of a command: YAML or JSON. Knows nothing of what is in them."""

import json
from typing import Any

from lmkit.edge import streams
from lmkit.errors import DataError


def read(name: str) -> Any:
    """What a file of YAML or JSON holds. Raises DataError, with its line, where it is neither, or has a key twice."""
    shown = streams.display(name)
    try:
        text = bytes(streams.read_whole(name)).removeprefix(streams.BOM).decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{shown}: not UTF-8 (byte 0x{error.object[error.start]:02x})") from None
    if text.lstrip().startswith(("{", "[")):
        try:
            return json.loads(text, object_pairs_hook=lambda pairs: _once(shown, pairs))
        except (json.JSONDecodeError, RecursionError):
            pass  # YAML has braces and brackets too
    return _yaml(shown, text)


def _yaml(shown: str, text: str) -> Any:
    import yaml

    try:
        _check_keys(shown, yaml.compose(text, yaml.SafeLoader), set())
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        place = getattr(error, "problem_mark", None)
        raise DataError(f"{shown}{f':{place.line + 1}' if place else ''}: neither YAML nor JSON") from None


def _once(shown: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise DataError(f"{shown}: {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _check_keys(shown: str, node: Any, seen: set[int]) -> None:
    """Raises DataError where a mapping has a key twice, of which YAML would keep the last."""
    if node is None or id(node) in seen or not isinstance(node.value, list):
        return
    seen.add(id(node))
    keys = set()
    for child in node.value:
        key, value = child if isinstance(child, tuple) else (None, child)
        if key is not None and isinstance(key.value, str):
            if key.value in keys:
                raise DataError(f"{shown}:{key.start_mark.line + 1}: {key.value!r} stands twice")
            keys.add(key.value)
        _check_keys(shown, value, seen)
