"""A file system over Tencent's SDK, cosfs, whose buckets are all at a port of this machine; importable by Ray's workers."""

from __future__ import annotations

from cosfs import CosFileSystem
from qcloud_cos import CosConfig, CosS3Client

from tests.conftest import REGION


class Loopback(CosFileSystem):  # type: ignore[misc]
    """cosfs, whose client asks another address."""

    def __init__(self, port: int) -> None:
        super().__init__(region=REGION, scheme="http", port=port)
        self._cos_client = CosS3Client(
            CosConfig(
                Region=REGION, SecretId=self.secret_id, SecretKey=self.secret_key, Scheme="http",
                Endpoint=f"cos.{REGION}.myqcloud.com", IP="127.0.0.1", Port=port,
            )
        )  # fmt: skip
