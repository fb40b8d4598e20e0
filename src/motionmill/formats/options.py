"""How files are written: the options of the formats, as one config; torch-free, so that help is instant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from motionmill.config import Config
from motionmill.formats.files import OPTIONS, REMARKS


class WriteOptions(Config):
    """Options of the formats; each is for those that it names."""

    names: Literal["smpl", "mixamo", "unreal", "unity"] = Field(
        "smpl", description="bvh, glb, fbx, usd: what the joints are called"
    )
    order: Literal["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"] = Field(
        "ZXY", description="bvh: order of a joint's rotation channels"
    )
    scale: float = Field(100.0, description="bvh: file units in a metre")
    rest_first: bool = Field(
        False, description="bvh: the rest pose (T-pose) before the first frame"
    )
    body: Literal["smplh", "smplx"] = Field("smplh", description="npz: whose keys it has")
    features: Literal["motionmillion", "humanml3d"] = Field(
        "motionmillion", description="npy: the 272 of MotionMillion or the 263 of HumanML3D"
    )
    joints: Literal["ball", "hinge"] = Field("ball", description="xml: MuJoCo's kind of joints")
    caption: str | None = Field(None, description="mp4, gif, png: text in the picture")
    size: tuple[int, int] = Field((640, 480), description="mp4, gif, png: width and height")

    def of(self, suffix: str) -> dict[str, Any]:
        """The options that files of a suffix take, for `files.save`."""
        return {name: value for name, value in self if name in OPTIONS[suffix]}

    def remark(self, suffix: str) -> str:
        """What to know of a file of a suffix that is written with these options; "" for nothing."""
        return REMARKS.get(self.features if suffix == ".npy" else suffix, "")

    def check(self, suffixes: Sequence[str]) -> None:
        """Raises ValueError for an option that none of the files to be written takes, or an impossible value."""
        if not 0 < self.scale < 1e6:
            raise ValueError(f"--scale {self.scale}; expected file units in a metre, such as 100")
        for name, value in self:
            takers = [suffix for suffix, names in OPTIONS.items() if name in names]
            default = type(self).model_fields[name].default
            if value != default and not set(takers) & set(suffixes):
                raise ValueError(
                    f"--{name.replace('_', '-')} is for {', '.join(takers)} files; "
                    f"asked for are {', '.join(suffixes)}"
                )
