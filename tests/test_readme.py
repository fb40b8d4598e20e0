"""The README's commands work, in order, away from the checkout; its links lead somewhere.

Blocks of bash and Python run in one temporary folder. A block after `<!-- not run: reason -->` is reported as skipped.
The two set-up commands (`pip install ...`) are run by `.ci/run`, in a new virtual environment.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(
    r"(?:^<!-- *not run: *(?P<reason>[^\n]*?) *-->\n+)?"
    r"^```(?P<language>bash|python)\n(?P<source>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?:#[^)\s]*)?\)|(?:src|href)=\"(?P<html>[^\"#]+)\"")


@dataclass(frozen=True)
class Block:
    language: str
    source: str
    reason: str | None
    line: int


def blocks(text: str) -> list[Block]:
    """The fenced blocks of bash and Python, without the set-up commands."""
    found = []
    for match in BLOCK.finditer(text):
        source = "".join(
            line
            for line in match["source"].splitlines(keepends=True)
            if not line.startswith("pip install ")
        )
        line = text.count("\n", 0, match.start("source")) + 1
        if source.strip():
            found.append(Block(match["language"], source, match["reason"], line))
    return found


def run(block: Block, folder: Path) -> None:
    """Run one block; a failure shows the block, where it stands and what it printed."""
    shell = ["bash", "-euo", "pipefail", "-c"]
    command = [*(shell if block.language == "bash" else [sys.executable, "-c"]), block.source]
    search_path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": search_path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    if result.returncode:
        pytest.fail(
            f"README.md, line {block.line}: exit {result.returncode} from\n{block.source}\n{result.stdout}"
        )


def test_the_commands_run(tmp_path: Path) -> None:
    runnable = [block for block in blocks(README.read_text(encoding="utf-8")) if not block.reason]
    assert {block.language for block in runnable} == {"bash", "python"}
    for block in runnable:
        run(block, tmp_path)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"line-{block.line}")
        for block in blocks(README.read_text(encoding="utf-8"))
        if block.reason
    ],
)
def test_blocks_that_are_not_run(block: Block) -> None:
    pytest.skip(f"README.md, line {block.line}: {block.reason}")


def test_the_links_lead_somewhere() -> None:
    targets = [m["target"] or m["html"] for m in LINK.finditer(README.read_text(encoding="utf-8"))]
    local = [target for target in targets if not target.startswith(("http:", "https:", "mailto:"))]
    assert local
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_blocks_are_found_as_they_should() -> None:
    text = (
        "a\n```bash\npip install -e . && x\nfirst\n```\n\n<!-- not run: needs a GPU -->\n```bash\nsecond\n```\n"
        "```python\nthird\n```\n```json\nfourth\n```\n```bash\npip install y\n```\n"
    )
    assert blocks(text) == [
        Block("bash", "first\n", None, 3),
        Block("bash", "second\n", "needs a GPU", 9),
        Block("python", "third\n", None, 12),
    ]


def test_a_failing_block_fails(tmp_path: Path) -> None:
    run(Block("bash", "touch made\ntest -f made\n", None, 1), tmp_path)
    for language, source in (
        ("bash", "false | true\n"),
        ("bash", "echo $unset\n"),
        ("python", "1 / 0\n"),
    ):
        with pytest.raises(pytest.fail.Exception, match=r"README\.md, line 7: exit"):
            run(Block(language, source, None, 7), tmp_path)
