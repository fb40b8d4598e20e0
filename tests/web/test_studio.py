"""The studio in a real browser, from the prompt to the file, over reloads and a killed server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import motionmill
from tests.video.test_extract import first_frames
from tests.web.studio_page import Page, Studio

pytestmark = [pytest.mark.web, pytest.mark.slow]
WALK = ("a person walks forward", 2.0)
TIMELINE = [("a person walks", 1.5), ("a person waves", 1.5), ("a person sits down", 1.5)]
EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
_ARRIVING = """() => {
    const { dataset } = document.body;
    window.arrived = [];
    new MutationObserver(() => window.arrived.push([dataset.state, Number(dataset.frames ?? 0)]))
        .observe(document.body, { attributes: true, attributeFilter: ["data-frames"] });
}"""


def made(page: Page) -> None:
    """A short walk of a known seed, finished and stopped at a frame in its middle."""
    page.ask(WALK, seed=7)
    page.state("done")
    page.inner.locator("#time").fill("45")
    assert page.frame == (45, 59)


def test_frames_arrive_while_it_is_made(studio: Studio) -> None:
    with studio.page() as page:
        page.inner.evaluate(_ARRIVING)
        # Four seconds are made in 0.2 s, which a slow browser takes to begin to listen; this takes ten times as long.
        page.ask(*[("a person walks forward", 8)] * 8)
        page.state("done")
        arrived = page.inner.evaluate("window.arrived")
        assert len(arrived) > 2
        assert {state for state, _ in arrived} == {"running"}  # before the end, not at it
        assert [frames for _, frames in arrived] == sorted(frames for _, frames in arrived)
        assert page.inner.evaluate("document.body.dataset.playing") == "true"
        assert page.frame[1] == 8 * 8 * 30 - 1
        assert page.inner.input_value("#seed") != ""
        assert page.inner.is_visible("#history img.picture")


def test_every_key(studio: Studio) -> None:
    with studio.page() as page:
        made(page)
        page.press("Home")
        assert page.frame[0] == 0
        page.press("ArrowRight", "Shift+ArrowRight")
        assert page.frame[0] == 11
        page.press("ArrowLeft")
        assert page.frame[0] == 10
        page.press("Shift+ArrowLeft", "Shift+ArrowLeft")
        assert page.frame[0] == 0
        page.press("End")
        assert page.frame == (59, 59)
        page.press("Home", "Space")
        page.wait("Number(document.getElementById('time').value) > 3")
        page.press("Space")
        assert page.inner.evaluate("document.body.dataset.playing") == "false"

        page.inner.locator("#time").fill("45")
        page.press()
        first = page.settled()
        toggles = ("follow", "grid", "skeleton", "path", "contacts", "ghosts")
        for key, box in zip("fgspco", toggles, strict=True):
            was = page.inner.is_checked(f"#show-{box}")
            page.press(key)
            page.becomes(lambda seen: seen != first)
            assert page.inner.is_checked(f"#show-{box}") != was
            page.press(key)
            page.becomes(lambda seen: seen == first)
        for keys in ("q", "e", "PageUp", "PageDown", "+", "-"):
            page.press(keys)
            page.becomes(lambda seen: seen != first)
            page.press("r")
            page.becomes(lambda seen: seen == first)
        page.press("b")
        page.wait("document.getElementById('before').getAttribute('aria-pressed') === 'true'")
        page.becomes(lambda seen: seen != first)
        page.press("b")
        page.becomes(lambda seen: seen == first)
        page.press("?")
        assert page.inner.is_visible("#help")
        page.inner.keyboard.press("Escape")
        assert not page.inner.is_visible("#help")


def test_clean_up_by_its_slider(studio: Studio) -> None:
    with studio.page() as page:
        made(page)
        page.wait("!document.querySelector('#physics td').textContent.includes('–')")
        numbers = page.inner.locator("#physics tr").first.locator("td")
        raw, cleaned = numbers.all_inner_texts()
        assert raw != cleaned
        assert "shown" in (numbers.nth(1).get_attribute("class") or "")
        page.inner.locator("#cleanup").focus()
        page.inner.keyboard.press("ArrowLeft")
        page.inner.keyboard.press("ArrowLeft")
        page.wait("document.getElementById('strength').value === '0.5'")
        shown = "document.querySelectorAll('#physics td')[1].textContent"
        page.wait(f"!['–', '{cleaned}'].includes({shown})")
        assert numbers.first.inner_text() == raw
        page.inner.keyboard.press("ArrowRight")
        page.inner.keyboard.press("ArrowRight")
        page.wait(f"{shown} === '{cleaned}'")  # what was looked at already has its numbers too
        page.press("b")
        page.wait("document.querySelectorAll('#physics td')[0].className === 'shown'")
        assert numbers.all_inner_texts() == [raw, cleaned]


def test_every_format_can_be_taken(studio: Studio, tmp_path: Path) -> None:
    starts = {
        "fbx": b"Kaydara FBX Binary",
        "usd": b"PXR-USDC",
        "usdz": b"PK",
        "npy": b"\x93NUMPY",
        "mp4": b"",
        "gif": b"GIF89a",
        "png": b"\x89PNG",
    }
    with studio.page() as page:
        made(page)
        page.inner.select_option("#names", "mixamo")
        for suffix in ("glb", "bvh", "npz"):
            page.inner.select_option("#format", suffix)
            path = page.download(tmp_path / f"walk.{suffix}")
            assert len(motionmill.load(path)) == 60
        document = (tmp_path / "walk.glb").read_bytes()
        assert b"mixamorig:Hips" in document
        for suffix, start in starts.items():
            page.inner.select_option("#format", suffix)
            assert page.download(tmp_path / f"walk.{suffix}").read_bytes().startswith(start)
        offered = page.inner.locator("#format option").evaluate_all(
            "(all) => all.map((o) => o.value)"
        )
        assert {*offered} == {"glb", "bvh", "npz", *starts}


def test_files_are_dropped_beside_it(studio: Studio, tmp_path: Path, shared: Path) -> None:
    bvh = min((shared / "data").rglob("*.bvh"), key=lambda path: path.stat().st_size)
    motion = motionmill.load(bvh)
    for suffix in ("npz", "glb"):
        motionmill.save(motion, tmp_path / f"mine.{suffix}")
    with studio.page() as page:
        page.ask(WALK)
        page.state("done")
        for number, path in enumerate((bvh, tmp_path / "mine.npz", tmp_path / "mine.glb"), 2):
            page.drop(path)
            page.wait(f"document.querySelectorAll('.cell').length === {number}")
            assert path.name in page.inner.locator(".cell").last.inner_text()
            page.wait(f"document.getElementById('status').textContent.startsWith('{path.name}:')")
        assert (
            page.inside("stage.actors.map((actor) => actor.clip.frames)")[1:]
            == [page.inside("stage.actors[3].clip.frames")] * 3
        )
        taken = page.download(tmp_path / "taken.glb")  # of the chosen one, which is the file
        assert len(motionmill.load(taken)) == page.inside("stage.actors[3].clip.frames")
        page.drop(bvh, f"{EVIL}.txt")
        page.wait("document.getElementById('problem').textContent.startsWith('Cannot open <img')")


def test_a_dropped_video_is_extracted(studio: Studio, tmp_path: Path, shared: Path) -> None:
    pytest.importorskip("mediapipe", reason="the extra video is not installed")
    whole = shared / "data/videos/sam2_05_default_juggle.mp4"
    with studio.page() as page:
        page.drop(first_frames(whole, 40, tmp_path / "juggle.mp4"))
        page.wait("document.getElementById('status').textContent.startsWith('juggle.mp4: ')")
        assert len(motionmill.load(page.download(tmp_path / "juggle.glb"))) >= 30
        page.drop(shared / "data/videos/mmpose_demo.mp4")  # nobody can be made out in it
        page.wait("document.getElementById('problem').textContent.startsWith('nobody in the')")
        assert page.inner.locator(".cell").count() == 1


def test_a_bad_request_and_a_cancelled_one(studio: Studio) -> None:
    with studio.page() as page:
        page.ask(("", 2))
        page.wait("document.getElementById('problem').textContent.includes('prompt')")
        with studio.busy(1):  # so that it runs, and goes on running until it is cancelled
            page.ask(("a person walks", 60))
            page.state("running")
            page.inner.click("#cancel")
            page.state("cancelled")
        assert page.inner.inner_text("#problem") == ""
        page.go("#job=0123456789abcdef01234567")
        page.wait("document.getElementById('problem').textContent.includes('no such job')")


def test_script_in_a_prompt_is_text(studio: Studio) -> None:
    with studio.page() as page:
        page.ask((EVIL, 1), (f"{EVIL} again", 1))
        page.state("done")
        assert EVIL in page.inner.title()
        page.wait(
            f"document.querySelector('#history .caption').textContent.includes({json.dumps(EVIL)})"
        )
        assert EVIL in (page.inner.locator("#blocks span").first.text_content() or "")
        job = page.inside("show.job.id")
        poisoned = {EVIL: {}, job: {"request": {"prompt": EVIL}, "picture": f"data:{EVIL}"}}
        page.inner.evaluate(
            "(text) => localStorage.setItem('motionmill-history', text)", json.dumps(poisoned)
        )
        page.inner.reload()
        page.state("done")
        page.inner.evaluate("(text) => { location.hash = `job=${text}`; }", EVIL)
        page.wait("document.getElementById('problem').textContent.includes('names no result')")
        assert page.inner.locator("img[src='x'], body script, b").count() == 0
        assert page.inner.evaluate("window.hacked") is None


def test_a_result_is_shared_and_remembered(studio: Studio) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "reduced_motion": "reduce"}
    with studio.page() as page:
        page.ask(WALK, ("a person bows", 1.5), samples=2, seed=11)
        page.state("done")
        page.press("2", "2", "Home", "Shift+ArrowRight")
        page.inner.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.inner.click("#share")
        page.wait("document.getElementById('status').textContent === 'The link is copied.'")
        link = page.inner.evaluate("navigator.clipboard.readText()")
        assert link.endswith("&take=2&frame=10")
        with studio.page(link.removeprefix(studio.address), **phone) as other:
            other.state("done")
            assert other.frame[0] == 10
            assert other.inside("stage.chosen") == 1
            assert other.inner.input_value("#seed") == "11"
            other.inner.wait_for_selector("#history .entry img.picture")  # drawn there anew
            assert other.inner.evaluate("document.documentElement.scrollWidth") <= 390
            other.ask(("a person waves", 1))
            other.state("done")
            assert "waves" in other.inner.title()
            assert other.inner.evaluate("document.body.dataset.playing") != "true"  # calm
        with studio.page() as third:
            gone = {
                "0123456789abcdef01234567": {
                    "request": {"prompt": "a lost walk", "seed": 3},
                    "created": 9e9,
                    "picture": "data:image/jpeg;base64,",
                }
            }
            third.inner.evaluate(
                "(text) => localStorage.setItem('motionmill-history', text)", json.dumps(gone)
            )
            third.inner.reload()
            third.inner.click(".entry.gone")
            third.wait("document.getElementById('problem').textContent.includes('has forgotten')")
            assert third.inner.locator("#parts textarea").input_value() == "a lost walk"
            assert third.inner.input_value("#seed") == "3"


def test_variations_of_a_timeline_over_a_reload_and_a_kill(studio: Studio) -> None:
    with studio.page() as page:
        with studio.busy(
            2
        ):  # so that it is not done before the server is killed, however fast this is
            page.ask(*TIMELINE, samples=4)
            page.inner.wait_for_selector("#cancel:visible")
            page.inner.reload()
            page.inner.wait_for_selector("#cancel:visible")
            studio.server.kill()
            try:
                page.inner.wait_for_selector("text=Nothing is lost")
            finally:
                studio.start()
        page.state("done")
        assert page.inner.locator(".cell:visible").count() == 4
        assert page.inner.locator("#blocks span").count() == 3
        page.press("Space")
        page.wait("document.body.dataset.playing === 'false'")
        page.press("Home", *["Shift+ArrowRight"] * 3)
        assert page.inside("stage.actors.map((actor) => actor.frame)") == [30] * 4
        for key in "1234":
            page.press(key)
            assert page.inner.locator(".cell:visible").count() == 1
            assert page.inner.locator(f".cell[data-place='{int(key) - 1}']").is_visible()
            page.press(key)
            assert page.inner.locator(".cell:visible").count() == 4
        boxes = [page.inner.locator(".cell").nth(place).bounding_box() for place in range(4)]
        assert boxes[0]["y"] == boxes[1]["y"] < boxes[2]["y"] == boxes[3]["y"]
        assert boxes[0]["x"] < boxes[1]["x"]
