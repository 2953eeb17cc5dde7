"""`python -m tests.serving_clients`: each client in its own environment against one server.

Arguments choose among them: `python -m tests.serving_clients openai`.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from retrain.server.run import ServerOptions
from tests.model_server import running_server
from tests.tiny_model import build_adapter, build_model

HERE = Path(__file__).parent
CLIENTS = (
    ("hub.py", ("huggingface_hub==0.36.2", "aiohttp")),
    ("hub.py", ("huggingface_hub==1.33.0",)),
    ("hub.py", ("huggingface_hub==2.4.0",)),
    ("openai_sdk.py", ("openai==3.54.0",)),
)


def main() -> int:
    """Prints a line a client; the exit status counts those that failed."""
    chosen = [client for client in CLIENTS if any(name in client[1][0] for name in sys.argv[1:])]
    clients = chosen or CLIENTS
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = build_model(folder / "base", ends=False)
        adapter = build_adapter(base, folder / "cobalt", seed=1)
        with running_server(ServerOptions(model=base, adapters={"cobalt": adapter})) as url:
            for number, (script, packages) in enumerate(clients):
                python = folder / f"client-{number}" / "bin" / "python"
                venv.create(python.parents[1], with_pip=True)
                install = [str(python), "-m", "pip", "install", "--quiet", *packages]
                subprocess.run(install, check=True)
                # -P: a script's own folder is no place to import from.
                command = [str(python), "-P", str(HERE / script), url, "cobalt"]
                failed += subprocess.run(command, check=False).returncode != 0
    sys.stdout.write(f"{len(clients) - failed} of {len(clients)} clients work\n")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
