"""Other signers, one small adapter each: ``presign(keys) -> list[str]`` for the same bucket, host and lifetime."""
