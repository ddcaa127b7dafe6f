"""obstore's sign (Rust): AWS S3, SigV4 (HMAC-SHA256), all keys in one call."""

from __future__ import annotations

NAME = "obstore (S3)"
PACKAGE = "obstore"
DOES = (
    "SigV4 for AWS S3 (Rust, object_store), all keys in one call. HMAC-SHA256; the signing key is derived for each URL."
)


def make(secret_id: str, secret_key: str, bucket: str, region: str):  # type: ignore[no-untyped-def]
    from datetime import timedelta

    import obstore
    from obstore.store import S3Store

    store = S3Store(bucket, region="us-east-1", access_key_id=secret_id, secret_access_key=secret_key)

    def presign(keys: list[str]) -> list[str]:
        return obstore.sign(store, "GET", keys, timedelta(seconds=900))

    return presign
