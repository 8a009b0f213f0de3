"""`lmkit w2v train`: word vectors from texts."""

from lmkit.commands.loading import models as opening
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.word2vec import SECTIONS, Word2VecOptions
from lmkit.commands.w2v.session import print_updates, run_training
from lmkit.io import streams


@in_sections(SECTIONS)
@with_groups()
def train(run: Run, files: TextFiles = None, *, options: Word2VecOptions) -> None:
    """Train word vectors on a text: word2vec.

    Skip-gram or CBOW, with negative sampling or full softmax (Mikolov et al. 2013). Words are separated by white
    space, and contexts do not cross lines; lines may have any length. The text is read once. Training is fast
    with numba (extra `fast`) and slower without. Both vectors of each word are kept: centre and context.

    With --subwords, a word's centre vector is the mean of its own vector and those of the character n-grams of
    <word> (Bojanowski et al. 2017), so unknown words have vectors too. --normalize and --punctuation are stored,
    and apply to the words of later queries.

    Examples:
      lmkit w2v train --normalize lowercase --punctuation remove corpus.txt -o vectors.lm
      lmkit w2v train --arch cbow --dim 300 --window 10 --epochs 3 corpus.gz -o vectors.lm
      lmkit w2v train --phrases 2 --log run.jsonl corpus.txt -o vectors.lm
      lmkit w2v train --subwords 3-6 corpus.txt -o vectors.lm
    """
    inputs = list(files or [streams.STDIN])
    opening.check_single_stdin(*inputs, options.embeddings)
    options.check()
    (print_updates if options.count_updates else run_training)(run, inputs, options)
