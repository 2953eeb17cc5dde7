"""`python -m tests.serving_contract [--url URL] [-n EXAMPLES]`: the contract against a server.

Without a URL it starts a server of its own on a tiny random model.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from retrain.server.run import ServerOptions
from tests.model_server import running_server
from tests.serving_contract.run import check_contract
from tests.tiny_model import build_model


def main() -> int:
    """Prints schemathesis' report; the exit status is its."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", help="a running server; by default one is started")
    parser.add_argument("-n", type=int, default=100, help="generated requests an operation")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.url is not None:
            run = check_contract(asked.url, folder, examples=asked.n)
        else:
            options = ServerOptions(model=build_model(folder / "base"), max_total_tokens=64)
            with running_server(options) as url:
                run = check_contract(url, folder, examples=asked.n)
    sys.stdout.write(run.stdout + run.stderr)
    return run.returncode


if __name__ == "__main__":
    raise SystemExit(main())
