"""Keeps out what other people's libraries load when a program starts: a sixth of a short command."""

import gc
import os
import sys

_NEEDLESS = (
    "trio",  # httpx loads it with its first client, 0.1 s, where it is installed
    "httpx._main",  # its own command line, with click and pygments where they are installed
    "cffi",  # pycryptodome parses C with it for what ctypes does as well
)
_OBJECTS_PER_COLLECTION = 100_000  # more than a short command makes


def start_lightly() -> None:
    """Keep them out of this process. To be called before anything else is imported."""
    for module in _NEEDLESS:
        sys.modules.setdefault(module, None)  # type: ignore[arg-type]
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it looks through all that is installed
    gc.set_threshold(_OBJECTS_PER_COLLECTION, *gc.get_threshold()[1:])  # what modules make stays
