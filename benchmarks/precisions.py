"""Tokens a second of one text by the precision of weights, beside llama.cpp on the same files, in turn.

Random weights in the shape of Llama and the size of GPT-2 small (124 M) as bf16, q8_0 and q4_0, float32 too, and GGUF
files named; one thread and two. `limit` is the rate at which this machine reads memory in a product of a matrix and a
vector by these threads, measured in each round; `share` is tokens x bytes of weights over that. llama.cpp comes with
the package xllamacpp, of which --peer names the folder.

    python benchmarks/precisions.py --peer FOLDER [--rounds 5] [FILE.gguf ...]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOKENS = 48
LMKIT = [sys.executable, "-m", "lmkit"]


def make(file: str) -> None:
    """Random weights over merges of all pairs of bytes."""
    import numpy as np

    from lmkit.architectures.neural_model import LoadedModel
    from lmkit.architectures.transformer import TransformerConfig
    from lmkit.checkpoint import serialize
    from lmkit.data.sequences import ALONE, TextFormat
    from lmkit.tokenization.bpe.byte_characters import BYTE_TO_CHARACTER
    from lmkit.tokenization.formats import tokenizer_json

    letters, end = list(BYTE_TO_CHARACTER), 50256
    pairs = [(one, other) for one in letters for other in letters][: end - len(letters)]
    tokens = [*letters, *(one + other for one, other in pairs), "<|end|>"]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
        "vocab": {token: number for number, token in enumerate(tokens)}, "merges": [" ".join(pair) for pair in pairs],
    }  # fmt: skip
    document = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "pre_tokenizer": level, "decoder": level, "model": model,
        "added_tokens": [{"id": end, "content": "<|end|>", "special": True, **plain}],
    }  # fmt: skip
    roles = json.dumps({"bos_token": "<|end|>", "eos_token": "<|end|>"}).encode()
    tokenizer = tokenizer_json.read(json.dumps(document).encode(), roles)
    settings = TransformerConfig(
        vocabulary=50257, layers=12, width=768, heads=12, kv_heads=12, head_width=64, hidden=2048, context=1024,
        tied=True, norm_epsilon=1e-5,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
        if len(shape) == 2
        else np.ones(shape, dtype=np.float32)
        for name, shape in settings.shapes().items()
    }
    form = TextFormat("stream", end, None, ends=(end,), bos=ALONE)
    with open(file, "wb") as out:
        for part in serialize(LoadedModel(settings, form, tokenizer, tensors).to_checkpoint({"command": "benchmark"})):
            out.write(part)


def own(file: str, threads: int) -> dict[str, float]:
    """lmkit's steps: the most probable token each time."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the command has it
    begun = time.perf_counter()
    from lmkit.commands.loading.models import open_language_model, use_threads

    use_threads(threads, file)
    model = open_language_model(file)
    state = model.start()
    first = time.perf_counter() - begun
    for warm in range(TOKENS):
        state = model.advance(state, 300 + warm)
    state = model.start()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(TOKENS):
        state = model.advance(state, int(model.next(state).argmax()))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"rate": TOKENS / wall, "cpu": cpu / TOKENS, "first": first, "peak": peak()}


def llama(file: str, threads: int) -> dict[str, float]:
    """llama.cpp's own figure of its steps."""
    import xllamacpp

    begun = time.perf_counter()
    parameters = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.n_ctx, parameters.n_parallel, parameters.n_gpu_layers = 1024, 1, 0
    server = xllamacpp.Server(parameters)
    request = {"prompt": [300], "n_predict": TOKENS, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
    first = time.perf_counter() - begun
    server.handle_completions(request)
    cpu = time.process_time()
    done = server.handle_completions(request)
    cpu = time.process_time() - cpu
    done = done if isinstance(done, dict) else json.loads(done)
    return {"rate": done["timings"]["predicted_per_second"], "cpu": cpu / TOKENS, "first": first, "peak": peak()}


def limit(threads: int) -> dict[str, float]:
    """Bytes a second of a product with a matrix far larger than caches."""
    import numpy as np

    from lmkit.inference import blas_threads

    setter = blas_threads.setter()
    if setter is not None:
        setter(threads)
    matrix, vector = np.ones((1 << 17, 768), dtype=np.float32), np.ones(768, dtype=np.float32)
    seconds = []
    for _ in range(15):
        begun = time.perf_counter()
        matrix.dot(vector)
        seconds.append(time.perf_counter() - begun)
    return {"bytes": matrix.nbytes / statistics.median(seconds)}


def peak() -> float:
    """The most memory that this process had, in megabytes, of which pages of files are apart."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(peer: str, what: str, *words: object) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [peer, os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, __file__, "--run", what, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"status {done.returncode}: {' '.join(command)}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(options: argparse.Namespace, title: str, files: tuple[str, str], threads: int) -> None:
    """A line of the table: medians of rounds in turn."""
    rounds: list[tuple[dict[str, float], dict[str, float] | None, dict[str, float]]] = []
    for _ in range(options.rounds):
        theirs = measured(options.peer, "llama", files[1], threads) if options.peer else None
        rounds.append((measured("", "own", files[0], threads), theirs, measured("", "limit", threads)))

    def middle(side: int, key: str) -> float:
        return statistics.median(one[side][key] for one in rounds)  # type: ignore[index]

    size = os.path.getsize(files[0])
    reads = statistics.median(ours["rate"] * size / bound["bytes"] for ours, _, bound in rounds)
    line = f"{title:24}{threads:3}  lmkit {middle(0, 'rate'):7.1f} tok/s {middle(0, 'cpu') * 1e3:6.1f} CPU ms"
    line += f" {middle(0, 'peak'):5.0f} MB  {reads:4.0%} of {middle(2, 'bytes') / 1e9:.1f} GB/s"
    if options.peer:
        ratio = statistics.median(ours["rate"] / theirs["rate"] for ours, theirs, _ in rounds if theirs)
        processor = statistics.median(theirs["cpu"] / ours["cpu"] for ours, theirs, _ in rounds if theirs)
        line += f"  llama.cpp {middle(1, 'rate'):7.1f} {middle(1, 'cpu') * 1e3:6.1f} CPU ms {middle(1, 'peak'):5.0f} MB"
        line += f"  ratio {ratio:.2f} ({processor:.2f} CPU)"
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", default=["fp32", "bf16", "q8_0", "q4_0"])
    parser.add_argument("--run", nargs="+")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    if options.run:
        function = {"own": own, "llama": llama, "limit": limit}[options.run[0]]
        print(json.dumps(function(*(int(word) if word.isdecimal() else word for word in options.run[1:]))))  # type: ignore[operator]
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = str(Path(folder, "fp32.lm"))
        if options.only:
            make(plain)
        for precision in options.only:
            files = tuple(str(Path(folder, f"{precision}.{kind}")) for kind in ("lm", "gguf"))
            for file in files:
                if file != plain:
                    words = ["convert", plain, "--precision", precision, "-o", file]
                    subprocess.run([*LMKIT, *words], check=True)
            for threads in options.threads:
                compare(options, precision, (files[0], files[1]), threads)
            for file in {*files} - {plain}:
                Path(file).unlink()
        for file in options.files:
            for threads in options.threads:
                compare(options, Path(file).name[:23], (file, file), threads)


if __name__ == "__main__":
    main()
