"""opendal's COS presigner (Rust), awaited one by one; it signs no Host, so its HttpString is shorter."""

from __future__ import annotations

import asyncio

NAME = "opendal"
PACKAGE = "opendal"
DOES = "COS's signature (Rust, reqsign), awaited one by one through asyncio, as its users call it; it signs no Host."


def make(secret_id: str, secret_key: str, bucket: str, region: str):  # type: ignore[no-untyped-def]
    import opendal

    operator = opendal.AsyncOperator(
        "cos", bucket=bucket, endpoint=f"https://cos.{region}.myqcloud.com", root="/", secret_id=secret_id,
        secret_key=secret_key, disable_config_load="true",
    )  # fmt: skip

    async def every(keys: list[str]) -> list[str]:
        return [(await operator.presign_read(key, 900)).url for key in keys]

    def presign(keys: list[str]) -> list[str]:
        return asyncio.run(every(keys))

    return presign
