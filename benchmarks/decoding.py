"""Decoding of an encoder-decoder: lmkit on numpy beside CTranslate2 on the same weights, one thread each, in turn.

    python benchmarks/decoding.py MODEL.lm SOURCES.txt [--number 500] [--rounds 3] [--compute float32]

MODEL is a transformer of `train seq2seq`; recurrent ones run without CTranslate2, which has none. Sources are one per
line. CPU seconds of each round, start-up and loading apart; the ratio is that of medians. CTranslate2 searches batches
of 64 sources with its own defaults, to as many tokens as ours.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

BEAM, MOST, BATCH = 5, 100, 64


def own(model: str, sources: list[bytes]):
    """Functions that give texts, by the name of how they search."""
    from lmkit.generation import prompt_encoding
    from lmkit.generation.beam_search import Beams, BeamSearch
    from lmkit.generation.engine import Generator, completions
    from lmkit.generation.filters import Filtering
    from lmkit.generation.sampler import Sampler
    from lmkit.generation.steppers import BatchedStepper
    from lmkit.inference import thread_pool

    thread_pool.use(1)
    opened = opened_model(model)

    def requests():
        from lmkit.commands.generation.requests import RequestBuilder
        from lmkit.commands.records.prompts import Prompt

        given = opened.given_many([opened.source_ids(b"a")])[0]
        prompts = [Prompt(text, number) for number, text in enumerate(sources)]
        return given, RequestBuilder(given, 0).requests(prompts)

    def greedy():
        given, asked = requests()
        sampler = Sampler(Filtering().chain(), never=prompt_encoding.never(given, unknown=False), greedy=True)
        made = Generator(given, BatchedStepper(given, sampler), most=MOST, batch=BATCH, growing=False)
        return [one.text.decode() for one in completions(made.run(asked))]

    def beam():
        given, asked = requests()
        search = BeamSearch(given, Beams(BEAM), most=MOST, never=prompt_encoding.never(given, unknown=False))
        return [one.text.decode() for one in completions(search.run(asked))]

    return {"greedy": greedy, "beam": beam}


def opened_model(name: str):
    from pathlib import Path

    from lmkit import registry

    return registry.load(memoryview(Path(name).read_bytes()), name)


def peer(model: str, folder: str, sources: list[bytes], compute: str):
    """The same of CTranslate2."""
    import ctranslate2

    from lmkit.architectures import ctranslate2_model

    translator = ctranslate2.Translator(folder, device="cpu", compute_type=compute, inter_threads=1, intra_threads=1)
    opened = opened_model(model)
    own = opened.source_tokenizer
    names = ctranslate2_model.pieces(own, own.size)

    def search(beams: int):
        pieces = [[names[token] for token in own.encode(text).tolist()] for text in sources]
        options = {"beam_size": beams, "max_batch_size": BATCH, "max_decoding_length": MOST}
        return [" ".join(one.hypotheses[0]) for one in translator.translate_batch(pieces, **options)]

    return {"greedy": lambda: search(1), "beam": lambda: search(BEAM)}


def measure(arguments: argparse.Namespace) -> None:
    """Print the CPU seconds of one way."""
    with open(arguments.sources, "rb") as file:
        sources = file.read().splitlines()[: arguments.number]
    if arguments.way == "lmkit":
        found = own(arguments.model, sources)
    else:
        found = peer(arguments.model, arguments.folder, sources, arguments.compute)
    taken = {}
    for name, function in found.items():
        function()
        begin = time.process_time()
        function()
        taken[name] = time.process_time() - begin
    print(json.dumps(taken))


def main() -> None:
    """Print sentences per CPU second of each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("sources")
    parser.add_argument("--number", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compute", default="float32")
    parser.add_argument("--way")
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    if arguments.way:
        measure(arguments)
        return
    ways = ["lmkit"]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "lmkit",
            "convert",
            arguments.model,
            "--to",
            "ctranslate2",
            "-o",
            folder + "/m",
        ]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            ways.append("ctranslate2")
        taken: dict[str, dict[str, list[float]]] = {way: {"greedy": [], "beam": []} for way in ways}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        for _ in range(arguments.rounds):
            for way in ways:
                again = [sys.executable, *sys.argv, "--way", way, "--folder", folder + "/m"]
                done = subprocess.run(again, check=True, capture_output=True, env=environment)
                for name, seconds in json.loads(done.stdout).items():
                    taken[way][name].append(seconds)
    for name in ("greedy", "beam"):
        speeds = {way: arguments.number / statistics.median(taken[way][name]) for way in ways}
        ratio = f"  ratio {speeds['lmkit'] / speeds['ctranslate2']:.2f}" if len(ways) > 1 else ""
        print(f"{name:8}" + "".join(f"{way} {speed:.0f} sentences/CPU s  " for way, speed in speeds.items()) + ratio)


if __name__ == "__main__":
    main()
