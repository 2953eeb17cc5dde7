"""A `docker` that keeps the containers of one compose file as processes; run as a command.

It speaks the subcommands that publishing uses, in Docker's words: `compose ... ps|up|stop|rm`,
`inspect`, `logs`. What a container is lies in a file each, so every call is a process of its own.
"""

# ruff: noqa: T201
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import psutil
import yaml

SERVER = Path(__file__).with_name("server_process.py")


def main(arguments: list[str]) -> int:
    state = Path(os.environ["DOCKER_DOUBLE"])
    if (state / "no-daemon").exists():
        print("Cannot connect to the Docker daemon. Is the daemon running?", file=sys.stderr)
        return 1
    if arguments[0] == "compose":
        assert arguments[1] == "--file"
        return _compose(state, Path(arguments[2]), arguments[3:])
    if arguments[0] == "inspect":
        there = [name for name in arguments[1:] if (state / f"{name}.json").exists()]
        print(json.dumps([_inspect(state, name) for name in there]))
        if missing := set(arguments[1:]) - set(there):
            print(f"Error: No such object: {missing.pop()}", file=sys.stderr)
            return 1
        return 0
    assert arguments[:3] == ["logs", "--tail", "3"]
    print((state / f"{arguments[3]}.log").read_text()[-500:], file=sys.stderr)
    return 0


def _compose(state: Path, file: Path, arguments: list[str]) -> int:
    command, *rest = arguments
    if command == "ps":
        assert rest == ["--all", "--quiet"]
        print("\n".join(path.stem for path in state.glob("*.json")))
        return 0
    service = rest[-1]
    found = [path for path in state.glob("*.json") if _load(path)["service"] == service]
    if command == "up":
        assert rest[:-1] == ["--detach", "--no-deps", "--force-recreate"]
        for path in found:
            _end(path, grace_s=0)
        _start(state, yaml.safe_load(file.read_text())["services"][service], service)
    elif command == "stop":
        for path in found:
            _end(path, grace_s=float(rest[1]))
    elif command == "rm":
        for path in found:
            path.unlink()
    return 0


def _start(state: Path, declared: dict[str, Any], service: str) -> None:
    name = uuid.uuid4().hex
    environment = dict(os.environ)
    given = [each for each in declared["environment"] if "=" not in each]
    assert "LORA_ADAPTERS" in given
    environment |= {"PORT": declared["ports"][0].split(":")[1]}
    log = (state / f"{name}.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, str(SERVER)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    _save(
        state / f"{name}.json",
        {
            "service": service,
            "pid": process.pid,
            "started": f"{time.time():.6f}",
            "deployment": os.environ.get("UNDERSTUDY_DEPLOYMENT", "0"),
        },
    )


def _inspect(state: Path, name: str) -> dict[str, Any]:
    known = _load(state / f"{name}.json")
    runs = _runs(known["pid"])
    labels = {
        "com.docker.compose.service": known["service"],
        "understudy.deployment": known["deployment"],
    }
    return {
        "Id": name,
        "Config": {"Labels": labels},
        "State": {
            "Status": "running" if runs else "exited",
            "ExitCode": 0 if runs else 1,
            "StartedAt": known["started"],
        },
    }


def _end(path: Path, *, grace_s: float) -> None:
    pid = _load(path)["pid"]
    if not _runs(pid):
        return
    process = psutil.Process(pid)
    process.send_signal(signal.SIGTERM if grace_s else signal.SIGKILL)
    try:
        process.wait(grace_s or 5)
    except psutil.TimeoutExpired:
        process.kill()


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def _save(path: Path, value: dict[str, Any]) -> None:
    coming = path.with_suffix(".coming")
    coming.write_text(json.dumps(value))
    coming.rename(path)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
