"""Small files that are data of a command: texts, YAML or JSON. Knows nothing of what is in them."""

import json
from typing import Any

from lmkit.errors import DataError
from lmkit.io import size_limits, streams, text_files


def text(name: str, limit: size_limits.Limit | None = None) -> str:
    r"""A whole small file, `\r\n` as `\n`, without a byte order mark.

    Raises DataError where it is not there, longer than the limit, or not UTF-8.
    """
    try:
        whole = bytes(streams.read_limited(name, limit or size_limits.DOCUMENT)).removeprefix(text_files.BOM).decode()
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
        except (ValueError, RecursionError):
            pass  # YAML has braces and brackets too
    if len(written) > size_limits.YAML.size:
        raise size_limits.YAML.error(shown)
    try:
        value, node = yaml_value(written)
    except YamlError as error:
        raise DataError(f"{error.place(shown)}: neither YAML nor JSON{error.reason}") from None
    _check_keys(shown, node, set())
    return value


class YamlError(Exception):
    """Text that is not YAML, or holds what can't be read, such as a number of thousands of digits."""

    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = f" ({reason})" if reason else ""

    def place(self, shown: str) -> str:
        """The file, and the line where it is known."""
        return shown if self.line is None else f"{shown}:{self.line}"


def yaml_value(written: str | bytes) -> tuple[Any, Any]:
    """What a text of YAML holds, and its node, which has the lines of keys. Raises YamlError."""
    import yaml

    try:
        return yaml.safe_load(written), yaml.compose(written, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise YamlError(mark.line + 1 if mark else None, "") from None
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:  # of what a tag promises
        raise YamlError(None, str(error).partition(";")[0]) from None


def _once(shown: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise DataError(f"{shown}: {next(name for name in names if names.count(name) > 1)!r} occurs twice")
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
                raise DataError(f"{shown}:{key.start_mark.line + 1}: {key.value!r} occurs twice")
            keys.add(key.value)
        _check_keys(shown, value, seen)
