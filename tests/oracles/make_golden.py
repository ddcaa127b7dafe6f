"""Makes tests/golden/sdk.jsonl.gz: requests and cos-wx-sdk-v5's answers, for machines without Node.js.

Run: python -m tests.oracles.make_golden (after npm ci in tests/oracles).
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.oracles.generated import contradictions, requests
from tests.oracles.test_javascript import asked_sdks

GOLDEN = Path(__file__).parent.parent / "golden" / "sdk.jsonl.gz"


def main() -> None:
    every = requests(7778, 4000)
    kept = [
        {**asked, "answer": answers["wx"]}
        for asked, answers in zip(every, asked_sdks(every), strict=True)
        if not contradictions(asked, "wx") and isinstance(answers["wx"], str)
    ]
    text = "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in kept)
    with open(GOLDEN, "wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as data:
        data.write(text.encode())
    print(f"{len(kept)} requests in {GOLDEN}")


if __name__ == "__main__":
    main()
