"""The helper beside the engine: as a process it gives what it gives as a thread, and another follows where one ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fastapi", reason="the extra server is not installed")

import motionmill
from motionmill.server.finishing import Choice
from motionmill.server.helper import Process, Thread
from tests.server import serving_app

STATES = torch.randn(6, 384, generator=torch.Generator().manual_seed(0)) * 0.05
DRAWN = [
    torch.randint(0, 1920, (12,), generator=torch.Generator().manual_seed(k)) for k in range(4)
]


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    made = Process(serving_app.pipeline().release)
    yield made
    made.close()


@pytest.fixture
def thread() -> Iterator[Thread]:
    made = Thread(serving_app.pipeline().release)
    yield made
    made.close()


def work(helper: Any, folder: Path) -> list[Any]:
    choice = Choice("a person walks forward", STATES, DRAWN, DRAWN[0])
    chosen = helper.submit("choose", choice).result()
    shown = [helper.submit("show", "a", DRAWN[0].tolist()[at : at + 4]) for at in (0, 4)]
    helper.submit("forget", "a")
    again = helper.submit("show", "a", DRAWN[0].tolist()[:4])
    facts = helper.submit("finish", choice, [12], "a name", 1.0, folder / "m.npz").result()
    assert shown[0].result() == again.result()
    assert len(motionmill.load(folder / "m.npz")) == facts["frames"]
    return [chosen.tolist(), *(each.result() for each in shown), facts]


def test_what_a_thread_does(thread: Thread, tmp_path: Path) -> None:
    chosen, first, second, facts = work(thread, tmp_path)
    assert chosen in [tokens.tolist() for tokens in DRAWN]
    assert (first[0], second[0], first[1]["start"], second[1]["start"]) == (4, 8, 0, 16)
    assert (facts["frames"], facts["seconds"]) == (96, 3.2)


@pytest.mark.slow
def test_a_process_does_the_same(process: Process, thread: Thread, tmp_path: Path) -> None:
    assert work(process, tmp_path) == work(thread, tmp_path)
    choice = Choice("x", STATES, DRAWN[:1], DRAWN[0])
    with pytest.raises(FileNotFoundError):  # what goes wrong there is told here
        process.submit("finish", choice, [], "x", 1.0, tmp_path / "none-such" / "m.npz").result()


@pytest.mark.slow
def test_another_process_follows(process: Process) -> None:
    process.process.kill()
    process.process.join()
    with pytest.raises(RuntimeError, match="has ended"):
        process.submit("forget", "a").result()
    assert process.submit("show", "b", [1, 2, 3]).result()[0] == 3
