"""Tencent's own cos-python-sdk-v5: get_presigned_url, key by key."""

from __future__ import annotations

NAME = "cos-python-sdk-v5"
PACKAGE = "cos-python-sdk-v5"
DOES = "Tencent's SDK for Python: checks, a requests.Request and a SignKey for each URL; the signature in its documented form."


def make(secret_id: str, secret_key: str, bucket: str, region: str):  # type: ignore[no-untyped-def]
    from qcloud_cos import CosConfig, CosS3Client

    client = CosS3Client(CosConfig(Region=region, SecretId=secret_id, SecretKey=secret_key, Scheme="https"))

    def presign(keys: list[str]) -> list[str]:
        return [client.get_presigned_url(bucket, key, "GET", 900) for key in keys]

    return presign
