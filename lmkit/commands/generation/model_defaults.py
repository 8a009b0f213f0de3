"""A model's published generation settings, which replace options that were not given."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from lmkit.commands.options.generation import SearchOptions
from lmkit.commands.options.sampling import SamplingOptions
from lmkit.commands.options.standard import Run
from lmkit.errors import CheckpointError

_DRAWING = {
    "temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "typical_p": "typical",
    "epsilon_cutoff": "epsilon", "eta_cutoff": "eta",
}  # fmt: skip
_PENALTIES = {"repetition_penalty": "repetition_penalty", "no_repeat_ngram_size": "no_repeat_ngram"}
_BEAMS = {"num_beams": "beam", "length_penalty": "length_penalty"}
_OTHERS = {"max_new_tokens": "max_tokens", "stop_strings": "stop"}
_CHOICES = ("greedy", "ancestral", "mirostat", "beam", "contrastive", "temperature")
"""Options that choose tokens: with one of them, the settings that do so are ignored."""
_SILENT = ("do_sample", "pad_token_id", "bos_token_id", "eos_token_id", "use_cache", "max_length", "trust_remote_code")
"""Settings that are ignored silently: length beside `max_new_tokens`, and those that change no text."""
_NEUTRAL: tuple[Any, ...] = (None, False, 0, 1, 0.0, 1.0, [], {})


@dataclass(frozen=True)
class Settled:
    """Options; those that were not given have the values of the model's settings."""

    sampling: SamplingOptions
    searching: SearchOptions
    max_tokens: int
    stop: Sequence[str]


def settled(run: Run, generation: Mapping[str, Any], asked: Settled) -> Settled:
    """The options with a model's settings where none was given; stderr names those that lmkit does not follow.

    As transformers does, tokens are drawn only where `do_sample` is true, and searched with beams where `num_beams`
    is above 1. Raises CheckpointError for a setting of the wrong type.
    """
    given = run.given
    draws = bool(generation.get("do_sample"))
    names = dict(_PENALTIES) if "ancestral" not in given else {}
    chosen = given.intersection(_CHOICES)
    searched = _number(generation, "num_beams", 1) > 1
    if not chosen.difference({"temperature"}) and (draws or chosen):
        names |= _DRAWING
    elif not chosen and searched:
        names |= _BEAMS
    values = _values(generation, names, given)
    own = {name: value for name, value in values.items() if name in SamplingOptions.__dataclass_fields__}
    if not chosen and not draws and not searched:
        own["greedy"] = True
    more = {name: value for name, value in values.items() if name in SearchOptions.__dataclass_fields__}
    others = _values(generation, _OTHERS, given)
    _tell(run, generation, {*names, *_OTHERS, *_DRAWING, *_BEAMS})
    return Settled(
        replace(asked.sampling, **own), replace(asked.searching, **more),
        int(others.get("max_tokens", asked.max_tokens)), others.get("stop", asked.stop),
    )  # fmt: skip


def _values(generation: Mapping[str, Any], names: Mapping[str, str], given: AbstractSet[str]) -> dict[str, Any]:
    """Values of options by their names, as settings say them."""
    found: dict[str, Any] = {}
    for theirs, ours in names.items():
        value = generation.get(theirs)
        if value is None or ours in given:
            continue
        if ours == "stop":
            found[ours] = _strings(value, theirs)
        else:
            found[ours] = _number(generation, theirs, 0)
    return found


def _strings(value: Any, name: str) -> list[str]:
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list) or not all(isinstance(one, str) and one for one in several):
        raise CheckpointError(f"generation_config: {name} is {value!r}, expected a text or a list of texts")
    return several


def _number(generation: Mapping[str, Any], name: str, otherwise: float) -> Any:
    """A number, whole where the option's is."""
    value = generation.get(name, otherwise)
    whole = name in ("top_k", "no_repeat_ngram_size", "num_beams", "max_new_tokens")
    value = otherwise if value is None else value
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or value < 0:
        raise CheckpointError(
            f"generation_config: {name} is {value!r}, expected a {'whole ' if whole else ''}number, 0 or more"
        )
    return value if whole else float(value)


def _tell(run: Run, generation: Mapping[str, Any], known: AbstractSet[str]) -> None:
    odd = [name for name, value in generation.items() if name not in {*known, *_SILENT} and value not in _NEUTRAL]
    if odd:
        run.terminal.notice(f"generation_config: {', '.join(sorted(odd))} not supported, ignored")
