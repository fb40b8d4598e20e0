"""What must start at once imports no torch: the package, its configs, the help of the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
HEAVY = {"torch", "scipy", "transformers", "pyarrow", "av", "PIL", "matplotlib"}
CONFIG_MODULES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in SOURCE.glob("motionmill/*/config.py")
)


def imported_by(*arguments: str) -> set[str]:
    """The top-level modules that a fresh interpreter imports when it runs with these arguments."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr.splitlines()[-1]
    lines = (line for line in result.stderr.splitlines() if line.startswith("import time:"))
    return {line.split("|")[-1].strip().split(".")[0] for line in lines}


def test_importing_takes_nothing_heavy() -> None:
    modules = ["motionmill", "motionmill.extras", "motionmill.cli", *CONFIG_MODULES]
    modules += ["motionmill.formats.convert", "motionmill.training.progress"]  # of many files
    imported = imported_by("-c", f"import {', '.join(modules)}")
    assert "motionmill" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize("command", ["", "generate", "train tokenizer"])
def test_help_takes_nothing_heavy(command: str) -> None:
    assert not imported_by("-m", "motionmill", *command.split(), "--help") & HEAVY


def test_motions_take_no_compiler() -> None:
    """TorchDynamo, which some packages import, costs as much as torch itself."""
    words = "import sys, motionmill.motion.retarget; sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


def test_heavy_imports_would_be_seen() -> None:
    assert imported_by("-c", "import motionmill; motionmill.Motion") & HEAVY
