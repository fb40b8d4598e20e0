"""OpenCV, imported where it is needed; where it cannot be, one line that says what to install."""

from __future__ import annotations

from typing import Any

from motionmill.extras import MissingExtraError, require


def opencv() -> Any:
    """The module cv2.

    Raises:
        MissingExtraError: the extra `video` is not installed, or a library that OpenCV draws windows with.
    """
    try:
        return require("cv2", extra="video")
    except MissingExtraError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"OpenCV cannot be loaded ({error}); install that library (apt-get install libgl1 libglib2.0-0), or the "
            "OpenCV without windows: pip install --force-reinstall --no-deps opencv-python-headless"
        ) from None
