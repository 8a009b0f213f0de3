"""Adding up counts: runs of one corpus, and shards with vocabularies of their own."""

from contextlib import closing

import numpy as np
import oracle
import pytest
import small_models as small
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import MARKED, TidyDisk, check, same

from lmkit.array_storage import Memory
from lmkit.checkpoint import parse
from lmkit.commands.ngram.count_files import count_bytes, merged
from lmkit.errors import CheckpointError, UsageError
from lmkit.ngram import merging
from lmkit.ngram.corpus import count_corpus
from lmkit.ngram.count_file import CountFile
from lmkit.ngram.merging import merge, move, remap
from lmkit.ngram.tables import Counts, Level
from lmkit.tokenization.tokenizers import WordLearner, learner

quick = settings(deadline=None, max_examples=40)
shards = st.lists(small.corpora("abcdef", most=5, length=5, more=MARKED), min_size=1, max_size=4)


def blob(sentences, order, tokens="word"):
    """The bytes of a count file, as `ngram count` writes it."""
    done = small.counted(sentences, order, learner(tokens))
    return b"".join(count_bytes(CountFile(done.counts, done.tokenizer)))


def add_up(*files, storage=None):
    names = [f"piece {number}" for number in range(len(files))]
    return b"".join(count_bytes(merged([memoryview(file) for file in files], names, storage)))


def whole(parts):
    return [sentence for part in parts for sentence in part]


@quick
@given(shards, st.integers(1, 5))
def test_the_sum_of_shards_is_the_count_of_the_whole(parts, order):
    files = [blob(part, order) for part in parts]
    total = add_up(*files)
    assert total == blob(whole(parts), order)
    counts = CountFile.from_checkpoint(parse(total)).counts
    check(counts, oracle.vocabulary(whole(parts)), whole(parts), order)


@quick
@given(shards, st.integers(1, 4), st.sampled_from(["word", "char", "byte"]), st.data())
def test_sums_can_be_added_up_again_in_any_grouping(parts, order, tokens, data):
    files = [blob(part, order, tokens) for part in parts]
    expected = blob(whole(parts), order, tokens)
    while len(files) > 1:
        place = data.draw(st.integers(0, len(files) - 2))
        files[place : place + 2] = [add_up(files[place], files[place + 1])]
    assert files == [expected]


@quick
@given(shards, st.integers(2, 4))
def test_merging_on_disk_gives_the_same_bytes(tmp_path_factory, parts, order):
    files = [blob(part, order) for part in parts]
    with closing(TidyDisk(str(tmp_path_factory.getbasetemp()))) as disk:
        assert add_up(*files, storage=disk) == add_up(*files)


def growing(parts, order):
    """Counts of parts by one learner, so that later parts know more words."""
    learner, runs = WordLearner(), []
    for part in parts:
        done = count_corpus([small.text_of(part)], learner, order, memory=small.AMPLE, spill=Memory)
        runs.append(done.counts)
    return runs


@quick
@given(shards, st.integers(1, 5), st.integers(1, 12))
def test_the_step_of_merging_does_not_show(parts, order, step):
    runs = growing(parts, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "STEP", step)
        small_steps = merge(runs)
    same(small_steps, merge(runs))
    check(small_steps, oracle.vocabulary(whole(parts)), whole(parts), order)


@quick
@given(small.corpora("abcde", more=MARKED), st.integers(1, 4), st.data())
def test_remapped_counts_are_those_of_renamed_words(sentences, order, data):
    names = oracle.vocabulary(sentences)
    targets = ["<unk>", "<s>", "</s>", "x", "y"]
    new = {name: data.draw(st.sampled_from(["<unk>", "x", "y"])) for name in names[3:]} | {n: n for n in names[:3]}
    words = np.array([targets.index(new[name]) for name in names], dtype=np.int32)
    counts = remap(small.counted(sentences, order).counts, words, len(targets))
    renamed = [[new[word] for word in sentence] for sentence in oracle.without_marks(sentences)]
    check(counts, targets, renamed, order)


def test_moving_copies_every_array(tmp_path):
    counts = small.counted([["a", "b"], ["a"]], 3).counts
    with closing(TidyDisk(str(tmp_path))) as disk:
        same(move(counts, disk), counts)
        assert len(disk.writers) == 9


def test_counts_beyond_31_bits_add_up_and_are_written_wide():
    counts = small.counted([["a", "b"]], 2)
    many = Counts([Level(one.key, one.count.astype(np.int64) * (1 << 31), one.suffix) for one in counts.counts.levels])
    total = merge([many, many])
    assert total.levels[1].count.tolist() == [1 << 32] * 3
    file = CountFile(total, counts.tokenizer)
    read = CountFile.from_checkpoint(file.to_checkpoint({}))
    same(read.counts, total)
    assert read.counts.levels[0].count.tolist() == [0] + [1 << 32] * 4


def test_orders_must_agree():
    with pytest.raises(UsageError):
        merge([small.counted([["a"]], 2).counts, small.counted([["a"]], 3).counts])
    with pytest.raises(UsageError, match="piece 1"):
        add_up(blob([["a"]], 2), blob([["a"]], 3))
    with pytest.raises(UsageError, match="piece 1"):
        add_up(blob([["a"]], 2), blob([["a"]], 2, "char"))


def test_only_count_files_add_up():
    from lmkit.checkpoint import serialize

    model = b"".join(serialize(small.model([["a"]], 2).to_checkpoint({})))
    with pytest.raises(CheckpointError, match="piece 1"):
        add_up(blob([["a"]], 2), model)


DAMAGE = {
    "keys out of order": ("ngrams.2.key", lambda values: values[::-1].copy()),
    "a context that does not exist": ("ngrams.2.key", lambda values: values + (100 << 32)),
    "a word that does not exist": ("ngrams.2.key", lambda values: values + 100),
    "a negative key": ("ngrams.2.key", lambda values: values - (100 << 32)),
    "a suffix that does not exist": ("ngrams.2.suffix", lambda values: values + 100),
    "a negative suffix": ("ngrams.2.suffix", lambda values: values - 100),
    "a count of zero": ("ngrams.2.count", lambda values: values * 0),
    "too few keys": ("ngrams.2.key", lambda values: values[1:]),
    "keys of another type": ("ngrams.2.key", lambda values: values.astype(np.int32)),
    "negative word counts": ("ngrams.1.count", lambda values: values * -1),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_count_files_are_refused(name):
    done = small.counted(small.JUAN, 3)
    content = CountFile(done.counts, done.tokenizer).to_checkpoint({})
    tensor, change = DAMAGE[name]
    content.tensors[tensor] = change(np.array(content.tensors[tensor]))
    with pytest.raises(CheckpointError):
        CountFile.from_checkpoint(content)
