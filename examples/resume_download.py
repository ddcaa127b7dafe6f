"""Download an object in pieces, and continue where an earlier run ended.

    export COS_SECRET_ID=AKID... COS_SECRET_KEY=...
    export COS_BUCKET=examplebucket-1250000000 COS_REGION=ap-beijing
    python examples/resume_download.py videos/a.mp4 a.mp4

The pieces go into a.mp4.part, which gets its name when it is whole. The object's ETag is kept beside it: if the object
has changed meanwhile, the download begins again.
"""

import os
import sys
from pathlib import Path

import requests

from cossign import ChainCredentials, Signer
from cossign.integrations.requests import CosAuth

PIECE = int(os.environ.get("PIECE_BYTES", 8 * 1024 * 1024))
TIMEOUT = 30  # seconds without a byte


def download(session: requests.Session, url: str, target: Path) -> int:
    """Download what is missing; returns how many bytes came."""
    if target.exists():
        raise SystemExit(f"{target} is there already")
    part, tag = Path(f"{target}.part"), Path(f"{target}.etag")
    head = session.head(url, timeout=TIMEOUT)
    head.raise_for_status()
    size, etag = int(head.headers["Content-Length"]), head.headers["ETag"]
    is_same = tag.exists() and tag.read_text() == etag and part.exists() and part.stat().st_size <= size
    if not is_same:
        part.unlink(missing_ok=True)
        tag.write_text(etag)
    count = 0
    with part.open("ab") as file:
        while file.tell() < size:
            start = file.tell()
            # Range and If-Match are signed: nobody on the way can change them.
            headers = {"Range": f"bytes={start}-{min(start + PIECE, size) - 1}", "If-Match": etag}
            with session.get(url, headers=headers, timeout=TIMEOUT, stream=True) as response:
                response.raise_for_status()
                if response.status_code != 206:
                    raise SystemExit(f"{url}: the server does not send pieces")
                for block in response.iter_content(1 << 16):
                    file.write(block)
                    count += len(block)
        file.flush()
        os.fsync(file.fileno())
    part.rename(target)
    tag.unlink()
    return count


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    key, name = sys.argv[1:]
    signer = Signer(
        ChainCredentials(),
        bucket=os.environ["COS_BUCKET"],
        region=os.environ["COS_REGION"],
        domain=os.environ.get("COS_DOMAIN"),
    )
    with requests.Session() as session:
        session.auth = CosAuth(signer)
        session.headers["Accept-Encoding"] = "identity"  # the pieces are of the object as it is stored
        print(download(session, signer.object_url(key), Path(name)), "bytes")
