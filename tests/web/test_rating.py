"""Three raters in a real browser, by clicks and by keys, while the server is killed and started again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from motionmill.evaluation.ratings import CRITERIA
from motionmill.server.arena_store import ArenaStore
from tests.ports import free_port
from tests.server.test_arena import NAMES, motion_folders
from tests.web.browser import Served, chromium

pytestmark = [pytest.mark.web, pytest.mark.slow]
EACH = 12
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
WAIT = 60_000  # milliseconds


class Rater:
    """One person's page; all that comes over its network is written down by the browser."""

    def __init__(self, browser: Any, address: str, traffic: Path, **settings: Any) -> None:
        self.context = browser.new_context(
            record_har_path=traffic, record_har_content="embed", **settings
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.errors: list[str] = []
        self.sources: list[str] = []
        self.given: dict[str, dict[str, int]] = {}  # by task, what this person chose
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)

    def choose(self, *, keys: bool) -> None:
        """Answer all questions of the task that is shown, and write down what."""
        page = self.page
        page.wait_for_selector('body[data-state="ready"]')
        task = page.evaluate("document.body.dataset.task")
        assert task not in self.given
        self.sources.append(page.content())
        count = page.locator("fieldset").first.locator("input").count()
        assert count in (3, 4)
        first = -1 if count == 3 else 1
        self.given[task] = {}
        for number, criterion in enumerate(CRITERIA):
            choice = (len(self.given) + number) % count
            if keys:
                page.keyboard.press(str(choice + 1))
            else:
                page.locator("fieldset").nth(number).locator("label").nth(choice).click()
            self.given[task][criterion] = first + choice

    def send(self, *, keys: bool) -> None:
        if keys:
            self.page.keyboard.press("Enter")
        else:
            self.page.locator("#send").click()

    def moves_on(self) -> None:
        last = list(self.given)[-1]
        self.page.wait_for_selector(f'body[data-state="ready"]:not([data-task="{last}"])')


@contextmanager
def three_raters(folder: Path, addresses: list[str]) -> Iterator[list[Rater]]:
    """On a computer with its motions playing, on a computer without, and on a phone."""
    settings: tuple[dict[str, Any], ...] = (
        {},
        {"reduced_motion": "reduce"},
        {**PHONE, "reduced_motion": "reduce"},
    )
    with chromium() as browser:
        raters = [
            Rater(browser, address, folder / f"traffic-{number}.har", **each)
            for number, (address, each) in enumerate(zip(addresses, settings, strict=True))
        ]
        yield raters
        for rater in raters:
            rater.context.close()  # which writes the traffic


def test_a_session_that_is_killed_twice(tmp_path: Path) -> None:
    suite, folders = motion_folders(tmp_path, prompts=8)
    database, port = tmp_path / "votes.db", free_port()
    words = ["benchmark", "rate", *map(str, folders), "--suite", str(suite), "-o", str(database)]
    words += ["--raters", "3", "--port", str(port)]
    server = Served(words, lines=3)
    addresses = [line.partition(": ")[2] for line in server.lines]
    try:
        with three_raters(tmp_path, addresses) as raters:
            for turn in range(EACH):
                for place, rater in enumerate(raters):
                    rater.choose(keys=place != 0)
                if (
                    turn == 4
                ):  # the server is gone before the answers: the pages keep them and try again
                    server.kill()
                for place, rater in enumerate(raters):
                    rater.send(keys=place != 0)
                if turn == 8:  # some of the answers may have arrived: they must not count twice
                    server.kill()
                if turn == 4:
                    raters[1].page.wait_for_selector("text=Nothing is lost")
                if turn in (4, 8):
                    server = Served(words, lines=3)
                for rater in raters:
                    rater.moves_on()
            assert raters[2].page.evaluate("document.documentElement.scrollWidth") <= 390
            assert not [error for rater in raters for error in rater.errors]
            raters[0].page.screenshot(path=tmp_path / "desktop.png")
            raters[2].page.screenshot(path=tmp_path / "phone.png", full_page=True)
    finally:
        server.kill()

    assert [line.partition(": ")[2] for line in server.lines] == addresses
    assert_blind(raters, [tmp_path / f"traffic-{number}.har" for number in range(3)])
    assert_kept(raters, database)


def assert_blind(raters: list[Rater], traffic: list[Path]) -> None:
    """Nothing that reached a browser names a system: pages, addresses, headers, bodies."""
    for path in traffic:
        entries = json.loads(path.read_text(encoding="utf-8"))["log"]["entries"]
        bodies = [entry["response"]["content"].get("text", "") for entry in entries]
        assert sum('"joints"' in body for body in bodies) > EACH
    heard = "".join(path.read_text(encoding="utf-8") for path in traffic)
    seen = "".join(source for rater in raters for source in rater.sources)
    for name in (*NAMES, "alpha", "beta", "scrambled"):
        assert name not in heard
        assert name not in seen


def assert_kept(raters: list[Rater], database: Path) -> None:
    """Every answer is there once, and as it was given."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT rater, task, answers FROM tasks WHERE answers IS NOT NULL"
        ).fetchall()
    for number, rater in enumerate(raters, start=1):
        kept = {
            task: json.loads(answers) for who, task, answers in rows if who == f"rater-{number}"
        }
        assert kept == rater.given
        assert len(kept) == EACH
    assert len(rows) == 3 * EACH
    store = ArenaStore(database)
    for tasks in store.given().values():
        assert len({task.question for task in tasks}) == len(tasks)
    checks = sum(seen for _, seen in store.checks().values())
    assert len(store.votes()) + len(store.scores()) + 3 * checks == 3 * 3 * EACH
    store.close()


def test_keys_alone(tmp_path: Path) -> None:
    """Everything of the page by keys: answers, a change of mind, time, pause, the next task."""
    suite, folders = motion_folders(tmp_path, prompts=2)
    words = ["benchmark", "rate", *map(str, folders), "--suite", str(suite), "--raters", "1"]
    server = Served([*words, "-o", str(tmp_path / "votes.db"), "--port", str(free_port())], lines=1)
    try:
        with chromium() as browser:
            context = browser.new_context(reduced_motion="reduce")
            page = context.new_page()
            page.set_default_timeout(WAIT)
            page.goto(server.lines[0].partition(": ")[2])
            page.wait_for_selector('body[data-state="ready"]')
            press = page.keyboard.press
            assert page.inner_text("#play") == "Play"
            press("Space")
            assert page.inner_text("#play") == "Pause"
            press("ArrowLeft")
            assert page.inner_text("#play") == "Play"
            before = float(page.input_value("#time"))
            press("ArrowRight")
            assert float(page.input_value("#time")) > before
            press("1")
            press("3")
            press("Enter")  # too early: a question is open
            assert page.evaluate("document.body.dataset.state") == "ready"
            press("Backspace")
            press("2")
            press("1")
            chosen = page.locator("input:checked").evaluate_all("found => found.map(e => e.value)")
            assert chosen == ["-1", "0", "-1"]
            first = page.evaluate("document.body.dataset.task")
            press("Enter")
            page.wait_for_selector(f'body[data-state="ready"]:not([data-task="{first}"])')
            context.close()
    finally:
        server.kill()


def test_the_ratings_of_a_server_with_a_token(tmp_path: Path) -> None:
    """Its page asks for the token by the studio's door, and again after a wrong one."""
    (tmp_path / "token.txt").write_text("a-token-of-some-length\n")
    port = free_port()
    words = ["serve", "--folder", str(tmp_path / "studio"), "--port", str(port)]
    server = Served([*words, "--token-file", str(tmp_path / "token.txt")], lines=1)
    try:
        with chromium(webgl=True) as browser:
            page = browser.new_context().new_page()
            page.set_default_timeout(WAIT)
            page.goto(f"http://127.0.0.1:{port}/rate/")
            for word in ("a-token-of-some-other", "a-token-of-some-length"):
                page.wait_for_selector("#door[open]")
                page.fill("#token", word)
                page.click("#door button")
            page.wait_for_selector('body[data-ready="true"]')
            assert page.inner_text("#problem") == ""
            page.goto(f"http://127.0.0.1:{port}/")  # which knows the token of its tab
            page.wait_for_selector('body[data-ready="true"]')
            assert not page.is_visible("#door")
            page.goto(f"http://127.0.0.1:{port}/rate/a-wrong-link/")
            assert "no such rating link" in page.inner_text("body")
    finally:
        server.kill()
