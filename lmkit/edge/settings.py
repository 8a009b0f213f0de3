"""Settings from a YAML file and back; knows options by their long names only."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from lmkit.edge.streams import open_input
from lmkit.errors import UsageError


def read(name: str, known: Iterable[str]) -> dict[str, Any]:
    """Option values from a YAML mapping of long option names, dashes or underscores.

    Raises UsageError for a file that is not such a mapping or names an unknown option.
    """
    import yaml

    with open_input(name) as stream:
        try:
            settings = yaml.safe_load(stream)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            place = getattr(error, "problem_mark", None)
            where = f"{name}:{place.line + 1}" if place else name
            raise UsageError(f"{where}: not YAML") from None
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
        values[option] = value
    return values


def show(settings: Mapping[str, Any]) -> str:
    """Settings as YAML that `read` takes back."""
    import yaml

    return str(yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, default_flow_style=False))
