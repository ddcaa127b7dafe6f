"""pyarrow.compute, imported at the first use of a function: the import takes a tenth of a short job's time."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    import pyarrow.compute

    return getattr(pyarrow.compute, name)
