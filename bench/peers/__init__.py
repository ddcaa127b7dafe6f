"""Other signers, one small adapter each: ``presign(keys) -> list[str]`` for the same bucket, host and lifetime."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable


def asking(process: subprocess.Popen[str]) -> Callable[[list[str]], list[str]]:
    """Presigning by a process that answers each line of keys with a line of URLs, both JSON."""

    def presign(keys: list[str]) -> list[str]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(keys) + "\n")
        process.stdin.flush()
        urls: list[str] = json.loads(process.stdout.readline())
        return urls

    return presign
