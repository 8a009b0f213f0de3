"""What commands wrote as JSON Lines, gathered: records by their command, events of training by their file."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

EVENTS = ("step", "evaluation", "saved")
UNKNOWN = "other records"
KEYS = (
    ("perplexity", "ppl"), ("event", "train"), ("macro_f1", "eval classify"), ("entropy", "entropy"),
    ("alpha", "scaling fit"), ("fertility", "bpe stats"), ("probability", "next"),
)  # fmt: skip
"""Keys by which records of versions that did not write `command` are known."""
GROUPS = frozenset(("bpe", "calc", "data", "eval", "finetune", "ngram", "prompt", "scaling", "train", "w2v"))
"""First words of commands of two words."""
WORD = re.compile(r"[a-z][a-z0-9-]*")


@dataclass
class TrainingLog:
    """Events of one run: (step, nats, learning rate) of steps and (step, nats) of evaluations."""

    steps: list[tuple[int, float, float]] = field(default_factory=list)
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)
    """The keys of the last step, and those of the last evaluation under `validation`."""

    def add(self, event: Mapping[str, Any]) -> None:
        """Take an event; numbers that are none are passed over."""
        try:
            step, nats = int(event["step"]), float(event["nats"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return
        if event["event"] == "step":
            rate = event.get("lr")
            self.steps.append((step, nats, float(rate) if isinstance(rate, int | float) else 0.0))
            self.last |= {key: event[key] for key in ("step", "tokens", "seconds") if key in event} | {"nats": nats}
        elif event["event"] == "evaluation":
            self.evaluations.append((step, nats))
            self.last |= {"validation_nats": nats}
            if "bits_per_byte" in event:
                self.last["validation_bits_per_byte"] = event["bits_per_byte"]


@dataclass
class Collection:
    """All files of a report."""

    groups: dict[str, list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)
    """From a command to (file, record)."""
    logs: dict[str, TrainingLog] = field(default_factory=dict)
    commands: dict[str, None] = field(default_factory=dict)
    """Command lines, each once, in their order."""
    signatures: dict[str, None] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    """The first line of a file that is no JSON object."""

    @property
    def empty(self) -> bool:
        """Whether nothing was found."""
        return not self.groups and not self.logs

    def read(self, name: str, lines: Iterable[bytes]) -> None:
        """Take the lines of a file."""
        whole = list(lines)
        records = [(number, _object(line)) for number, line in enumerate(whole, 1) if line.strip()]
        if any(record is None for _, record in records) and (one := _object(b"\n".join(whole))) is not None:
            records = [(1, one)]  # an object over several lines
        for number, record in records:
            if record is None:
                self.skipped.setdefault(name, number)
            elif record.get("event") in EVENTS:
                self.logs.setdefault(name, TrainingLog()).add(record)
            else:
                self._add(name, record)

    def _add(self, name: str, record: dict[str, Any]) -> None:
        command = record.pop("command", None)
        if isinstance(command, str):
            self.commands[command] = None
        signature = record.get("signature")
        if isinstance(signature, str):
            self.signatures[signature] = None
        self.groups.setdefault(_kind(command, record), []).append((name, record))


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _kind(command: object, record: Mapping[str, Any]) -> str:
    """The command that wrote a record, as it is typed; by its keys where it does not say."""
    words = command.split()[1:3] if isinstance(command, str) else []
    if words and words[0] in GROUPS and len(words) > 1 and WORD.fullmatch(words[1]):
        return " ".join(words)
    if words and words[0] not in GROUPS and WORD.fullmatch(words[0]):
        return words[0]
    return next((kind for key, kind in KEYS if key in record), UNKNOWN)


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers and texts of a record, those of inner objects as `outer.inner`; intervals follow their values."""
    found: dict[str, Any] = {}
    intervals = record.get("intervals")
    for key, value in record.items():
        if key == "intervals" and isinstance(value, dict):
            continue
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": one for inner, one in value.items() if not isinstance(one, dict | list)}
        elif not isinstance(value, list):
            found[key] = value
            ends = ends_of(intervals, key)
            if ends is not None:
                found[f"{key} low"], found[f"{key} high"] = ends
    return found


def ends_of(intervals: object, key: str) -> tuple[float, float] | None:
    """The interval of a measure, if there is one."""
    ends = intervals.get(key) if isinstance(intervals, dict) else None
    if isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, int | float) for end in ends):
        return float(ends[0]), float(ends[1])
    return None
