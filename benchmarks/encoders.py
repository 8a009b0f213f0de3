"""`lmkit embed` beside transformers: sentences a CPU second, lines in file order and sorted by length.

    python benchmarks/encoders.py FOLDER LINES [--number 400] [--precision bf16]

FOLDER is a BERT-like encoder as transformers saves it, such as all-MiniLM-L6-v2; LINES a text. Every way runs in a
process of its own, in turn, twice; the better time counts, start-up and loading apart. Vectors are compared.
"""

import argparse
import json
import subprocess
import sys
import time

BATCH = 32


def sentences(file: str, number: int) -> list[bytes]:
    with open(file, "rb") as lines:
        return [line.rstrip(b"\n") for line in lines if line.strip()][:number]


def own(folder: str, lines: list[bytes], precision: str):
    """Vectors by lmkit in torch, as `lmkit embed` has them, and the tokens of all lines."""
    import numpy as np

    from lmkit import registry
    from lmkit.evaluation.sentence_vectors import TRUNCATE, SentencePooling, sentence_vectors
    from lmkit.io.folders import Folder
    from lmkit.nn.encoder_model import TorchEncoder

    weights = registry.weights_in(Folder(folder), folder)
    model = TorchEncoder(weights, precision=precision)
    ids, ends = model.tokenizer.encode_block(b"".join(line + b"\n" for line in lines))
    pooling = SentencePooling(normalize=True, long=TRUNCATE)
    return lambda: np.array(sentence_vectors(model, ids, ends, pooling)), len(ids) + 2 * len(lines)


def theirs(folder: str, lines: list[bytes], in_order: bool):
    """The same by transformers: padded batches of BATCH lines."""
    import numpy as np
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    encoded = [tokenizer(line.decode(), truncation=True, max_length=512)["input_ids"] for line in lines]
    order = list(range(len(lines))) if in_order else sorted(range(len(lines)), key=lambda place: len(encoded[place]))

    @torch.inference_mode()
    def run():
        found = [None] * len(lines)
        for begin in range(0, len(order), BATCH):
            some = order[begin : begin + BATCH]
            width = max(len(encoded[place]) for place in some)
            ids = torch.zeros((len(some), width), dtype=torch.long)
            mask = torch.zeros((len(some), width))
            for row, place in enumerate(some):
                ids[row, : len(encoded[place])] = torch.tensor(encoded[place])
                mask[row, : len(encoded[place])] = 1
            states = model(input_ids=ids, attention_mask=mask).last_hidden_state
            pooled = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            for place, vector in zip(some, torch.nn.functional.normalize(pooled, dim=1).numpy(), strict=True):
                found[place] = vector
        return np.array(found)

    return run, sum(map(len, encoded))


def measure(way: str, folder: str, file: str, number: int) -> None:
    lines = sentences(file, number)
    run, tokens = (
        theirs(folder, lines, way == "order") if way in ("order", "sorted") else own(folder, lines, way)
    )  # fmt: skip
    run()
    begin = time.process_time()
    vectors = run()
    seconds = time.process_time() - begin
    result = {"sentences": len(lines) / seconds, "tokens": tokens / seconds, "vectors": vectors.tolist()}
    json.dump(result, sys.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("lines")
    parser.add_argument("--number", type=int, default=400)
    parser.add_argument("--precision", choices=("fp32", "bf16"), action="append")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        measure(asked.way, asked.folder, asked.lines, asked.number)
        return
    import numpy as np

    names = {
        "order": "transformers, file order",
        "sorted": "transformers, sorted",
        "fp32": "lmkit",
        "bf16": "lmkit, bf16",
    }
    ways = ["order", "sorted", *(asked.precision or ["fp32"])]
    best: dict[str, dict] = {}
    for _ in range(2):
        for way in ways:
            command = [sys.executable, __file__, asked.folder, asked.lines, "--number", str(asked.number), "--way", way]
            found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            if way not in best or found["sentences"] > best[way]["sentences"]:
                best[way] = found
    print("way\tsentences/cpu-s\ttokens/cpu-s\tleast cosine with transformers")
    reference = np.array(best["sorted"]["vectors"])
    for way, found in best.items():
        cosine = (np.array(found["vectors"]) * reference).sum(axis=1).min()
        print(f"{names[way]}\t{found['sentences']:.1f}\t{found['tokens']:.0f}\t{cosine:.7f}")


if __name__ == "__main__":
    main()
