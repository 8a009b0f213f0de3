"""Small files that are data of a command: texts, YAML or JSON. Knows nothing of what is in them."""

import json
from typing import Any

from lmkit.edge import streams
from lmkit.errors import DataError


def text(name: str) -> str:
    r"""A whole small file, `\r\n` as `\n`, without a byte order mark. Raises DataError: not there, or no UTF-8."""
    try:
        whole = bytes(streams.read_whole(name)).removeprefix(streams.BOM).decode()
    except UnicodeDecodeError as error:
        wrong = f"byte 0x{error.object[error.start]:02x} at {error.start + 1}"
        raise DataError(f"{streams.display(name)}: not UTF-8 ({wrong})") from None
    return whole.replace("\r\n", "\n")


def read(name: str) -> Any:
    """What a file of YAML or JSON holds. Raises DataError, with its line, where it is neither, or has a key twice."""
    shown, written = streams.display(name), text(name)
    if written.lstrip().startswith(("{", "[")):
        try:
            return json.loads(written, object_pairs_hook=lambda pairs: _once(shown, pairs))
        except (json.JSONDecodeError, RecursionError):
            pass  # YAML has braces and brackets too
    return _yaml(shown, written)


def _yaml(shown: str, written: str) -> Any:
    import yaml

    try:
        _check_keys(shown, yaml.compose(written, yaml.SafeLoader), set())
        return yaml.safe_load(written)
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
