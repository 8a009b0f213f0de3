"""lmkit w2v: one cold question to many vectors, many questions, reading files; against gensim and word2vec's C."""

import argparse
import shlex
import sys
import tempfile
from multiprocessing import Process
from pathlib import Path

from measure import Contestant, compare

LMKIT = f"{shlex.quote(sys.executable)} -m lmkit"
LOAD = "from gensim.models import KeyedVectors as K; import sys; "
ASK = "print([k.most_similar(line.strip()) for line in sys.stdin][0][0])"


def make(*what: object) -> None:
    """Makes files in a process of its own: the peak memory of children counts from that of their parent."""
    process = Process(target=write, args=what)
    process.start()
    process.join()


def write(folder: Path, words: int, width: int, *kinds: str) -> None:
    """A space of random vectors as a checkpoint, and as files of word2vec."""
    import numpy as np

    from lmkit.checkpoint import serialize
    from lmkit.tokenization.vocabulary import NAMES, Vocabulary
    from lmkit.word_vectors.vector_space import VectorSpace
    from lmkit.word_vectors.writers import Export

    rng = np.random.default_rng(0)
    table = rng.normal(size=(words + 3, width)).astype(np.float32)
    table[:3] = 0
    space = VectorSpace(Vocabulary.of([*NAMES, *(b"w%d" % number for number in range(words))]), table)
    export = Export(space)
    pieces = {"v.lm": serialize(space.to_checkpoint({})), "v.bin": export.binary(), "v.txt": export.text(header=True)}
    for name in kinds:
        with open(folder / name, "wb") as stream:
            for piece in pieces[name]:
                stream.write(piece)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=400_000)
    parser.add_argument("--width", type=int, default=300)
    parser.add_argument("--text-width", type=int, default=50)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--peers", help="a Python that has gensim")
    parser.add_argument("--word2vec", help="a folder with the C program `distance`")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {kind: shlex.quote(str(folder / f"v.{kind}")) for kind in ("lm", "bin", "txt", "kv")}
        python = shlex.quote(options.peers) if options.peers else None

        def gensim(code: str) -> str:
            return f"{python} -c {shlex.quote(LOAD + code)}"

        def question(title: str, source: str) -> None:
            rows = [Contestant("lmkit w2v similar", f"{source} | {LMKIT} w2v similar -m {files['lm']}")]
            if python:
                mapped = gensim(f"k = K.load({str(folder / 'v.kv')!r}, mmap='r'); {ASK}")
                rows.append(Contestant("gensim, its own format, mapped", f"{source} | {mapped}"))
            if options.word2vec:
                program = shlex.quote(str(Path(options.word2vec) / "distance"))
                rows.append(Contestant("distance (C)", f"({source}; echo EXIT) | {program} {files['bin']}"))
            compare(title, rows, options.rounds)

        make(folder, options.words, options.width, "v.lm", "v.bin")
        if python:
            saved = gensim(
                f"K.load_word2vec_format({str(folder / 'v.bin')!r}, binary=True).save({str(folder / 'v.kv')!r})"
            )
            Contestant("", saved).run()
        question(f"one word, {options.words} x {options.width}", "echo w7")
        question(f"{options.questions} words", f"seq -f w%g {options.questions}")
        reading = [Contestant("lmkit w2v import", f"{LMKIT} w2v import -q {files['bin']} -o {files['lm']}")]
        if python:
            load = gensim(f"K.load_word2vec_format({str(folder / 'v.bin')!r}, binary=True)")
            reading.append(Contestant("gensim load_word2vec_format", load))
        compare(f"binary, {options.words} x {options.width}", reading, options.rounds)
        make(folder, options.words, options.text_width, "v.txt")
        reading = [Contestant("lmkit w2v import", f"{LMKIT} w2v import -q {files['txt']} -o {files['lm']}")]
        if python:
            load = gensim(f"K.load_word2vec_format({str(folder / 'v.txt')!r})")
            reading.append(Contestant("gensim load_word2vec_format", load))
        compare(f"text, {options.words} x {options.text_width}", reading, options.rounds)


if __name__ == "__main__":
    main()
