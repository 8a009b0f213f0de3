"""Fine-tuning an encoder to classify, beside transformers' Trainer and peft: texts a CPU second.

    python benchmarks/finetuning.py FOLDER TRAIN.tsv --peers PACKAGES [--lora] [--lengths mixed] [--rounds 3]

FOLDER is a model as transformers has it, such as MiniLM; PACKAGES has accelerate and peft. Three contestants take as
many steps of 16 texts, in turn, each in a process of its own: lmkit; Trainer on lmkit's batches, which hold texts of
like length; Trainer on batches in random order, as it makes them. `--lengths mixed` cuts and joins texts to 8 to 256
tokens, uniform in the logarithm. CPU seconds are of steps alone, after the first two.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

BATCH, WARM = 16, 2
RUNS = ("lmkit", "Trainer, the same batches", "Trainer, random order")


def sequences(given):
    """The format of the model's inputs, the sequences, their labels as numbers, and how many labels there are."""
    import random

    from lmkit.architectures.fine_tuned import body_of, item_format
    from lmkit.commands.loading import models as opening

    body = body_of(opening.open_weights(given.folder))
    form = item_format(body)
    with open(given.train, encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines]
    need = BATCH * (given.steps + WARM)
    texts = [row[0] for row in rows[:need]]
    if given.lengths == "mixed":
        pick, words = random.Random(0), " ".join(texts).split()
        sizes = [int(6 * 32 ** pick.random()) for _ in texts]
        places = [pick.randrange(len(words) - size) for size in sizes]
        texts = [" ".join(words[place : place + size]) for place, size in zip(places, sizes, strict=True)]
    names = sorted({row[-1] for row in rows})
    return body, [form.item((text,)) for text in texts], [names.index(row[-1]) for row in rows[:need]], len(names)


def batches_of(found, labels):
    """lmkit's batches of an epoch."""
    import numpy as np

    from lmkit.training.item_batches import Items, ShuffledItems

    items = Items(found, np.array(labels), np.ones(len(found), np.float32))
    return ShuffledItems(items, BATCH, 0)


def ours(given):
    """lmkit's trainer."""
    import torch

    from lmkit.architectures.adapters import Adapter
    from lmkit.architectures.heads import FIRST, TaskHead
    from lmkit.nn import factory
    from lmkit.nn.supervised import SupervisedNetwork, trained_tensors
    from lmkit.training.objectives.supervised import Supervised
    from lmkit.training.optimizers import LearningRates
    from lmkit.training.plan import Plan
    from lmkit.training.trainer import Trainer

    body, found, labels, count = sequences(given)
    head = TaskHead(
        task="classify", width=body.settings.width, labels=tuple(map(str, range(count))), pooling=FIRST, sides=1
    )
    network = factory.loaded(body, dropout=0.1)
    adapter = Adapter(rank=8, alpha=16.0, targets=("q_proj", "v_proj")) if given.lora else None
    trained = () if given.lora else trained_tensors(network, "all")
    network = SupervisedNetwork(network, head, trained=trained, adapter=adapter, dropout=0.1)
    network.initialise(torch.Generator().manual_seed(0))
    plan = Plan(steps=given.steps + WARM, optimizer="adamw", rates=LearningRates(5e-5, 5e-5, 0.01))
    events = Trainer(network, Supervised("classify"), batches_of(found, labels), plan).run()
    for _ in range(WARM):
        next(events)
    return lambda: [next(events) for _ in range(given.steps)]


def theirs(given):
    """transformers' Trainer, with peft's LoRA where that is asked for."""
    import torch
    from transformers import AutoModelForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

    _, found, labels, count = sequences(given)
    order = list(range(len(found)))
    if given.inside == RUNS[1]:
        batches = batches_of(found, labels)
        order = [place for number in range(batches.each) for place in batches._shuffled(0)[number].tolist()]
    model = AutoModelForSequenceClassification.from_pretrained(given.folder, num_labels=count, dtype=torch.float32)
    if given.lora:
        from peft import LoraConfig, get_peft_model

        settings = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"], modules_to_save=["classifier"])
        model = get_peft_model(model, settings)
    rows = [{"input_ids": found[place].ids.tolist(), "labels": labels[place]} for place in order]

    def padded(some):
        most = max(len(row["input_ids"]) for row in some)
        ids = torch.tensor([row["input_ids"] + [0] * (most - len(row["input_ids"])) for row in some])
        mask = torch.tensor([[place < len(row["input_ids"]) for place in range(most)] for row in some]).long()
        return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([row["labels"] for row in some])}

    class Clock(TrainerCallback):
        begun = 0.0

        def on_step_end(self, args, state, control, **_):
            if state.global_step == WARM:
                Clock.begun = time.process_time()

    arguments = TrainingArguments(
        output_dir=tempfile.gettempdir(), use_cpu=True, per_device_train_batch_size=BATCH, max_steps=given.steps + WARM,
        report_to=[], save_strategy="no", disable_tqdm=True, logging_strategy="no", dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=padded, callbacks=[Clock()])
    if given.inside == RUNS[1]:
        trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(rows)

    def train():
        trainer.train()
        return Clock.begun

    return train


def inside(given):
    """Run one contestant and print its texts a CPU second."""
    import torch

    torch.set_num_threads(1)
    run = ours(given) if given.inside == RUNS[0] else theirs(given)
    begun = time.process_time()
    found = run()
    spent = time.process_time() - (found if isinstance(found, float) else begun)
    print(json.dumps(given.steps * BATCH / spent))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("train")
    parser.add_argument("--peers", required=True, help="folder of packages with accelerate and peft, for PYTHONPATH")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--lengths", choices=("own", "mixed"), default="own")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        inside(given)
        return
    environment = {**os.environ, "PYTHONPATH": given.peers, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    found = {name: [] for name in RUNS}
    for _ in range(given.rounds):
        for name in RUNS:
            command = [sys.executable, __file__, *sys.argv[1:], "--inside", name]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
            found[name].append(float(done.stdout.splitlines()[-1]))
    print("contestant\ttexts_cpu_s\tratio")
    first = statistics.median(found[RUNS[0]])
    for name, rates in found.items():
        rate = statistics.median(rates)
        print(f"{name}\t{rate:.2f}\t{first / rate:.2f}")


if __name__ == "__main__":
    main()
