"""numpy's sorts: which processors do without AVX-512, and that results are the same without."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from lmkit import command_table
from lmkit.io import processor

CPUINFO = """\
processor\t: 0
vendor_id\t: {vendor}
cpu family\t: {family}
model\t\t: {model}
model name\t: {name}
flags\t\t: fpu vme sse sse2 ht avx avx2 {flags}
bugs\t\t: spectre_v1

processor\t: 1
vendor_id\t: AuthenticAMD
cpu family\t: 25
flags\t\t: avx512f
"""
AVX512 = "avx512f avx512dq avx512cd avx512bw avx512vl"
PROCESSORS = {
    "EPYC 9R14, Zen 4": ("AuthenticAMD", 25, 17, AVX512, True),
    "Ryzen 9 7950X, Zen 4": ("AuthenticAMD", 25, 97, AVX512, True),
    "EPYC 9754, Zen 4c": ("AuthenticAMD", 25, 160, AVX512, True),
    "Zen 4, AVX-512 hidden by a hypervisor": ("AuthenticAMD", 25, 17, "", False),
    "EPYC 7763, Zen 3": ("AuthenticAMD", 25, 1, "", False),
    "EPYC 7742, Zen 2": ("AuthenticAMD", 23, 49, "", False),
    "EPYC 9755, Zen 5": ("AuthenticAMD", 26, 2, AVX512, False),
    "Xeon, Skylake": ("GenuineIntel", 6, 85, AVX512, False),
    "Xeon, Sapphire Rapids": ("GenuineIntel", 6, 143, AVX512, False),
    "another maker's family 25": ("HygonGenuine", 25, 17, AVX512, False),
}
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n\n"


def cpuinfo(name):
    vendor, family, model, flags, _ = PROCESSORS[name]
    return CPUINFO.format(vendor=vendor, family=family, model=model, name=name, flags=flags)


@pytest.mark.parametrize("name", PROCESSORS)
def test_zen_4_alone_sorts_slowly(name):
    assert processor.sorts_slowly(cpuinfo(name).splitlines(keepends=True)) == PROCESSORS[name][-1]


@pytest.mark.parametrize("text", ["", "\n", ARM, "vendor_id\n", "flags: avx512f\n", "\0\xff: \n"])
def test_other_texts_are_of_no_such_processor(text):
    assert not processor.sorts_slowly(text.splitlines(keepends=True))


def test_processors_say_whether_they_multiply_bfloat16():
    flags = "flags\t\t: avx512f avx512_bf16\n"
    assert processor.multiplies_bfloat16([flags])
    assert processor.multiplies_bfloat16(["Features\t: fp asimd bf16\n"])
    assert not processor.multiplies_bfloat16(cpuinfo("Xeon, Skylake").splitlines())


def run_on(name, work, *arguments, before="", stdin=b"", **environment):
    """A command on a processor of that name; its output, and the features that numpy was kept from at the end."""
    (work / "cpuinfo").write_text(cpuinfo(name) if name in PROCESSORS else name)
    script = (
        "import atexit, os, sys\n"
        "from lmkit import cli\n"
        "from lmkit.io import processor\n"
        f"processor.CPUINFO = {os.fspath(work / 'cpuinfo')!r}\n{before}\n"
        f"shown = lambda: print(os.environ.get({processor.SWITCHES[0]!r}), file=sys.stderr)\n"
        "atexit.register(shown)\n"
        f"cli.main({list(arguments)!r})\n"
    )
    clean = {key: value for key, value in os.environ.items() if key not in processor.SWITCHES}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        input=stdin, capture_output=True, env={**clean, **environment}, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *said, switched = done.stderr.decode().splitlines()
    assert said == []
    return done.stdout, switched


SORTS = {"ngram fit": ["ngram", "fit", "-q"], "entropy": ["entropy", "--json", "--unit-of", "word", "--order", "2"]}
TEXT = b"the cat sat on the mat\nthe dog sat on the log\n" * 20


@pytest.mark.parametrize("name", SORTS)
def test_commands_that_sort_do_so_without_avx_512_on_zen_4(name, work):
    there, switched = run_on("EPYC 9R14, Zen 4", work, *SORTS[name], stdin=TEXT)
    assert switched == processor.FEATURES
    elsewhere, switched = run_on("EPYC 7763, Zen 3", work, *SORTS[name], stdin=TEXT)
    assert switched == "None"
    assert there == elsewhere != b""


@pytest.mark.parametrize("arguments", [["ngram", "fit", "--help"], ["scaling", "plan", "--ngram", "--vocab", "9"]])
def test_others_are_left_as_they_are(arguments, work):
    assert run_on("EPYC 9R14, Zen 4", work, *arguments)[1] == "None"


@pytest.mark.parametrize(("switch", "value"), [(processor.SWITCHES[0], ""), (processor.SWITCHES[0], "X86_V4")])
def test_what_the_user_has_set_stays(switch, value, work):
    assert run_on("EPYC 9R14, Zen 4", work, *SORTS["entropy"], stdin=TEXT, **{switch: value})[1] == value


def test_a_numpy_that_knows_nothing_below_is_left_as_it_is(work):
    """Its baseline can't be disabled: the command begins again, without a word, and reads all of its input."""
    baseline = next(iter(np._core._multiarray_umath.__cpu_baseline__), None)
    if baseline is None:  # not even numpy knows what it was built for
        return
    found, switched = run_on(
        "EPYC 9R14, Zen 4", work, *SORTS["entropy"], before=f"processor.FEATURES = {baseline!r}", stdin=TEXT
    )
    assert switched == ""
    assert found == run_on("EPYC 7763, Zen 3", work, *SORTS["entropy"], stdin=TEXT)[0]


def test_the_commands_that_sort_are_commands():
    assert set(command_table.COMMANDS) >= command_table.SORTING


DIGESTS = """\
import hashlib, json, sys
import numpy as np
rng = np.random.default_rng(0)
arrays = [rng.integers(0, most, 20000).astype(kind) for most in (9, 1 << 15) for kind in ("u2", "i4", "u4", "i8", "u8")]
arrays += [0 + np.round(rng.normal(size=20000), places).astype(kind) for places in (1, 9) for kind in ("f4", "f8")]
found = []
for array in arrays:
    made = [np.sort(array), np.argsort(array, kind="stable"), *np.unique(array, return_index=True, return_counts=True)]
    made += [np.partition(array, 100)[100], np.sort(array)[::-1]]
    found.append(hashlib.sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in made)).hexdigest())
json.dump(found, sys.stdout)
"""


def test_sorts_give_the_same_without_vector_instructions():
    """Values, stable orders, first places and counts. Not ties of other orders, nor the order of 0 and -0."""
    features = np._core._multiarray_umath
    there = " ".join(name for name in features.__cpu_dispatch__ if features.__cpu_features__.get(name))

    def digests(disabled):
        environment = {**os.environ, processor.SWITCHES[0]: disabled}
        done = subprocess.run([sys.executable, "-c", DIGESTS], env=environment, capture_output=True, check=True)
        return json.loads(done.stdout)

    assert digests("") == digests(there) == digests(processor.FEATURES)
