"""Two processes over gloo learn what one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import ranks

from lmkit.training.distributed import ProcessGroup

HERE = Path(__file__).parent


def free_port():
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["copy", "shard"])
def test_two_processes_learn_what_one_does(way, clean):
    """The same losses and weights by DistributedDataParallel and by FSDP; and each goes on to the same bytes."""
    command = [sys.executable, "-W", "error", str(HERE / "ranks.py"), way]
    shared = {
        **os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
        "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{HERE}:{HERE.parent}", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    both = [
        subprocess.Popen(
            command, env={**shared, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in "01"
    ]  # fmt: skip
    alone = ranks.main(ProcessGroup(), False)
    (out, err), (silent, more) = (process.communicate(timeout=60) for process in both)
    assert [process.returncode for process in both] == [0, 0], err + more
    assert (err, silent, more) == ("", "", "")
    found = json.loads(out)
    for name, one in alone.items():
        assert one["nats"] == pytest.approx(found[name]["nats"], rel=1e-5), name
        assert one["norms"] == pytest.approx(found[name]["norms"], rel=1e-4), name
        assert one["weights"] == pytest.approx(found[name]["weights"], rel=1e-4), name
        assert one["resumed"], name
        assert one["same"], name
        assert found[name]["resumed"], name
        assert found[name]["same"], name
