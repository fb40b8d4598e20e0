"""Three raters in a real browser, by clicks and by keys, while the server is killed and started again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from motionmill.evaluation.ratings import CRITERIA
from motionmill.server.arena_store import ArenaStore
from tests.server.test_arena import NAMES, motion_folders
from tests.web.browser import Served, chromium, free_port

pytestmark = [pytest.mark.web, pytest.mark.slow]
EACH = 12


class Rater:
    """One person's page, and all that came over the network to it."""

    def __init__(self, browser: Any, address: str, **settings: Any) -> None:
        self.page = browser.new_context(**settings).new_page()
        self.heard: list[str] = []
        self.errors: list[str] = []
        self.tasks: list[str] = []
        self.page.on("response", self._hear)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)

    def _hear(self, response: Any) -> None:
        try:
            self.heard.append(str(response.headers) + response.text())
        except Exception:  # the server was killed in the middle of it
            self.heard.append("")

    def rate(self, *, keys: bool) -> None:
        page = self.page
        page.wait_for_selector('body[data-state="ready"]', timeout=30_000)
        name = page.evaluate("document.body.dataset.task")
        self.tasks.append(name)
        count = page.locator("fieldset").first.locator("input").count()
        for number in range(3):
            choice = (len(self.tasks) + number) % count
            if keys:
                page.keyboard.press(str(choice + 1))
            else:
                page.locator("fieldset").nth(number).locator("label").nth(choice).click()
        if keys:
            page.keyboard.press("Enter")
        else:
            page.locator("#send").click()

    def moves_on(self) -> None:
        selector = f'body[data-state="ready"]:not([data-task="{self.tasks[-1]}"])'
        self.page.wait_for_selector(selector, timeout=60_000)


def test_a_session_that_is_killed_in_the_middle(tmp_path: Path) -> None:
    suite, folders = motion_folders(tmp_path, prompts=8)
    database, port = tmp_path / "votes.db", free_port()
    words = ["benchmark", "rate", *map(str, folders), "--suite", str(suite), "-o", str(database)]
    words += ["--raters", "3", "--port", str(port)]
    server = Served(words, lines=3)
    addresses = [line.partition(": ")[2] for line in server.lines]
    try:
        with chromium() as browser:
            phone = {"viewport": {"width": 390, "height": 844}}
            raters = [
                Rater(browser, addresses[0]),
                Rater(browser, addresses[1]),
                Rater(browser, addresses[2], **phone),
            ]
            for turn in range(EACH):
                for place, rater in enumerate(raters):
                    if turn == EACH // 2 and place == 1:
                        rater.page.wait_for_selector('body[data-state="ready"]')
                        server.kill()
                        rater.rate(keys=True)  # into the void: the page keeps it and tries again
                        rater.page.wait_for_selector("text=Nothing is lost")
                        server = Served(words, lines=3)
                    else:
                        rater.rate(keys=place != 0)
                    rater.moves_on()
            wide = raters[2].page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390
            heard = "".join(text for rater in raters for text in rater.heard)
            assert not [error for rater in raters for error in rater.errors]
            source = "".join(rater.page.content() for rater in raters)
            raters[0].page.screenshot(path=tmp_path / "desktop.png")
            raters[2].page.screenshot(path=tmp_path / "phone.png")
    finally:
        server.kill()

    assert [line.partition(": ")[2] for line in server.lines] == addresses
    for name in (*NAMES, "alpha", "beta", "scrambled"):
        assert name not in heard
        assert name not in source
    store = ArenaStore(database)
    answered = {f"rater-{k + 1}": store.num_answered(f"rater-{k + 1}") for k in range(3)}
    assert answered == dict.fromkeys(answered, EACH)
    given = store.given()
    for tasks in given.values():
        assert len({task.question for task in tasks}) == len(tasks)
    assert (
        len(store.votes())
        + len(store.scores())
        + 3 * sum(seen for _, seen in store.checks().values())
        == 3 * 3 * EACH
    )
    assert {vote.criterion for vote in store.votes()} == set(CRITERIA)
    store.close()
