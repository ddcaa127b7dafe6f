"""Presigned URLs of thumbnails: COS makes them by image processing when they are asked for.

    export COS_SECRET_ID=AKID... COS_SECRET_KEY=...
    export COS_BUCKET=examplebucket-1250000000 COS_REGION=ap-beijing
    python examples/thumbnails.py photos/a.jpg photos/b.jpg

The processing is a parameter without a value, and is signed: a link to a thumbnail does not give the original away.
`round_to` lets all links of an hour be the same, so that browsers and CDNs keep the pictures.
"""

import os
import sys

from cossign import ChainCredentials, Signer

PROCESSING = "imageMogr2/thumbnail/320x320/format/webp/quality/80"

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    signer = Signer(
        ChainCredentials(),
        bucket=os.environ["COS_BUCKET"],
        region=os.environ["COS_REGION"],
        domain=os.environ.get("COS_DOMAIN"),
        expires="2h",
        round_to="1h",
    )
    for url in signer.presign_many(sys.argv[1:], query={PROCESSING: ""}):
        print(url)
