"""Options that mean the same in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

Output = Annotated[Path, tyro.conf.arg(aliases=["-o"])]
Outputs = Annotated[tuple[Path, ...], tyro.conf.arg(aliases=["-o"]), tyro.conf.UseAppendAction]
