"""Upload and download large files with httpx and asyncio, a piece at a time, several at once.

    export COS_SECRET_ID=AKID... COS_SECRET_KEY=...
    export COS_BUCKET=examplebucket-1250000000 COS_REGION=ap-beijing
    python examples/stream_with_httpx.py upload videos/ a.mp4 b.mp4
    python examples/stream_with_httpx.py download videos/ a.mp4 b.mp4

A file that is half downloaded never has its name.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from cossign import ChainCredentials, Signer
from cossign.integrations.httpx import CosAuth

BLOCK = 1 << 16  # bytes
AT_ONCE = 4


async def read_blocks(path: Path) -> AsyncIterator[bytes]:
    """The file's bytes, read outside of the event loop."""
    with path.open("rb") as file:
        while block := await asyncio.to_thread(file.read, BLOCK):
            yield block


async def upload(client: httpx.AsyncClient, url: str, path: Path) -> None:
    # With Content-Length the body is not sent in chunks, which COS does not take.
    headers = {"Content-Length": str(path.stat().st_size), "Content-Type": "application/octet-stream"}
    response = await client.put(url, content=read_blocks(path), headers=headers)
    response.raise_for_status()


async def download(client: httpx.AsyncClient, url: str, path: Path) -> None:
    part = Path(f"{path}.part")
    headers = {"Accept-Encoding": "identity"}  # the bytes as they are stored
    async with client.stream("GET", url, headers=headers) as response:
        response.raise_for_status()
        with part.open("wb") as file:
            async for block in response.aiter_raw():
                await asyncio.to_thread(file.write, block)
    part.rename(path)


async def main(action: str, prefix: str, names: list[str]) -> int:
    """Transfer the files; returns how many failed."""
    signer = Signer(
        ChainCredentials(),
        bucket=os.environ["COS_BUCKET"],
        region=os.environ["COS_REGION"],
        domain=os.environ.get("COS_DOMAIN"),
    )
    await signer.ready()  # waits for credentials without blocking the event loop
    limit = asyncio.Semaphore(AT_ONCE)
    transfer = {"upload": upload, "download": download}[action]
    async with httpx.AsyncClient(auth=CosAuth(signer), timeout=30) as client:

        async def run(name: str) -> None:
            async with limit:
                await transfer(client, signer.object_url(prefix + Path(name).name), Path(name))
                print(name, flush=True)

        # One that fails does not stop the others.
        results = await asyncio.gather(*map(run, names), return_exceptions=True)
    failures = [(name, result) for name, result in zip(names, results, strict=True) if result is not None]
    for name, failure in failures:
        print(f"{name}: {failure}", file=sys.stderr)
    return len(failures)


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in ("upload", "download"):
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:])) > 0)
