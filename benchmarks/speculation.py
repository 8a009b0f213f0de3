"""What drafts gain: what passes over several tokens cost, and tokens a second with and without drafts.

passes   CPU and wall seconds of a pass over 1, 2, 4, ... tokens, the least of several, beside those of one
drafts   `sample` with no draft, with --lookup and with --draft, in turn; the texts have to be the same

python benchmarks/speculation.py passes -m MODEL
python benchmarks/speculation.py drafts -m MODEL --draft NGRAM --prompt FILE
"""

import argparse
import os
import time
from typing import Any

import numpy as np

from lmkit.commands.loading.models import open_language_model
from lmkit.data.keyed_random import stream_of
from lmkit.generation import batching, prompt_encoding
from lmkit.generation.draft_models import Lookup, ModelDraft
from lmkit.generation.engine import Completion, Generator, Request
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Sampler
from lmkit.generation.speculative_decoding import Speculation, Tally
from lmkit.generation.steppers import SequentialStepper

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24)
WAYS: dict[str, dict[str, Any]] = {"greedy": {}, "t0.7-k40": {"temperature": 0.7, "top_k": 40}, "ancestral": {}}


def passes(options: argparse.Namespace) -> None:
    """A line for each size."""
    model = open_language_model(options.model)
    rng = np.random.default_rng(0)
    state = prompt_encoding.state_after(model, rng.integers(3, model.tokenizer.size, options.context).astype(np.int32))
    least = dict.fromkeys(SIZES, (np.inf, np.inf))
    for _ in range(options.rounds):
        for size in SIZES:
            ids = rng.integers(3, model.tokenizer.size, size).astype(np.int32)
            wall, cpu = time.perf_counter(), time.process_time()
            if size == 1:
                model.next(model.advance(state, int(ids[0])))
            else:
                batching.next_many(model, batching.follow(model, state, ids))
            spent = time.perf_counter() - wall, time.process_time() - cpu
            least[size] = min(least[size][0], spent[0]), min(least[size][1], spent[1])
    print("tokens\twall_ms\tcpu_ms\twall_of_one\tcpu_of_one")
    for size, (wall, cpu) in least.items():
        print(f"{size}\t{wall * 1e3:.1f}\t{cpu * 1e3:.1f}\t{wall / least[1][0]:.2f}\t{cpu / least[1][1]:.2f}")


def drafts(options: argparse.Namespace) -> None:
    """A line for each way of choosing and each draft."""
    model = open_language_model(options.model)
    draft = open_language_model(options.draft) if options.draft else None
    with open(options.prompt, "rb") as file:
        ids = prompt_encoding.seen(model, file.read(), window=True)
    print("way\tdraft\ttokens\ttokens_per_s\ttokens_per_cpu_s\tproposed\taccepted\tpasses\talone")
    for way, settings in WAYS.items():
        never = prompt_encoding.never(model, unknown=False)
        chooser = Sampler(Filtering(**settings).chain(), never=never, greedy=way == "greedy")
        begins: dict[str, list[Any]] = {"none": [], "lookup": [lambda place: Lookup(place, 3)]}
        if draft is not None:
            guess = _guess(draft, chooser, model)
            begins |= {"model": [guess], "both": [*begins["lookup"], guess]}
        least = dict.fromkeys(begins, (np.inf, np.inf))
        texts, tallies = {}, {}
        for _ in range(options.rounds):
            for name, begin in begins.items():
                stepper = Speculation(model, chooser, begin) if begin else SequentialStepper(model, chooser)
                state = prompt_encoding.state_after(model, ids)
                wall, cpu = time.perf_counter(), time.process_time()
                run = Generator(model, stepper, most=options.tokens).run(
                    [Request(stream_of(0, "0", 0), ids, lambda at=state: at)]
                )
                texts[name] = next(event.ids for event in run if isinstance(event, Completion))
                spent = time.perf_counter() - wall, time.process_time() - cpu
                least[name] = min(least[name][0], spent[0]), min(least[name][1], spent[1])
                tallies[name] = stepper.tally if isinstance(stepper, Speculation) else Tally()
        for name, (wall, cpu) in least.items():
            if texts[name] != texts["none"]:
                raise SystemExit(f"{way}, {name}: another text than without a draft")
            count, tally = len(texts[name]), tallies[name]
            told = f"{tally.proposed}\t{tally.accepted}\t{tally.passes}\t{tally.alone}"
            print(f"{way}\t{name}\t{count}\t{count / wall:.1f}\t{count / cpu:.1f}\t{told}", flush=True)


def _guess(draft: Any, chooser: Sampler, model: Any) -> Any:
    return lambda place: ModelDraft(draft, chooser, model.form.newline_id, place)


def main() -> None:
    """Reads the options and runs what they name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("passes", "drafts"))
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--draft")
    parser.add_argument("--prompt")
    parser.add_argument("--tokens", type=int, default=150)
    parser.add_argument("--context", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.what == "drafts" and options.prompt is None:
        parser.error("drafts needs --prompt")
    (passes if options.what == "passes" else drafts)(options)
    print("load", *os.getloadavg())


if __name__ == "__main__":
    main()
