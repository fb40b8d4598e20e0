"""One browser and one server of the studio, with motions to rate, for the tests that need both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.test_arena import motion_folders
from tests.web.browser import chromium
from tests.web.studio_page import Studio


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("web")
    suite, systems = motion_folders(folder, prompts=2)
    with chromium(webgl=True) as browser:
        made = Studio(
            browser, folder / "studio", "--rate", *map(str, systems), "--suite", str(suite)
        )
        try:
            yield made
        finally:
            made.server.kill()
