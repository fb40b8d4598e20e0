"""The studio in a real browser, from the prompt to the file, over a killed server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import motionmill
from tests.web.browser import Served, chromium, free_port

pytestmark = [pytest.mark.web, pytest.mark.slow]
WAIT = 240_000  # milliseconds; 3D is drawn by the processor here


def start(folder: Path, port: int) -> Served:
    return Served(["serve", "--folder", str(folder), "--port", str(port)], lines=1)


def state(page: Any, name: str) -> None:
    page.wait_for_selector(f'body[data-state="{name}"]', timeout=WAIT)


def open_page(browser: Any, address: str, errors: list[str], **settings: Any) -> Any:
    page = browser.new_context(accept_downloads=True, **settings).new_page()
    page.set_default_timeout(WAIT)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.wait_for_selector('body[data-ready="true"]')
    return page


def ask(page: Any, *prompts: tuple[str, int]) -> None:
    page.evaluate("location.hash = ''")
    while page.locator("#parts textarea").count() < len(prompts):
        page.click("#add")
    for place, (prompt, seconds) in enumerate(prompts):
        page.locator("#parts textarea").nth(place).fill(prompt)
        page.locator("#parts input").nth(place).fill(str(seconds))


def frame(page: Any) -> tuple[int, int]:
    shown, _, rest = page.inner_text("#clock").partition(" / ")
    return int(shown), int(rest.split()[0])


def test_from_the_prompt_to_the_file(tmp_path: Path) -> None:
    port, errors = free_port(), list[str]()
    server = start(tmp_path / "studio", port)
    try:
        with chromium(webgl=True) as browser:
            page = open_page(browser, f"http://127.0.0.1:{port}/", errors)
            prompt = "a person <b>waves</b> with the right hand"
            ask(page, (prompt, 2))
            page.locator("#parts textarea").first.press("Enter")
            page.wait_for_selector("body[data-frames]")  # while it is made
            state(page, "done")
            assert page.locator("#history b").count() == 0  # shown as text
            assert prompt in page.inner_text("#history")

            page.locator("#canvas").focus()
            page.keyboard.press("Home")
            assert frame(page) == (0, 59)
            page.keyboard.press("ArrowRight")
            page.keyboard.press("Shift+ArrowRight")
            assert frame(page) == (11, 59)
            page.keyboard.press("End")
            assert frame(page) == (59, 59)
            page.locator("#time").fill("30")
            assert frame(page) == (30, 59)
            page.locator("#canvas").focus()
            for key, box in (("f", "follow"), ("g", "grid"), ("s", "skeleton")):
                before = page.is_checked(f"#show-{box}")
                page.keyboard.press(key)
                page.wait_for_function(
                    "([box, before]) => document.getElementById('show-' + box).checked !== before",
                    arg=[box, before],
                )
            page.keyboard.press("?")
            assert page.is_visible("#help")
            page.keyboard.press("Escape")

            with page.expect_download() as download:
                page.click("#take")
            download.value.save_as(tmp_path / "m.glb")
            assert len(motionmill.load(tmp_path / "m.glb")) == 60

            motionmill.save(motionmill.load(tmp_path / "m.glb"), tmp_path / "mine.bvh")
            page.set_input_files("#file", tmp_path / "mine.bvh")
            page.wait_for_selector("text=mine.bvh")
            page.wait_for_function("document.querySelectorAll('.cell').length === 2")

            ask(page, ("", 2))
            page.click("#go")
            page.wait_for_function("document.getElementById('problem').textContent.length > 5")

            ask(page, ("a person walks", 60))
            page.click("#go")
            page.wait_for_selector("#cancel:visible")
            page.click("#cancel")
            state(page, "cancelled")
            assert not errors
    finally:
        server.kill()


def test_variations_of_a_timeline_over_a_kill(tmp_path: Path) -> None:
    port, errors = free_port(), list[str]()
    server = start(tmp_path / "studio", port)
    try:
        with chromium(webgl=True) as browser:
            page = open_page(browser, f"http://127.0.0.1:{port}/", errors)
            ask(page, ("a person walks", 3), ("a person waves", 2), ("a person sits down", 3))
            page.select_option("#samples", "4")
            page.click("#go")
            page.wait_for_selector("#cancel:visible")
            page.reload()
            page.wait_for_selector("#cancel:visible")
            server.kill()
            page.wait_for_selector("text=Nothing is lost")
            server = start(tmp_path / "studio", port)
            state(page, "done")
            assert page.locator(".cell").count() == 4
            assert page.locator("#blocks span").count() == 3
            page.locator("#canvas").focus()
            page.keyboard.press("2")
            assert page.locator(".cell:visible").count() == 1
            page.keyboard.press("2")
            assert page.locator(".cell:visible").count() == 4
            page.screenshot(path=tmp_path / "desktop.png")
            address = page.url

            phone = open_page(browser, address, errors, viewport={"width": 390, "height": 844})
            state(phone, "done")
            assert phone.evaluate("document.documentElement.scrollWidth") <= 390
            phone.screenshot(path=tmp_path / "phone.png")
            assert not errors
    finally:
        server.kill()
