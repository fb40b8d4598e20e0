"""The studio in a headless Chromium beside its server: first paint, first frames after Enter, frames a second of four.

python benchmarks/bench_studio.py -o benchmarks/results/studio.json

Browser and server share the machine, as they do for whoever runs both. What draws is named in the result: without a
graphics card it is SwiftShader, which computes every pixel on the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from host import host
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZE = {"width": 1440, "height": 900}
_WATCH = """
window.ready = new Promise((done) => new MutationObserver(() => done(performance.now()))
    .observe(document, { subtree: true, attributes: true, attributeFilter: ["data-ready"] }));
"""
_PAINTED = """new Promise((done) => new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") done(entry.startTime);
}).observe({ type: "paint", buffered: true }))"""
_FIRST_FRAMES = """() => {
    let start = 0;
    const { dataset } = document.body;
    delete dataset.frames;
    delete dataset.measured;
    delete dataset.state;
    addEventListener("keydown", () => { start = performance.now(); }, { capture: true, once: true });
    const observer = new MutationObserver(() => {
        if (!start || (!dataset.frames && dataset.state !== "done")) return; // it may be ready before anybody looks
        observer.disconnect();
        const seen = Number(dataset.frames ?? 0);
        requestAnimationFrame(() => setTimeout(() => {
            dataset.measured = JSON.stringify([performance.now() - start, seen]);
        }));
    });
    observer.observe(document.body, { attributes: true, attributeFilter: ["data-frames", "data-state"] });
}"""
_PLAY = """(seconds) => import("/static/studio.js").then(({ player, stage }) => new Promise((done) => {
    player.seek(0);
    player.toggle(true);
    setTimeout(() => {
        const before = stage.drawn, start = performance.now();
        setTimeout(() => {
            const rate = (stage.drawn - before) / (performance.now() - start) * 1000;
            const { finesse, width, height } = stage;
            player.toggle(false);
            done({ rate, finesse, size: [width, height] });
        }, 1000 * seconds);
    }, 3000);
}))"""
_FULL = """(full) => import("/static/studio.js").then(({ stage }) => {
    if (full) Object.defineProperty(stage, "finesse", { get: () => 1, set: () => {}, configurable: true });
    else Object.defineProperty(stage, "finesse", { value: 1, writable: true, configurable: true });
})"""
_DEVICE = """() => {
    const gl = document.createElement("canvas").getContext("webgl2");
    return gl.getParameter(gl.getExtension("WEBGL_debug_renderer_info").UNMASKED_RENDERER_WEBGL);
}"""


def new_page(browser: Browser, address: str) -> Page:
    """A page of a new visitor, with nothing in its cache."""
    page = browser.new_context(viewport=SIZE, device_scale_factor=1).new_page()
    page.add_init_script(_WATCH)
    page.goto(address)
    return page


def first_paint(browser: Browser, address: str) -> tuple[float, float]:
    """Milliseconds from the start of the navigation to the first words, and until a prompt can be written."""
    page = new_page(browser, address)
    ready = float(page.evaluate("window.ready"))
    painted = float(page.evaluate(_PAINTED))
    page.context.close()
    return painted, ready


def first_frames(page: Page, seed: int) -> tuple[float, int]:
    """Milliseconds from Enter until the first frames of a motion are on the screen, and how many frames these are."""
    page.locator("#parts textarea").fill("a person walks forward and waves")
    page.fill("#seed", str(seed))
    page.check("#lock")
    page.evaluate(_FIRST_FRAMES)
    page.locator("#parts textarea").press("Enter")
    page.wait_for_selector("body[data-measured]")
    milliseconds, frames = json.loads(page.get_attribute("body", "data-measured") or "")
    page.wait_for_selector('body[data-state="done"]', timeout=60_000)
    return float(milliseconds), int(frames)


def playback(page: Page, repeats: int, seconds: float) -> dict[str, Any]:
    """Frames a second of four characters, in all pixels and in as many as the page chooses, one after the other."""
    page.locator("#samples label").nth(3).click()
    page.locator("#parts textarea").press("Enter")
    page.wait_for_selector("text=4 · seed")
    page.wait_for_selector('body[data-state="done"]', timeout=120_000)
    page.wait_for_timeout(3000)
    rows: dict[str, list[dict[str, Any]]] = {"all pixels": [], "as the page chooses": []}
    for _ in range(repeats):
        for name, full in (("all pixels", True), ("as the page chooses", False)):
            page.evaluate(_FULL, full)
            rows[name].append(page.evaluate(_PLAY, seconds))
    return {
        name: {
            "frames a second, median": round(statistics.median(row["rate"] for row in each), 1),
            "frames a second": [round(row["rate"], 1) for row in each],
            "part of the pixels in a row": round(each[-1]["finesse"], 3),
            "canvas": each[-1]["size"],
        }
        for name, each in rows.items()
    }


@contextmanager
def browser_and_server(folder: str) -> Iterator[tuple[Browser, str]]:
    """A browser that draws by the processor, and the address of a server of its own."""
    server = subprocess.Popen(
        [sys.executable, "-m", "motionmill", "serve", "--port", "0", "--folder", folder],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[2]
        with sync_playwright() as playwright:
            found = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
            yield browser, address
            browser.close()
    finally:
        server.terminate()
        server.wait(30)


def measured(repeats: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, browser_and_server(folder) as (browser, address):
        first_paint(browser, address)  # the server reads its modules
        paints = [first_paint(browser, address) for _ in range(repeats)]
        page = new_page(browser, address)
        page.wait_for_selector(".cell")
        page.wait_for_timeout(2000)
        first_frames(page, 0)  # the first request of a server loads the text model's kernels
        frames = [first_frames(page, seed) for seed in range(1, repeats + 1)]
        return {
            "browser": f"{browser.browser_type.name} {browser.version}",
            "draws": page.evaluate(_DEVICE),
            "repeats": repeats,
            "milliseconds to the first words, median and most": spread([a for a, _ in paints]),
            "milliseconds until a prompt can be written, median and most": spread(
                [b for _, b in paints]
            ),
            "milliseconds from Enter to the first frames of 4 s, median and most": spread(
                [a for a, _ in frames]
            ),
            "frames that come first (0: all, cleaned)": sorted({count for _, count in frames}),
            "playback of four characters": playback(page, 3, seconds),
        }


def spread(values: list[float]) -> list[float]:
    return [round(statistics.median(values), 1), round(max(values), 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=6.0, help="of playback")
    arguments = parser.parse_args()
    result = {"host": host(), "model": "mini"} | measured(arguments.repeats, arguments.seconds)
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
