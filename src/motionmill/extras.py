"""The one optional-import helper: a module's name -> the module, or one line that says how to install it."""

from __future__ import annotations

import importlib
from types import ModuleType


class MissingExtraError(ImportError):
    """An optional package is not installed; the message names the pip command that brings it."""


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package where it is needed.

    Args:
        module: the module to import, for example "torch.utils.tensorboard".
        extra: the extra of this package that brings it, for example "tensorboard".

    Raises:
        MissingExtraError: the module, or something that it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        needed = module if module.split(".")[0] == missing else f"{module} needs {missing}, which"
        raise MissingExtraError(
            f"{needed} is not installed; install the extra {extra!r}: pip install 'motionmill[{extra}]'",
            name=missing,
        ) from None
