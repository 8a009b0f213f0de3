"""Writes a folder of small files of every kind, by this version, and what commands answer from them.

    python tests/compatibility/make_files.py tests/compatibility/0.1

Later versions must read the files and give these answers (test_compatibility.py). A version's folder is made once,
at its release; what a later version adds goes into a folder of its own.
"""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEXT = """\
the cat sat on the mat
the dog sat on the log
a cat and a dog sat on the mat
the cat saw the dog and the dog saw the cat
a bird sang in the tree
la niña vio el árbol
el gato duerme en la casa
the bird in the tree saw a cat
"""
LABELLED = "".join(f"{line}\t{'es' if number in (5, 6) else 'en'}\n" for number, line in enumerate(TEXT.splitlines()))
TAGGED = "the O\ncat B-A\nsat O\n\na O\nbird B-A\nsang O\n"
PAIRS = "el gato duerme\tthe cat sleeps\nla niña canta\tthe girl sings\n"
INSTRUCTIONS = '{"instruction": "Name a pet.", "output": "a cat"}\n'
MAKE = """\
ngram fit --order 3 text.txt -o kneser-ney.lm
ngram fit --order 3 --tokens char --smoothing witten-bell text.txt -o characters.lm
ngram fit --order 2 --tokens byte --smoothing katz text.txt -o bytes.lm
ngram fit --order 2 --normalize nfkc,lowercase --punctuation split --smoothing wb text.txt -o normalising.lm
ngram count --order 2 text.txt -o counts.lm
ngram fit --order 2 --smoothing mle text.txt -o likelihood.lm
ngram mix -m kneser-ney.lm -m likelihood.lm --weights 0.7,0.3 -o mixed.lm
ngram export kneser-ney.lm -o kneser-ney.arpa
bpe train --vocab-size 280 text.txt -o bpe.lm
bpe train --algorithm wordpiece --vocab-size 60 text.txt -o wordpiece.lm
bpe train --algorithm unigram --vocab-size 40 text.txt -o unigram.lm
bpe count text.txt -o pretokens.lm
w2v train --dim 4 --epochs 1 --min-count 1 text.txt -o vectors.lm
w2v train --dim 4 --epochs 1 --min-count 1 --subwords 2-3 --buckets 40 text.txt -o subwords.lm
train ffn --tokens char --steps 2 --width 4 --hidden 8 text.txt -o ffn.lm
train rnn --tokens char --steps 2 --width 6 --layers 1 text.txt -o lstm.lm
train rnn --cell gru --tokens char --steps 2 --width 6 --layers 1 text.txt -o gru.lm
train transformer --tokens bpe.lm --steps 2 --width 8 --layers 1 --heads 2 --context 128 text.txt -o transformer.lm
train encoder --tokens wordpiece.lm --steps 2 --width 8 --layers 1 --heads 2 --context 32 text.txt -o encoder.lm
finetune classify --hash-bits 8 --min-count 1 labelled.tsv -o bag.lm
finetune classify -m vectors.lm labelled.tsv -o averaged.lm
finetune classify -m encoder.lm --epochs 1 labelled.tsv -o classifier.lm
finetune classify -m encoder.lm --train lora --rank 1 --epochs 1 labelled.tsv -o adapter.lm
finetune tag -m encoder.lm --epochs 1 tagged.conll -o tagger.lm
finetune tag tagged.conll -o linear-tagger.lm
finetune instruct -m transformer.lm --epochs 1 instructions.jsonl -o instructed.lm
train seq2seq --tokens char --steps 2 --width 8 --layers 1 pairs.tsv -o seq2seq-rnn.lm
train seq2seq --arch transformer --tokens char --steps 2 --width 8 --layers 1 --heads 2 pairs.tsv -o seq2seq.lm
train transformer --prefix-lm pairs.tsv --tokens char --steps 2 --width 8 --layers 1 --heads 2 --context 64 -o prefix.lm
compress -m characters.lm text.txt -o text.lmz
"""
READ = """\
ppl -q -b -m kneser-ney.lm text.txt
ppl -q -b -m kneser-ney.arpa text.txt
ppl -q -b -m characters.lm text.txt
ppl -q -b -m bytes.lm text.txt
ppl -q -b -m normalising.lm text.txt
ppl -q -b -m mixed.lm text.txt
ngram fit -q --order 2 --smoothing wb --from-counts counts.lm | lmkit ppl -q -b text.txt
bpe encode -q -m bpe.lm --as ids text.txt
bpe encode -q -m wordpiece.lm --as pieces text.txt
bpe encode -q -m unigram.lm --as pieces text.txt
bpe train -q --vocab-size 270 --from-counts pretokens.lm | lmkit bpe encode -q --as ids text.txt
w2v similar -q -m vectors.lm cat --top 3
w2v similar -q -m subwords.lm cats --top 3
ppl -q -b -m ffn.lm text.txt
ppl -q -b -m lstm.lm text.txt
ppl -q -b -m gru.lm text.txt
ppl -q -b -m transformer.lm text.txt
sample -q -m kneser-ney.lm -n 2 --seed 3
sample -q -m transformer.lm -n 1 --greedy --max-tokens 8
fill -q -m encoder.lm --top 2 'the [MASK] sat'
embed -q -m encoder.lm text.txt
predict -q -m bag.lm labelled.tsv
predict -q -m averaged.lm labelled.tsv
predict -q -m classifier.lm --scores labelled.tsv
predict -q -m encoder.lm --adapter adapter.lm --scores labelled.tsv
predict -q -m tagger.lm --as conll text.txt
predict -q -m linear-tagger.lm --as bio text.txt
ppl -q -b -m instructed.lm text.txt
score -q -b -m seq2seq-rnn.lm --pairs pairs.tsv
score -q -b -m seq2seq.lm --pairs pairs.tsv
score -q -b -m prefix.lm --pairs pairs.tsv
decompress -q -m characters.lm text.lmz
train rnn -q --tokens char --steps 400 --width 6 --layers 1 text.txt --resume -o stopped.lm && echo done
"""


def run(folder: Path, line: str) -> str:
    """A command line's output. Raises CalledProcessError."""
    script = f'lmkit() {{ {shlex.quote(sys.executable)} -m lmkit "$@"; }}; set -eo pipefail; lmkit {line}'
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{line}: status {done.returncode}: {done.stderr}")
    return done.stdout


def stop(folder: Path) -> None:
    """Leaves the state of a run that was asked to stop."""
    words = "train rnn --tokens char --steps 400 --width 6 --layers 1 text.txt --resume -o stopped.lm --save-every 1"
    for _ in range(20):
        with subprocess.Popen([sys.executable, "-m", "lmkit", *words.split()], cwd=folder, stderr=-3) as running:
            while not (folder / "stopped.lm.state").exists() and running.poll() is None:
                time.sleep(0.01)
            running.send_signal(signal.SIGTERM)
        if (folder / "stopped.lm.state").exists() and not (folder / "stopped.lm").exists():
            return
        (folder / "stopped.lm").unlink(missing_ok=True)
    raise SystemExit("the run ended before it was stopped")


def main() -> None:
    """Makes a version's folder."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = {
            "text.txt": TEXT, "labelled.tsv": LABELLED, "tagged.conll": TAGGED, "pairs.tsv": PAIRS,
            "instructions.jsonl": INSTRUCTIONS,
        }  # fmt: skip
        for file, text in written.items():
            (folder / file).write_text(text)
        for line in MAKE.splitlines():
            run(folder, line)
        stop(folder)
        (folder / "stopped.lm").unlink(missing_ok=True)
        target.mkdir(parents=True)
        for file in sorted(folder.iterdir()):
            (target / file.name).write_bytes(file.read_bytes())
        blocks = [f"$ lmkit {line}\n{run(folder, line)}" for line in READ.splitlines()]
    (target / "answers.txt").write_text("".join(blocks))
    print(f"{sum(file.stat().st_size for file in target.iterdir()):,} bytes in {len(os.listdir(target))} files")


if __name__ == "__main__":
    main()
