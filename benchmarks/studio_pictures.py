"""The studio and a rating page as a visitor sees them, on a desk and on a phone, in light and dark -> JPEG files.

python benchmarks/studio_pictures.py -o docs/images
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench_studio import browser_and_server
from PIL import Image

DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
TIMELINE = (
    ("a person walks forward", 3.0),
    ("a person waves with the right hand", 2.0),
    ("a person sits down", 3.0),
)
Prompts = Sequence[tuple[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser_and_server(folder) as (browser, address):

        def take(
            name: str, size: dict[str, int], colours: str, show: Callable[[Any], None]
        ) -> None:
            context = browser.new_context(
                viewport=size, color_scheme=colours, reduced_motion="reduce"
            )
            page = context.new_page()
            page.set_default_timeout(120_000)
            page.goto(address)
            show(page)
            page.wait_for_timeout(500)  # the last frame is on the screen
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            picture.save(arguments.output / f"{name}.jpg", quality=80, optimize=True)
            context.close()

        take("studio-phone", PHONE, "light", lambda page: made(page, (TIMELINE[1],), 1, 24))
        take("studio-bones", DESK, "dark", lambda page: bones(page))
        take("studio", DESK, "dark", lambda page: made(page, TIMELINE, 4, 44))
        take(
            "studio-light", DESK, "light", lambda page: made(page, (("a person kicks", 3),), 1, 40)
        )
        take("studio-phone-dark", PHONE, "dark", lambda page: made(page, TIMELINE, 4, 44))
        take("rating", DESK, "light", rating)
        take("rating-phone", PHONE, "dark", rating)


def made(page: Any, prompts: Prompts, samples: int, frame: int) -> None:
    """A finished motion, stopped at a frame."""
    areas = page.locator("#parts textarea")
    for place, (prompt, seconds) in enumerate(prompts):
        if place:
            page.click("#add")
        areas.nth(place).fill(prompt)
        page.locator("#parts input").nth(place).fill(f"{seconds:g}")
    page.locator("#samples label").nth(samples - 1).click()
    page.fill("#seed", "7")
    page.check("#lock")
    areas.last.press("Enter")
    page.wait_for_selector('body[data-state="done"]')
    page.locator("#time").fill(str(frame))
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def bones(page: Any) -> None:
    """Bones and onion skin."""
    made(page, (("a happy person jumps", 3),), 1, 40)
    page.evaluate("document.getElementById('show-skeleton').click()")


def rating(page: Any) -> None:
    """The page of a rater, in the middle of a motion."""
    page.click("#rate")
    page.click("#begin")
    page.locator("#ratings a").first.click()
    page.wait_for_selector('body[data-state="ready"]')
    page.locator("#time").fill("1.2")


if __name__ == "__main__":
    main()
