"""Laws and answers of models under the kernels of other processors, so that they hold on all of them.

OpenBLAS, torch, its MKL and numpy each choose code by the processor, once, when they are loaded, and each can be asked
for older code. `make test` runs a few models under the oldest code of all, `make slow` everything under each.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
LOWEST = "the oldest code"


def flags():
    """What the processor can do, by Linux; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


def numpy_dispatched():
    """numpy's names of what it has code for beyond its baseline, and this processor can do."""
    umath = np._core._multiarray_umath
    return " ".join(name for name in umath.__cpu_dispatch__ if umath.__cpu_features__.get(name))


def kernels():
    """Settings of the environment by name; the code for a processor needs what that can do."""
    able = flags()
    needs = {
        "Prescott": {"pni"}, "Nehalem": {"sse4_2"}, "Sandybridge": {"avx"}, "Haswell": {"avx2", "fma"},
        "Zen": {"avx2", "fma"}, "SkylakeX": {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"},
        "Cooperlake": {"avx512f", "avx512vl", "avx512_bf16"},
    }  # fmt: skip
    yield "as it is", {}
    for core, needed in needs.items():
        if needed <= able:
            yield f"OpenBLAS {core}", {"OPENBLAS_CORETYPE": core}
    for capability, needed in {"default": set(), "avx2": {"avx2"}, "avx512": {"avx512f"}}.items():
        if needed <= able:
            yield f"torch {capability}", {"ATEN_CPU_CAPABILITY": capability}
    if numpy_dispatched():
        yield "numpy without dispatch", {"NPY_DISABLE_CPU_FEATURES": numpy_dispatched()}
    yield LOWEST, {
        **({"OPENBLAS_CORETYPE": "Prescott"} if "pni" in able else {}),
        "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "NPY_DISABLE_CPU_FEATURES": numpy_dispatched(),
    }  # fmt: skip


KERNELS = dict(kernels())
CHOICES = {name for environment in KERNELS.values() for name in environment}
FEW = (
    "tests/inference/test_models.py::test_the_answers_are_those_of_torch",
    "tests/inference/test_rounding.py::test_the_order_of_sums_matters_less_than_the_tolerance",
    "-k", "one-kv-head or no-residual-post or gru-bias-tied or direct",
)  # fmt: skip
OF_NUMPY = (
    "tests/laws/test_language_model.py", "tests/inference", "tests/prompting/test_candidate_scoring.py",
    "tests/generation/test_contrastive.py",
)  # fmt: skip
OF_TORCH = (
    "tests/nn/test_network.py", "tests/nn/test_torch_batch.py", "tests/training/test_trainer.py",
    "tests/training/test_optimizers.py", "tests/architectures/huggingface/test_folder.py",
)  # fmt: skip


def run_under(kernel, *tests):
    """Tests in a process that is kept to a kernel; fails as they do."""
    environment = {name: value for name, value in os.environ.items() if name not in CHOICES and "PYTEST" not in name}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "-m", "not slow", *tests]
    done = subprocess.run(
        command, cwd=ROOT, env={**environment, **KERNELS[kernel]}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{KERNELS[kernel]}\n{done.stdout[-6000:]}{done.stderr[-2000:]}"
    return done.stdout


def test_a_few_models_under_the_oldest_code():
    assert " passed" in run_under(LOWEST, *FEW)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [name for name in KERNELS if not name.startswith("torch")])
def test_laws_and_answers_under_each_kernel(kernel):
    assert " passed" in run_under(kernel, *OF_NUMPY)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [name for name in KERNELS if name.startswith("torch") or name == LOWEST])
def test_networks_under_each_kernel(kernel):
    assert " passed" in run_under(kernel, *OF_TORCH)


COUNTED = """\
import hashlib, sys
from conftest import CORPUS, SMOOTHINGS, run_here
commands = [["ngram", "fit", "-q", "--order", "3", "--smoothing", smoothing] for smoothing in SMOOTHINGS]
commands += [["ngram", "count", "-q"], ["bpe", "train", "-q", "--vocab-size", "300"], ["bpe", "count"]]
commands += [["ngram", "fit", "-q", "--tokens", "char", "--order", "4"], ["ngram", "fit", "-q", "--order", "0"]]
for command in commands:
    done = run_here(*command, stdin=CORPUS * 3)
    assert done.status == 0, done.stderr
    print(*command, hashlib.sha256(done.stdout).hexdigest())
"""


def test_what_is_counted_has_the_same_bytes_under_any_code():
    def digests(environment):
        clean = {name: value for name, value in os.environ.items() if name not in CHOICES}
        paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
        done = subprocess.run(
            [sys.executable, "-c", COUNTED], env={**clean, "PYTHONPATH": paths, **environment}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    assert digests({}) == digests(KERNELS[LOWEST])


def test_a_kernel_that_was_asked_for_is_the_one_that_runs():
    """Other sums than those of the newest code: the settings are heeded, or the tests above would say nothing."""
    script = (
        "import numpy as np\nrng = np.random.default_rng(0)\n"
        "a, b = (rng.standard_normal((64, 500), dtype=np.float32) for _ in 'ab')\n"
        "print((a @ b.T).tobytes().hex())"
    )

    def product(**environment):
        clean = {name: value for name, value in os.environ.items() if name not in CHOICES}
        command = [sys.executable, "-c", script]
        return subprocess.run(command, env={**clean, **environment}, capture_output=True, check=True).stdout

    available = [name for name in KERNELS if name.startswith("OpenBLAS")]
    products = {product(**KERNELS[name]) for name in (available[0], available[-1])} if available else set()
    assert len(products) > 1 or len(available) < 2
