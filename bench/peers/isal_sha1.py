"""Intel's isa-l_crypto: SHA-1 of many messages at a time, without signing; compiled against the installed library."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

NAME = "isa-l_crypto"
ROWS, BLOCKS = 128, 16
PROGRAM = """
#include <isa-l_crypto/sha1_mb.h>
#include <stdlib.h>
#define ROWS %d
#define SIZE (64 * %d - 9)
static ISAL_SHA1_HASH_CTX_MGR *manager;
static ISAL_SHA1_HASH_CTX contexts[ROWS];
static unsigned char messages[ROWS][SIZE];
int hash(unsigned *digest)
{
    ISAL_SHA1_HASH_CTX *done;
    if (!manager && posix_memalign((void **)&manager, 64, sizeof *manager)) {
        return 1;
    }
    int wrong = isal_sha1_ctx_mgr_init(manager);
    for (int i = 0; i < ROWS; i++) {
        messages[i][0] = (unsigned char)i;
        isal_hash_ctx_init(&contexts[i]);
        wrong |= isal_sha1_ctx_mgr_submit(manager, &contexts[i], &done, messages[i], SIZE, ISAL_HASH_ENTIRE);
    }
    do {
        wrong |= isal_sha1_ctx_mgr_flush(manager, &done);
    } while (done && !wrong);
    for (int i = 0; i < 5; i++) {
        digest[i] = contexts[ROWS - 1].job.result_digest[i];
    }
    return wrong;
}
""" % (ROWS, BLOCKS)  # noqa: UP031 (C has braces of its own)


def hashing() -> tuple[Callable[[], bytes], int]:
    """A call that hashes ROWS messages, and returns the last one's digest; and how many blocks those are."""
    if not shutil.which("cc"):
        raise ImportError("there is no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "peer.c").write_text(PROGRAM)
        command = ["cc", "-O3", "-fPIC", "-shared", "peer.c", "-lisal_crypto", "-o", "peer.so"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImportError(f"isa-l_crypto is not installed: {done.stderr.strip().splitlines()[0]}")
        library = ctypes.CDLL(f"{folder}/peer.so")
    digest = (ctypes.c_uint32 * 5)()

    def call() -> bytes:
        if library.hash(digest):
            raise RuntimeError("isa-l_crypto says that something is wrong")
        return b"".join(word.to_bytes(4, "big") for word in digest)

    return call, ROWS * BLOCKS
