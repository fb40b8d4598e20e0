"""One browser and one server of the studio for the tests that need both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.browser import chromium
from tests.web.studio_page import Studio


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with chromium(webgl=True) as browser:
        made = Studio(browser, tmp_path_factory.mktemp("web") / "studio")
        try:
            yield made
        finally:
            made.server.kill()
