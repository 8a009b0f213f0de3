"""Which items of two files belong together: those of the same ids if both files have ids, else those in order."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from lmkit.errors import DataError

_SHOWN = 5  # ids that a message lists


class Item(Protocol):
    """What is aligned: an id, None where there is none, and where the item was read."""

    @property
    def id(self) -> str | None:
        """Return the id."""

    @property
    def place(self) -> str:
        """Return the file and the line."""


class Key(NamedTuple):
    """No more than that."""

    id: str | None
    place: str


def align(items: Sequence[Item], others: Sequence[Item], files: tuple[str, str], *, samples: bool = False) -> list[int]:
    """Return the number of the other item for each item, (N,); `files` are their files' names for messages.

    `samples`: several items may be of one id. Raises DataError where an item has no other one, or one is left over.
    """
    named, others_named = _have_ids(items), _have_ids(others)
    if named and not samples:
        _check_unique(items)
    if named and others_named:
        _check_unique(others)
        numbers = {other.id: number for number, other in enumerate(others)}
        known = {item.id for item in items}
        _check_complete((item.id for item in items if item.id not in numbers), files, len(items))
        _check_complete((other.id for other in others if other.id not in known), files[::-1], len(others))
        return [numbers[item.id] for item in items]
    order = list(range(len(items)))
    if named and samples:
        first_seen = {known_by: number for number, known_by in enumerate(dict.fromkeys(item.id for item in items))}
        order = [first_seen[item.id] for item in items]
    count = max(order) + 1
    if count != len(others):
        noun = "item" if count == 1 else "items"
        raise DataError(f"{files[0]} has {count} {noun} but {files[1]} has {len(others)}: expected equal numbers")
    return order


def _have_ids(items: Sequence[Item]) -> bool:
    """Whether all items have an id; raises DataError where some have, and others not."""
    without = [item for item in items if item.id is None]
    if without and len(without) < len(items):
        raise DataError(
            f"{without[0].place}: no `id`, though {len(items) - len(without)} of {len(items)} records have one",
            hint="give every record an `id`, or none",
        )
    return not without


def _check_unique(items: Sequence[Item]) -> None:
    seen: dict[str | None, Item] = {}
    for item in items:
        if item.id in seen:
            raise DataError(f"{item.place}: the id {str(item.id)[:40]!r} repeats that of {seen[item.id].place}")
        seen[item.id] = item


def _check_complete(missing: Iterable[str | None], files: tuple[str, str], total: int) -> None:
    """Raises DataError where ids of the first file, which has `total` items, are missing in the second."""
    ids = list(missing)
    if ids:
        names = ", ".join(repr(str(one)[:40]) for one in ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
        raise DataError(f"{files[1]} lacks {len(ids)} of the {total} items of {files[0]}: id {names}")
