"""Steps of tuning on answers with LoRA, and of direct preference optimisation, beside peft and trl in one run.

    python benchmarks/tuning.py sft FOLDER RECORDS.jsonl --peers FOLDER_OF_PACKAGES
    python benchmarks/tuning.py dpo FOLDER PAIRS.jsonl --peers FOLDER_OF_PACKAGES

FOLDER is a model as transformers has it, such as SmolLM2-135M; records have `instruction` and `output`, pairs `prompt`,
`chosen` and `rejected`. Each contestant is a process of its own that loads the model and takes steps on the same
tokens; CPU seconds are of steps alone, the first apart. Peak memory is of the process.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

BATCH = 8


def encoded(folder, file, kind):
    """The first batches of a file as sequences of ids and masks, by lmkit's own encoder."""
    from lmkit.commands.loading import models as opening
    from lmkit.prompting import answered_records
    from lmkit.prompting.answer_masking import ConversationEncoder
    from lmkit.prompting.chat_templates import BUILT_IN

    weights = opening.open_weights(folder)
    encoder = ConversationEncoder(BUILT_IN["instruct"], weights.tokenizer, weights.form)

    def sequence(messages):
        texts = encoder.chat.texts(encoder.turns(messages, last=True))
        return encoder.encode(messages, texts, last=True).sequences[0]

    with open(file, encoding="utf-8") as lines:
        records = [json.loads(line) for _, line in zip(range(BATCH), lines, strict=False)]
    if kind == "sft":
        return weights, [sequence(answered_records.conversation(record)) for record in records]
    return weights, [tuple(map(sequence, answered_records.preference(record))) for record in records]


def measured(step, steps, tokens):
    """Take steps; print what they cost, the first loss, and the peak memory."""
    losses, spent = [], []
    for _ in range(steps):
        begun = time.process_time()
        losses.append(step())
        spent.append(time.process_time() - begun)
    later = spent[1:] or spent
    each = sum(later) / len(later)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_s": each, "tokens_cpu_s": tokens / each, "peak_mb": peak, "losses": losses}))


def ours(folder, file, kind, steps, precision):
    """lmkit's trainer."""
    import numpy as np
    import torch

    from lmkit.architectures.adapters import Adapter
    from lmkit.io import mapped_files
    from lmkit.nn import factory
    from lmkit.nn.tuned_language_model import TunedLanguageModel
    from lmkit.training.answer_batches import AnswerItems, MixedItems, PreferencePairs
    from lmkit.training.objectives.answers import AnswerModelling
    from lmkit.training.objectives.objective import tensors_of
    from lmkit.training.objectives.preferences import PreferenceOptimisation, answer_sums
    from lmkit.training.optimizers import LearningRates
    from lmkit.training.plan import Plan
    from lmkit.training.trainer import Trainer

    weights, found = encoded(folder, file, kind)
    adapter = Adapter(rank=16, alpha=32.0, targets=("all",))
    network = TunedLanguageModel(factory.loaded(weights), trained=(), adapter=adapter, start=weights.form.start)
    network.initialise(torch.Generator().manual_seed(0))
    mapped_files.release_pages()
    if kind == "sft":
        items, objective = AnswerItems(found), AnswerModelling()
    else:
        items = PreferencePairs(found, np.zeros((len(found), 2), np.float32))
        begun = time.process_time()
        with torch.no_grad():
            scores = answer_sums(network.eval(), tensors_of(items.batch(np.arange(len(found))).arrays, network.device))
        print(f"reference once: {time.process_time() - begun:.1f} CPU s", file=sys.stderr)
        items, objective = PreferencePairs(found, scores.numpy()), PreferenceOptimisation(0.1)
    batches = MixedItems(items, BATCH, 0)
    plan = Plan(steps=steps, optimizer="adamw", rates=LearningRates(2e-4, 2e-4, 0.0), precision=precision)
    events = Trainer(network, objective, batches, plan).run()
    measured(lambda: next(events).loss, steps, batches.batch(0).tokens)


def padded(sequences):
    """Ids, attention and labels of sequences as a padded batch."""
    import torch

    most = max(len(one.ids) for one in sequences)
    ids = torch.zeros(len(sequences), most, dtype=torch.long)
    labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
    for row, one in enumerate(sequences):
        own = torch.from_numpy(one.ids.astype("int64"))
        ids[row, : len(own)], mask[row, : len(own)] = own, 1
        labels[row, : len(own)] = torch.where(torch.from_numpy(one.learned), own, -100)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def theirs(folder, file, kind, steps, precision):
    """peft with transformers' loss or, as `precision` says, that of trl's SFTTrainer; for pairs its DPOTrainer's."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    _, found = encoded(folder, file, kind)
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=names)).train()
    sides = found if kind == "sft" else [side for pair in zip(*found, strict=True) for side in pair]
    batch = padded(sides)
    loss = lambda: model(**batch).loss  # noqa: E731
    if kind == "dpo":
        loss = dpo_loss(model, batch)
    elif precision == "trl":
        loss = sft_loss(model, batch)
    optimizer = torch.optim.AdamW([tensor for tensor in model.parameters() if tensor.requires_grad], lr=2e-4)

    def step():
        found = loss()
        found.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(found.detach())

    measured(step, steps, sum(len(one.ids) - 1 for one in sides))


def sft_loss(model, batch):
    """The loss of trl's SFTTrainer, whose head is fused with the cross-entropy."""
    trainer = trainer_of("SFT", model, ("input_ids", "labels"))
    return lambda: trainer.compute_loss(model, dict(batch))


def dpo_loss(model, batch):
    """The loss of trl's DPOTrainer on a batch of chosen and then rejected sequences."""
    trainer = trainer_of("DPO", model, ("prompt_ids", "chosen_ids", "rejected_ids"), beta=0.1)
    completion = (batch["labels"] != -100).long()
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "completion_mask": completion}
    return lambda: trainer.compute_loss(model, dict(inputs))


def trainer_of(kind, model, columns, **settings):
    """A trainer of trl for a model; its data set is of one row that nothing reads."""
    import datasets.arrow_dataset
    import trl
    from datasets import Dataset
    from transformers import AutoTokenizer

    made, config = getattr(trl, f"{kind}Trainer"), getattr(trl, f"{kind}Config")
    datasets.arrow_dataset.generate_fingerprint = lambda _dataset: "0" * 16
    made._prepare_dataset = lambda _self, dataset, *_args, **_more: dataset
    rows = Dataset.from_list([{name: [1] for name in columns}])
    tokenizer = AutoTokenizer.from_pretrained(model.name_or_path)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    quiet = {"report_to": [], "use_cpu": True, "bf16": False, "save_strategy": "no", "gradient_checkpointing": False}
    args = config(output_dir=tempfile.mkdtemp(), max_steps=1, **quiet, **settings)
    return made(model, args=args, train_dataset=rows, processing_class=tokenizer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["sft", "dpo"])
    parser.add_argument("folder")
    parser.add_argument("file")
    parser.add_argument("--peers", help="folder of packages with peft and trl, for PYTHONPATH")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--only", help="one contestant: lmkit, lmkit-bf16, peers or trl")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    runs = {"lmkit": (ours, "fp32"), "lmkit-bf16": (ours, "bf16"), "peers": (theirs, "fp32"), "trl": (theirs, "trl")}
    if given.inside:
        run, precision = runs[given.inside]
        run(given.folder, given.file, given.kind, given.steps, precision)
        return
    for name in [given.only] if given.only else runs:
        if runs[name][0] is theirs and (not given.peers or (given.kind, name) == ("dpo", "trl")):
            continue
        command = [sys.executable, __file__, given.kind, given.folder, given.file]
        command += ["--steps", str(given.steps), "--inside", name]
        environment = {**os.environ, "PYTHONPATH": given.peers or "", "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        print(f"{name:12}{done.stdout.splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    main()
