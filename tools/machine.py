"""On what something was measured."""

import os
import platform
from importlib.metadata import version


def machine(*packages):
    """The processor, and the versions of Python and of ``packages``."""
    names = (line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name"))
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{next(names, platform.machine())}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"
