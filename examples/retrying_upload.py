"""Upload files with requests, and send again what the network or the service has lost.

    export COS_SECRET_ID=AKID... COS_SECRET_KEY=...
    export COS_BUCKET=examplebucket-1250000000 COS_REGION=ap-beijing
    python examples/retrying_upload.py reports/ a.csv b.csv

urllib3 sends a request again with the same signature, which is valid for the Signer's `expires`. So `expires` must be
longer than all retries together. A machine whose clock is wrong is corrected by the service's clock.
"""

import os
import sys
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from cossign import ChainCredentials, Clock, Signer
from cossign.integrations.requests import CosAuth

RETRY = Retry(
    total=5,
    backoff_factor=float(os.environ.get("BACKOFF_SECONDS", "0.5")),  # then 1, 2, 4 ... seconds
    status_forcelist=(500, 502, 503, 504),
    allowed_methods=("GET", "HEAD", "PUT"),  # not POST: that may do something twice
)


def open_session(signer: Signer) -> requests.Session:
    """A session whose requests are signed, and sent again if they fail in passing."""
    session = requests.Session()
    session.auth = CosAuth(signer)
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=RETRY))
    return session


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    prefix, *names = sys.argv[1:]
    signer = Signer(
        ChainCredentials(),
        bucket=os.environ["COS_BUCKET"],
        region=os.environ["COS_REGION"],
        domain=os.environ.get("COS_DOMAIN"),
        expires="15m",
        clock=Clock(),
    )
    with open_session(signer) as session:
        for name in names:
            path = Path(name)
            with path.open("rb") as file:
                # A file can be read again from its beginning, and a stream could not be sent twice. requests sends an
                # empty file in chunks, which COS does not take.
                body = file if path.stat().st_size else b""
                response = session.put(signer.object_url(prefix + path.name), data=body, timeout=30)
            response.raise_for_status()
            print(name, response.headers["ETag"])
