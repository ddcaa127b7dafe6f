"""Tencent's own cos-nodejs-sdk-v5 under Node.js: getObjectUrl, key by key, in a process that waits for keys."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.peers import asking

NAME = "cos-nodejs-sdk-v5"
PACKAGE = "cos-nodejs-sdk-v5"
DOES = "Tencent's SDK for Node.js: parameter checks, a SignKey for each URL. Keys and URLs pass a pipe as JSON, which is a part of its time."
ORACLES = Path(__file__).parent.parent.parent / "tests" / "oracles"
PROGRAM = """
const COS = require('cos-nodejs-sdk-v5');
const [SecretId, SecretKey, Bucket, Region] = process.argv.slice(1);
const cos = new COS({SecretId, SecretKey});
require('readline').createInterface({input: process.stdin}).on('line', (line) => {
  const urls = JSON.parse(line).map((Key) => cos.getObjectUrl({Bucket, Region, Key, Sign: true, Expires: 900}));
  process.stdout.write(JSON.stringify(urls) + '\\n');
});
"""


def make(secret_id: str, secret_key: str, bucket: str, region: str):  # type: ignore[no-untyped-def]
    if not shutil.which("node") or not (ORACLES / "node_modules" / "cos-nodejs-sdk-v5").exists():
        raise ImportError("Node.js or cos-nodejs-sdk-v5 is not installed")
    node = subprocess.Popen(
        ["node", "-e", PROGRAM, secret_id, secret_key, bucket, region],
        cwd=ORACLES, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return asking(node)
