"""A folder of T5-small's shape with random weights: scoring and greedy decoding by lmkit (numpy) and by transformers.

    python benchmarks/seq2seq_folders.py [--folder DIR] [--number 32] [--length 24] [--layers 6] [--width 512]

Sources are of random tokens and lengths, targets are --length tokens. Every way runs in a process of its own, in turn,
twice, on two threads; the better CPU time counts, start-up and loading apart. Scores and texts are compared.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = ("lmkit", "transformers")
START, END = 1, 2


def save(folder: str, layers: int, width: int) -> None:
    """A model of random weights, as transformers reads it."""
    import numpy as np

    from lmkit.architectures import presets
    from lmkit.architectures.huggingface import seq2seq_export
    from lmkit.architectures.seq2seq_model import LoadedSeq2Seq
    from lmkit.data.sequences import TextFormat
    from lmkit.data.source_format import SourceFormat
    from lmkit.io.folders import write_folder
    from lmkit.tokenization.tokenizers import from_list

    tokenizer = from_list("word", [b"w%d" % number for number in range(32125)])
    settings = presets.seq2seq(
        "t5", vocabulary=tokenizer.size, source_vocabulary=tokenizer.size, shared=True, layers=layers,
        decoder_layers=layers, width=width, heads=width // 64, head_width=64,
        hidden=4 * width, decoder_hidden=4 * width,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    tensors = {
        name: np.ones(shape, np.float32) if "norm" in name else rng.normal(0, shape[-1] ** -0.5, shape).astype("f4")
        for name, shape in settings.shapes().items()
    }
    form, source = TextFormat.of("line", tokenizer), SourceFormat.of(tokenizer)
    write_folder(folder, seq2seq_export.write(LoadedSeq2Seq(settings, form, source, tokenizer, tokenizer, tensors)))


def texts(number: int, length: int):
    import numpy as np

    rng = np.random.default_rng(1)
    sources = [rng.integers(3, 32000, rng.integers(8, 40)).astype(np.int32) for _ in range(number)]
    return sources, [rng.integers(3, 32000, length).astype(np.int32) for _ in range(number)]


def own(folder: str, number: int, length: int):
    """Functions that score and decode with lmkit."""
    import numpy as np

    from lmkit import registry
    from lmkit.inference import thread_pool
    from lmkit.io.folders import Folder

    thread_pool.use(2)
    model = registry.load_folder(Folder(folder), folder)
    sources, targets = texts(number, length)

    def decode():
        given = model.given_many(sources)
        rows = model.rows([one.start() for one in given])
        found = []
        for _ in range(length):
            logs = rows.next()
            logs[:, END] = -np.inf
            found.append(logs.argmax(axis=1))
            rows.advance(found[-1].tolist())
        return np.stack(found, axis=1).tolist()

    return lambda: [float(nats.sum()) for nats in model.score_pairs(sources, targets)], decode


def theirs(folder: str, number: int, length: int):
    """The same with transformers: one padded batch."""
    import torch
    from transformers import T5ForConditionalGeneration

    torch.set_num_threads(2)
    model = T5ForConditionalGeneration.from_pretrained(folder).eval()
    sources, targets = texts(number, length)
    most = max(map(len, sources))
    ids, mask = torch.full((number, most), START), torch.zeros((number, most), dtype=torch.long)
    for row, source in enumerate(sources):
        ids[row, : len(source)] = torch.from_numpy(source.astype("i8"))
        mask[row, : len(source)] = 1
    labels = torch.tensor([target.tolist() for target in targets])

    @torch.inference_mode()
    def score():
        inputs = torch.cat((torch.full((number, 1), START), labels[:, :-1]), dim=1)
        logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=inputs).logits
        nats = torch.log_softmax(logits, dim=-1).gather(2, labels[:, :, None])[:, :, 0]
        return nats.sum(1).tolist()

    def decode():
        found = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=length, min_new_tokens=length)
        return found[:, 1:].tolist()

    return score, decode


def measure(way: str, folder: str, number: int, length: int) -> None:
    score, decode = (own if way == "lmkit" else theirs)(folder, number, length)
    result = {}
    for name, function in (("score", score), ("decode", decode)):
        function()
        begin, wall = time.process_time(), time.perf_counter()
        result[name] = function()
        result[f"{name}_seconds"] = time.process_time() - begin
        result[f"{name}_wall"] = time.perf_counter() - wall
    json.dump(result, sys.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder")
    for name, value in (("--number", 32), ("--length", 24), ("--layers", 6), ("--width", 512)):
        parser.add_argument(name, type=int, default=value)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        measure(asked.way, asked.folder, asked.number, asked.length)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = asked.folder or str(Path(place) / "t5")
        if not Path(folder).exists():
            save(folder, asked.layers, asked.width)
        found = {way: [] for way in WAYS}
        for _ in range(2):
            for way in WAYS:
                command = [sys.executable, __file__, "--way", way, "--folder", folder]
                command += ["--number", str(asked.number), "--length", str(asked.length)]
                found[way].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    for task in ("score", "decode"):
        for way in WAYS:
            best = min(run[f"{task}_seconds"] for run in found[way])
            wall = min(run[f"{task}_wall"] for run in found[way])
            print(f"{task}\t{way}\t{asked.number / best:.1f} texts/cpu-s\t{asked.number / wall:.1f} texts/s")
    one, other = (found[way][0] for way in WAYS)
    far = max(abs(a - b) for a, b in zip(one["score"], other["score"], strict=True))
    same = sum(a == b for a, b in zip(one["decode"], other["decode"], strict=True))
    print(f"scores differ by {far:.1e} nats a text at most; {same} of {asked.number} greedy texts are the same")


if __name__ == "__main__":
    main()
