"""Runs schemathesis with the widened document against a server."""

import json
import subprocess
import sys
from pathlib import Path

from tests.serving_contract.exemptions import widened

FOLDER = Path(__file__).parent
CHECKS = (
    "not_a_server_error",
    "response_schema_conformance",
    "status_code_conformance",
    "sse_payloads",
)


def check_contract(url: str, folder: Path, *, examples: int) -> subprocess.CompletedProcess[str]:
    """Returns the finished run; its status is 0 when the server keeps the contract.

    Args:
        url: The server's base URL.
        folder: Receives the widened document and the report of failures.
        examples: Generated requests of the fuzzing phase, an operation.
    """
    contract = json.loads((FOLDER / "tgi-openapi.json").read_text(encoding="utf-8"))
    document, config = folder / "contract.json", folder / "schemathesis.toml"
    document.write_text(json.dumps(widened(contract)), encoding="utf-8")
    config.write_text('hooks = "tests.serving_contract.hooks"\n', encoding="utf-8")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
        *(str(document), "--url", url, "--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(examples)),
        *("--generation-deterministic", "--no-color"),
        *("--continue-on-failure", "--request-timeout", "60"),
    ]
    return subprocess.run(
        command, cwd=FOLDER.parents[1], capture_output=True, text=True, check=False
    )
