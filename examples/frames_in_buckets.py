"""A table of keys in one bucket becomes a table of URLs in another, by pandas or Polars.

    pip install pandas polars pyarrow
    pip install '.[storage]'
    export COS_SECRET_ID=AKID... COS_SECRET_KEY=...
    export COS_BUCKET=examplebucket-1250000000 COS_REGION=ap-beijing
    python examples/frames_in_buckets.py pandas cos://lists-1250000000/keys.parquet cos://reports-1250000000/urls.parquet

The second line is for a checkout of cossign. The table needs a column `key`. It is read by ranges, without a copy on
the disk. The new object is there when it is whole: if the program fails before, nothing of it stays. Both buckets lie
in COS_REGION.
"""

import os
import sys
from typing import Any

from cossign import ChainCredentials, Signer
from cossign.storage import Address, Bucket


def bucket(name: str) -> Bucket:
    # The credentials are asked for before each request, so those that expire are renewed.
    return Bucket(name, os.environ["COS_REGION"], ChainCredentials().get, endpoint=os.environ.get("COS_ENDPOINT"))


def with_pandas(source: Any, target: Any, signer: Signer) -> None:
    import pandas as pd

    import cossign.integrations.pandas  # noqa: F401  (gives Series their .cossign)

    frame = pd.read_parquet(source)
    frame["url"] = frame["key"].cossign.presign(signer)
    frame.to_parquet(target, index=False)


def with_polars(source: Any, target: Any, signer: Signer) -> None:
    import polars as pl

    from cossign.integrations.polars import presign

    pl.read_parquet(source).with_columns(url=presign("key", signer)).write_parquet(target)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("pandas", "polars"):
        sys.exit(__doc__)
    work = {"pandas": with_pandas, "polars": with_polars}[sys.argv[1]]
    keys, urls = Address.parse(sys.argv[2]), Address.parse(sys.argv[3])
    place = bucket(keys.bucket)
    signer = Signer(ChainCredentials(), bucket=os.environ["COS_BUCKET"], region=os.environ["COS_REGION"], expires="7d")
    with place.open(place.look(keys.key)) as source, bucket(urls.bucket).write(urls.key) as target:
        work(source, target, signer)
