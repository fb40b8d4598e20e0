"""A Ray cluster of two nodes on this machine, one of which is killed during a run: the result is the local run's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.data.drive import contents, make_inputs, run

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import json, sys, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from motionmill.data.engine.ray_executor import RayExecutor
from tests.data.drive import run

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
other = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
kill_at, inputs, output = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])


class Killer(RayExecutor):
    killed = False

    def run(self, step, units):
        print(step.name, len(units), file=sys.stderr)
        for number, outcome in enumerate(super().run(step, units)):
            yield outcome
            if step.name == kill_at and number == 1 and not self.killed:
                self.killed = True
                cluster.remove_node(other, allow_graceful=False)


def alive():
    return len([node for node in ray.nodes() if node["Alive"]])


executor = Killer(cluster.address)
before = alive()
summary = run(inputs, output, executor)
for _ in range(60):  # a node that was killed is missed after some seconds
    if (after := alive()) < before:
        break
    time.sleep(1)
told = {"before": before, "after": after, "killed": executor.killed, "kept": summary.kept}
Path(sys.argv[4]).write_text(json.dumps(told))
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("kill_at", ["extract", "measure"])
def test_a_node_is_killed(kill_at: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    inputs = make_inputs(tmp_path / "people", motions=12, videos=6)
    local = run(inputs, tmp_path / "local" / "dataset")
    begun = time.monotonic()
    environment = {**os.environ, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'src'}:{os.environ.get('PYTHONPATH', '')}"
    dataset = tmp_path / "ray" / "dataset"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kill_at, str(inputs), str(dataset), str(tmp_path / "told")],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((tmp_path / "told").read_text())
    print(told, f"{time.monotonic() - begun:.0f} s")
    assert told == {"before": 2, "after": 1, "killed": True, "kept": local.kept}
    assert contents(dataset) == contents(tmp_path / "local" / "dataset")
