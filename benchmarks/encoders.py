"""`lmkit embed` beside transformers: sentences a CPU second, lines in file order and sorted by length.

    python benchmarks/encoders.py FOLDER LINES [--number 400] [--rounds 5] [--precision bf16]

FOLDER is a BERT-like encoder as transformers saves it, such as all-MiniLM-L6-v2; LINES a text. All ways run in one
process, in turn, once to warm up and then `--rounds` times; the table has medians of CPU seconds, start-up, loading and
tokenizing apart, and ratios to sorted batches. Vectors are compared.
"""

import argparse
import statistics
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


def theirs(folder: str, lines: list[bytes], *, in_order: bool):
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("lines")
    parser.add_argument("--number", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("fp32", "bf16"), action="append")
    asked = parser.parse_args()
    import numpy as np
    import torch

    torch.set_num_threads(asked.threads)
    lines = sentences(asked.lines, asked.number)
    ways = {
        "transformers, sorted": theirs(asked.folder, lines, in_order=False),
        "transformers, file order": theirs(asked.folder, lines, in_order=True),
    }
    for precision in asked.precision or ["fp32"]:
        ways[f"lmkit, {precision}"] = own(asked.folder, lines, precision)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    vectors = {name: run() for name, (run, _) in ways.items()}
    for _ in range(asked.rounds):
        for name, (run, _) in ways.items():
            begin = time.process_time()
            run()
            seconds[name].append(time.process_time() - begin)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    reference = "transformers, sorted"
    print("way\tCPU s\tsentences/cpu-s\ttokens/cpu-s\tratio\tleast cosine with transformers")
    for name, (_, tokens) in ways.items():
        cosine = (np.array(vectors[name]) * vectors[reference]).sum(axis=1).min()
        took, ratio = medians[name], medians[reference] / medians[name]
        print(f"{name}\t{took:.2f}\t{len(lines) / took:.1f}\t{tokens / took:.0f}\t{ratio:.2f}\t{cosine:.7f}")


if __name__ == "__main__":
    main()
