"""`understudy sandbox` as an operator meets it: starts, says where, refuses in one sentence."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from deploy.cli import main

_ALONE = "import typer; from deploy.commands.sandbox import sandbox; typer.run(sandbox)"


async def test_it_says_where_it_is_and_stops_cleanly(tmp_path: Path) -> None:
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", _ALONE, "--port", "0", "--state-dir", str(tmp_path)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert running.stderr is not None
    first = (await running.stderr.readline()).decode()
    url = first.rpartition(" ")[2].strip()
    async with aiohttp.ClientSession() as session, session.get(url) as page:
        text = await page.text()
        policy = page.headers["Content-Security-Policy"]
    assert "Sandbox workspace" in text
    assert "default-src 'none'" in policy
    assert "://" not in text
    running.send_signal(signal.SIGTERM)
    _, rest = await running.communicate()
    assert running.returncode == 0
    assert b"SLACK_BOT_TOKEN=xoxb-" in rest


@pytest.mark.parametrize("case", ["port", "clock", "seed"])
def test_bad_starts_are_one_sentence_and_status_two(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = tmp_path / "seed.json"
    broken.write_text("{")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        arguments = {
            "port": ["--port", taken],
            "clock": ["--port", "0", "--clock-file", str(tmp_path / "no-clock")],
            "seed": ["--port", "0", "--workspace", str(broken)],
        }[case]
        state = ["--state-dir", str(tmp_path / "state")]
        monkeypatch.setattr(sys, "argv", ["understudy", "sandbox", *arguments, *state])
        with pytest.raises(SystemExit) as stopped:
            main()
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert {"port": f"port {taken}", "clock": "clock file", "seed": "workspace seed"}[case] in err
    assert len(err.strip().splitlines()) == 1
