"""The image's file and the compose file: linted, and what they copy, start and publish is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from motionmill.cli import main

ROOT = Path(__file__).resolve().parents[2]
# What of the Compose Specification is used here; a misspelt key is none of these.
SERVICE = {
    "build": dict,
    "ports": list,
    "volumes": list,
    "restart": str,
    "stop_grace_period": str,
    "read_only": bool,
    "tmpfs": list,
    "cap_drop": list,
    "security_opt": list,
}


@pytest.fixture
def steps() -> list[tuple[str, str]]:
    """Instruction and the rest of each step, lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", "", text).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line]


def test_no_finding_of_hadolint() -> None:
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [program, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_context_holds_what_is_copied(steps: list[tuple[str, str]]) -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [name for step, rest in steps if step == "COPY" for name in rest.split()[:-1]]
    assert {name.removeprefix("./") for name in copied} == {
        line[1:] for line in ignored if line.startswith("!")
    }
    assert all((ROOT / name).exists() for name in copied)


def test_the_server_is_started_as_it_takes_it(
    steps: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = dict(steps)
    program, *words = json.loads(values["ENTRYPOINT"])
    assert program == "motionmill"
    assert values["VOLUME"] == "/data"
    assert values["USER"].isdecimal()
    words = [word.replace("/data", str(tmp_path)) for word in words]
    assert main([*words, "--model", "none-such"]) == 2  # all options are known, this model is not
    assert "none-such" in capsys.readouterr().err
    assert (tmp_path / "token.txt").stat().st_mode & 0o077 == 0


def test_compose(steps: list[tuple[str, str]]) -> None:
    file: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert set(file) == {"services", "volumes"}
    [service] = file["services"].values()
    assert {key: type(value) for key, value in service.items()} == SERVICE
    arguments = {rest.partition("=")[0] for step, rest in steps if step == "ARG"}
    assert set(service["build"]["args"]) == arguments
    assert service["ports"] == [f"127.0.0.1:{dict(steps)['EXPOSE']}:{dict(steps)['EXPOSE']}"]
    volume, place = service["volumes"][0].split(":")
    assert volume in file["volumes"]
    assert place == dict(steps)["VOLUME"]
    program = shutil.which("docker-compose")
    if program is not None:
        command = [program, "-f", "compose.yaml", "config", "-q"]
        subprocess.run(command, cwd=ROOT, check=True)
