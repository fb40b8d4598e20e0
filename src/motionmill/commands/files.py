"""`motionmill convert`: motion files -> other files."""

from __future__ import annotations

from pathlib import Path

import tyro

from motionmill.commands.options import Outputs


def convert(
    source: tyro.conf.Positional[Path], /, output: Outputs, fps: float | None = None
) -> None:
    """A motion file -> other formats; a rig that is recognised is carried over to our skeleton.

    Args:
        source: .bvh .npz .glb .npy
        output: files to write.
        fps: frames per second of the result; as in the source by default.
    """
    from motionmill.formats.files import check_writable, load, save
    from motionmill.motion.retarget import retarget
    from motionmill.motion.skeleton import SMPL_22_NAMES

    for path in output:
        check_writable(path)
    motion = load(source)
    if motion.skeleton.names != SMPL_22_NAMES:
        motion = retarget(motion)
    if fps is not None:
        motion = motion.resample(fps)
    for path in output:
        save(motion, path)
    print(
        f"{', '.join(map(str, output))}: {motion.seconds:.1f} s, {len(motion)} frames at {motion.fps:g} fps"
    )
