"""The pages for people who see, hear or move otherwise: axe-core finds nothing serious, all is reached by keys."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.studio_page import Page, Studio

pytestmark = [pytest.mark.web, pytest.mark.slow]
PHONE = {"viewport": {"width": 390, "height": 844}}


def findings(inner: Any) -> list[str]:
    """What axe-core says of a page, from moderate on: rule, weight, the first places."""
    module = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = module.Axe().run(inner).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {[node['target'] for node in each['nodes'][:4]]}"
        for each in found
        if each["impact"] in ("moderate", "serious", "critical")
    ]


def test_the_rules_find_what_is_wrong(studio: Studio) -> None:
    with studio.page() as page:
        page.inner.evaluate("document.getElementById('go').style.color = '#c05a20'")
        page.inner.evaluate("document.getElementById('time').removeAttribute('aria-label')")
        found = " ".join(findings(page.inner))
        assert "color-contrast (serious)" in found
        assert "label (critical)" in found


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_studio(studio: Studio, colours: str) -> None:
    with studio.page(color_scheme=colours) as page:
        assert findings(page.inner) == []
        page.ask(("a person walks", 1), ("a person bows", 1), samples=2, seed=5)
        page.state("done")
        assert findings(page.inner) == []
        page.press("?")
        assert findings(page.inner) == []
        page.inner.keyboard.press("Escape")
        page.inner.set_viewport_size(PHONE["viewport"])
        assert findings(page.inner) == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_rating_pages(studio: Studio, colours: str) -> None:
    with studio.page(color_scheme=colours) as page:
        inner = page.inner
        page.ask(("a person waves", 1), seed=6)
        page.state("done")
        inner.click("#rate")
        inner.click("#begin")
        inner.wait_for_selector("#ratings a")
        assert findings(inner) == []
        inner.locator("#ratings a").first.click()
        inner.wait_for_selector('body[data-state="ready"]')
        assert findings(inner) == []
        inner.set_viewport_size(PHONE["viewport"])
        assert findings(inner) == []
        assert inner.evaluate("document.documentElement.scrollWidth") <= 390
        for _ in range(3):
            inner.keyboard.press("1")
        inner.keyboard.press("Enter")
        page.wait("document.getElementById('progress').textContent.startsWith('1 ')")
        page.inner.goto(f"{studio.address}rate/")
        inner.wait_for_selector("text=1 answers")
        inner.wait_for_selector("#ratings td")
        assert findings(inner) == []
        inner.locator("#ratings button").first.click()
        page.wait("!document.querySelector('#ratings td')")


def reached(page: Page) -> set[str]:
    """The ids of what the tab key comes to, until it comes to the first again."""
    seen: list[str] = []
    for _ in range(200):
        page.inner.keyboard.press("Tab")
        name = page.inner.evaluate(
            "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
        )
        if seen and name == seen[0]:
            break
        seen.append(name)
    return set(seen)


def test_everything_is_reached_by_the_tab_key(studio: Studio) -> None:
    with studio.page() as page:
        page.ask(("a person waves", 1), seed=6)
        page.state("done")
        page.inner.wait_for_selector("#history .entry")
        wanted = {
            "rate",
            "keys-button",
            "add",
            "seed",
            "lock",
            "go",
            "canvas",
            "play",
            "time",
            "speed",
        }
        wanted |= {
            "show-follow",
            "show-ghosts",
            "reset",
            "cleanup",
            "before",
            "format",
            "names",
            "take",
        }
        wanted |= {"share", "file", "entry"}
        assert wanted <= reached(page)


def test_a_screen_reader_is_told(studio: Studio) -> None:
    with studio.page(reduced_motion="reduce") as page:
        page.ask(("a person waves", 1), seed=6)
        page.state("done")
        page.inner.wait_for_selector("#history .entry")
        tree = page.inner.locator("main").aria_snapshot()
        for words in (
            'textbox "Prompt"',
            'group "Variations"',
            'spinbutton "Seed"',
            'button "Generate"',
            'slider "Frame"',
            'slider "Strength"',
            'combobox "Format"',
            "table",
            "list",
        ):
            assert words in tree
        page.press("End")
        spoken = page.inner.get_attribute("#time", "aria-valuetext")
        assert (
            spoken == f"frame {page.frame[0]} of {page.frame[1]}, {page.frame[0] / 30:.2f} seconds"
        )
        assert page.inner.evaluate("document.body.dataset.playing") != "true"
