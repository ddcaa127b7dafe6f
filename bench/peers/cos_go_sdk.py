"""Tencent's own cos-go-sdk-v5: GetPresignedURL, key by key, in a process that waits for keys.

Go fetches the SDK itself; where it cannot, `GO111MODULE=off` with a GOPATH that has the SDK does as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.peers import asking

NAME = "cos-go-sdk-v5"
PACKAGE = None
DOES = "Tencent's SDK for Go, one goroutine on one core: a request object, URL parsing and a SignKey for each URL. Keys and URLs pass a pipe as JSON, which is a part of its time."
MODULE = """
module peer
go 1.19
require github.com/tencentyun/cos-go-sdk-v5 v0.7.75
"""
PROGRAM = """
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"
)

func main() {
	id, key := os.Args[1], os.Args[2]
	host, _ := url.Parse("https://" + os.Args[3] + ".cos." + os.Args[4] + ".myqcloud.com")
	client := cos.NewClient(&cos.BaseURL{BucketURL: host}, nil)
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\\n')
		if err != nil {
			return
		}
		var names []string
		if err := json.Unmarshal(line, &names); err != nil {
			panic(err)
		}
		urls := make([]string, len(names))
		for i, name := range names {
			signed, err := client.Object.GetPresignedURL(
				context.Background(), "GET", name, id, key, 15*time.Minute, nil)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			urls[i] = signed.String()
		}
		out.Encode(urls)
	}
}
"""


def make(secret_id: str, secret_key: str, bucket: str, region: str):  # type: ignore[no-untyped-def]
    if not shutil.which("go"):
        raise ImportError("Go is not installed")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.go").write_text(PROGRAM)
        (Path(folder) / "go.mod").write_text(MODULE)
        modules = [] if os.environ.get("GO111MODULE") == "off" else ["-mod=mod"]
        command = ["go", "build", *modules, "-o", "peer", "."]
        try:
            subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
        except subprocess.CalledProcessError as error:
            raise ImportError(f"cos-go-sdk-v5 cannot be built: {error.stderr.strip().splitlines()[-1]}") from None
        except subprocess.TimeoutExpired:
            raise ImportError("cos-go-sdk-v5 cannot be built: it could not be fetched in two minutes") from None
        go = subprocess.Popen(
            [f"{folder}/peer", secret_id, secret_key, bucket, region],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "GOMAXPROCS": "1"},
        )  # fmt: skip
    return asking(go)
