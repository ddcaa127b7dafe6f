"""boto3's generate_presigned_url: AWS S3, SigV4 (HMAC-SHA256), key by key."""

from __future__ import annotations

NAME = "boto3 (S3)"
PACKAGE = "boto3"
DOES = "SigV4 for AWS S3 (Python). HMAC-SHA256; the signing key is derived again for each URL (4 HMACs); a canonical request of every parameter; request hooks and serializers of the whole SDK around it."


def make(secret_id: str, secret_key: str, bucket: str, region: str):  # type: ignore[no-untyped-def]
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id=secret_id, aws_secret_access_key=secret_key,
        config=Config(signature_version="s3v4"),
    )  # fmt: skip

    def presign(keys: list[str]) -> list[str]:
        return [client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, 900) for key in keys]

    return presign
