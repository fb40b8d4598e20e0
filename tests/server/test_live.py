"""Events of a job: all of them for every reader, kept once; the place in the queue until the job begins."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

pytest.importorskip("fastapi", reason="the extra server is not installed")

from motionmill.server.api_jobs import _with_positions
from motionmill.server.live import Live, event


def test_a_late_reader_gets_everything() -> None:
    live = Live()
    live.say("encoding")
    live.say("tokens", tokens=2)
    live.end()

    async def read() -> list[str]:
        return [text async for text in live.read() if text is not None]

    assert asyncio.run(read()) == [event("encoding"), event("tokens", tokens=2)]
    assert not live.watched


def test_readers_that_do_not_read_cost_nothing_more() -> None:
    live = Live()

    async def stand_still() -> int:
        readers = [live.read() for _ in range(500)]
        for reader in readers:
            await anext(reader)
        tracemalloc.start()
        for number in range(100):
            live.say("frames", rotations=f"{number:020000}")
        await asyncio.sleep(0)
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        for reader in readers:
            await reader.aclose()
        return grown

    events = 100 * 20_000
    assert events <= asyncio.run(stand_still()) < 2 * events


def test_the_place_in_the_queue_until_the_job_begins() -> None:
    live = Live()

    async def read() -> list[str]:
        heard = []
        async for text in _with_positions(live, 3):
            heard.append(text)
            match len(heard):
                case 1:
                    live.stand(3)  # no news
                    live.stand(2)
                case 2:
                    live.say("encoding")
                    live.stand(1)  # too late
                    live.end()
        return heard

    assert asyncio.run(asyncio.wait_for(read(), 10)) == [
        event("queued", position=3),
        event("queued", position=2),
        event("encoding"),
    ]
