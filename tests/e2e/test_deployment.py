"""What the gateway is deployed by: the image's file, and the manifests for Compose and Kubernetes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from bench.gateway import free_port

from cossign.gateway import load
from cossign.gateway.config import warnings_of
from tests.conftest import SECRET_ID, SECRET_KEY
from tests.waiting import PATIENCE, listening

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
CONTAINERFILE = (DOCS / "Containerfile").read_text()
CONFIG = "/etc/cossign/gateway.toml"  # in a container
CONSTRAINTS = "/etc/constraints.txt"


def manifests() -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all((DOCS / "kubernetes.yaml").read_text())}


def test_kubernetes_runs_the_image_as_it_is_made(tmp_path: Path) -> None:
    found = manifests()
    (tmp_path / "gateway.toml").write_text(found["ConfigMap"]["data"]["gateway.toml"])
    config = load(tmp_path / "gateway.toml")
    assert list(warnings_of(config)) == []
    pod = found["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    [port] = container["ports"]
    assert config.listen == f"0.0.0.0:{port['containerPort']}"
    assert f"EXPOSE {port['containerPort']}\n" in CONTAINERFILE
    assert f"USER {pod['securityContext']['runAsUser']}\n" in CONTAINERFILE
    assert f'"--config", "{CONFIG}"' in CONTAINERFILE
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"config": str(Path(CONFIG).parent), "tmp": "/tmp"}
    assert {volume["name"] for volume in pod["volumes"]} == set(mounts)
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    endpoints = config.endpoints
    assert probes == {"startup": endpoints.healthz, "liveness": endpoints.healthz, "readiness": endpoints.readyz}
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause + config.graceful_timeout
    assert set(found["Secret"]["stringData"]) == {"COS_SECRET_ID", "COS_SECRET_KEY"}
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert found[kind]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]


def test_compose_runs_the_image_as_it_is_made() -> None:
    [service] = yaml.safe_load((DOCS / "compose.yaml").read_text())["services"].values()
    text = (DOCS / "compose.yaml").read_text()
    assert f"docker build -t {service['image']} -f docs/Containerfile ." in text
    assert service["volumes"] == [f"./config:{Path(CONFIG).parent}:ro"]
    [port] = service["ports"]
    assert f"EXPOSE {port.rpartition(':')[2]}\n" in CONTAINERFILE
    assert int(service["stop_grace_period"].removesuffix("s")) > 30  # graceful_timeout, unless the file says more


# --- The image's steps, in bare roots


def mirror() -> str:
    """Where this machine's Debian packages come from."""
    places = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    text = "\n".join(place.read_text() for place in places if place.is_file())
    match = re.search(r"^(?:deb\s+(?:\[.*?\]\s+)?|URIs:\s*)(https?://\S*debian\S*)", text, re.M)
    return match[1] if match else "http://deb.debian.org/debian"


def chrooted(root: Path, *command: str, user: str = "0:0", **environment: str) -> subprocess.Popen[str]:
    paths = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "PIP_CONSTRAINT": CONSTRAINTS}
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_INDEX") or name.endswith("_proxy")}
    return subprocess.Popen(
        ["chroot", f"--userspec={user}", str(root), *command], env={**paths, **pip, **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def run_in(root: Path, command: str) -> None:
    process = chrooted(root, "/bin/sh", "-ec", command)
    said = process.communicate()[0]
    assert process.returncode == 0, f"{command}\n{said[-3000:]}"


def allowed_sources(into: Path) -> None:
    """The build context, as .dockerignore leaves it."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    excluded = shutil.ignore_patterns(*(line.rpartition("/")[2] for line in lines if line.startswith(("**/", "src/"))))
    for name in (line[1:] for line in lines if line.startswith("!")):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, into / name, ignore=excluded)
        else:
            shutil.copy(ROOT / name, into / name)


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="only root can change the root")
@pytest.mark.skipif(shutil.which("debootstrap") is None, reason="debootstrap is not installed")
def test_the_images_steps_make_a_gateway(tmp_path: Path) -> None:
    """Debian's Python stands in for that of the base image, and pip takes the versions of the lock."""
    base, build = tmp_path / "base", tmp_path / "build"
    packages = "--include=python3,python3-dev,python3-venv,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", packages, "bookworm", str(base), mirror()], check=True, capture_output=True
    )
    (base / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for path in ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"):
        if Path(path).exists():
            shutil.copy(path, base / path[1:])
    lock = (ROOT / "requirements" / "test.txt").read_text()
    (base / CONSTRAINTS[1:]).write_text("".join(f"{line.strip()}\n" for line in re.findall(r"^\w[^\\\n]*", lock, re.M)))
    subprocess.run(["cp", "-a", str(base), str(build)], check=True)
    stages = [stage.split("\n", 1) for stage in CONTAINERFILE.split("\nFROM ")[1:]]
    assert [name.endswith(" AS build") for name, _ in stages] == [True, False]
    for line in stages[0][1].splitlines():
        if line.startswith("COPY . "):
            (build / line.split()[2][1:]).mkdir()
            allowed_sources(build / line.split()[2][1:])
        elif line.startswith("RUN "):
            run_in(build, line.removeprefix("RUN "))
    final = stages[1][1]
    [(source, target)] = re.findall(r"^COPY --from=build (\S+) (\S+)$", final, re.M)
    subprocess.run(["cp", "-a", str(build / source[1:]), str(base / target[1:])], check=True)
    [user] = re.findall(r"^USER (\S+)$", final, re.M)
    [entry] = re.findall(r"^ENTRYPOINT (\[.*\])$", final, re.M)
    config = base / CONFIG[1:]
    config.parent.mkdir(parents=True)
    port = free_port()
    text = manifests()["ConfigMap"]["data"]["gateway.toml"]
    config.write_text(text.replace("0.0.0.0:8080", f"127.0.0.1:{port}").replace("/img/", "/"))
    process = chrooted(
        base, *yaml.safe_load(entry), user=f"{user}:{user}", COS_SECRET_ID=SECRET_ID, COS_SECRET_KEY=SECRET_KEY
    )
    try:
        listening(port, process)
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        assert httpx.get(f"http://127.0.0.1:{port}/public/a").status_code == 302
        [check] = re.findall(r"^HEALTHCHECK CMD (\[.*\])$", final, re.M)
        health = yaml.safe_load(check.replace(":8080/", f":{port}/"))
        run_in(
            base, f"{health[0]} {health[1]} {health[2]!r}" if "'" not in health[2] else f'{health[0]} -c "{health[2]}"'
        )
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
        shutil.rmtree(tmp_path)
    assert process.returncode == 0
