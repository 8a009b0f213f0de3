"""Settings from a YAML file and back; knows options by their long names only."""

from collections.abc import Container, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from lmkit.errors import UsageError
from lmkit.io import size_limits, streams, yaml_json
from lmkit.io.streams import STDIN


def read(name: str, known: Iterable[str], several: Container[str] = (), flags: Container[str] = ()) -> dict[str, Any]:
    """Option values from a YAML mapping of long option names, dashes or underscores.

    Values are given as text, as if typed; options in `several` take lists too, those in
    `flags` are true or false, and no others are. Raises UsageError for a file that is not such
    a mapping, names an unknown option or one twice.
    """
    if name == STDIN:
        raise UsageError("--config takes a file, not stdin")
    text = bytes(streams.read_limited(name, size_limits.YAML))
    try:
        settings, node = yaml_json.yaml_value(text)
    except yaml_json.YamlError as error:
        raise UsageError(f"{error.place(name)}: not YAML{error.reason}") from None
    _refuse_repeated(node, name)
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise UsageError(f"{name}: expected a mapping of option names to values")
    values = {}
    known = sorted(known)
    for key, value in settings.items():
        option = str(key).replace("_", "-")
        if option not in known:
            close = get_close_matches(option, known, 1)
            raise UsageError(f"{name}: unknown option {key!r}", hint=f"did you mean {close[0]!r}?" if close else None)
        if option in flags and not (value is None or isinstance(value, bool)):
            raise UsageError(f"{name}: {option} is true or false, nothing else")
        values[option] = value if option in flags else _typed(value, name, option, several=option in several)
    return values


def _refuse_repeated(node: Any, name: str) -> None:
    """Raises UsageError where a key of the mapping is repeated."""
    seen = set()
    for key, _ in node.value if isinstance(getattr(node, "value", None), list) and node.id == "mapping" else []:
        if key.value in seen:
            raise UsageError(f"{name}:{key.start_mark.line + 1}: {key.value!r} occurs twice")
        seen.add(key.value)


def _typed(value: Any, name: str, option: str, *, several: bool) -> Any:
    """A setting as it would have been typed; None as it is."""
    if several and isinstance(value, list):
        return [_typed(item, name, option, several=False) for item in value]
    if isinstance(value, list | dict):
        raise UsageError(f"{name}: {option} takes one value, not a {'list' if isinstance(value, list) else 'mapping'}")
    if isinstance(value, bool):  # which is what YAML makes of yes and no, too
        word = "true" if value else "false"
        raise UsageError(
            f"{name}: {option} takes a value, not {word}", hint="YAML takes yes, no, on and off for these; quote a text"
        )
    if value is None:
        return value
    try:
        text = str(value)
    except ValueError:  # an integer in hexadecimal digits
        raise UsageError(f"{name}: {option} has a number of thousands of digits") from None
    return [text] if several else text


def show(settings: Mapping[str, Any]) -> str:
    """Settings as YAML that `read` takes back."""
    import yaml

    return str(yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, default_flow_style=False))
