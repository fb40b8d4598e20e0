"""A motion -> pictures of it in memory, for a vision-language model."""

from __future__ import annotations

import tempfile
from pathlib import Path

from motionmill.motion.motion import Motion


def contact_pictures(motion: Motion, *, columns: int = 8) -> tuple[bytes, ...]:
    """A contact sheet of a motion, as one PNG file in memory; the same motion gives the same bytes.

    Args:
        columns: moments that are shown, evenly over the clip.
    """
    from motionmill.formats.render import contact_sheet

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sheet.png"
        contact_sheet([motion], [""], path, columns=columns, panel=(160, 200))
        return (path.read_bytes(),)
