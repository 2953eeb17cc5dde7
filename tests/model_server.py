"""Runs the model server in a thread of the test process, on a real port."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from feedback.ports import Embedder
from retrain.server.run import ServerOptions, bind, build_service, make_server


@contextmanager
def running_server(
    options: ServerOptions, embedder: Embedder | None = None, *, port: int = 0
) -> Iterator[str]:
    """Yields the URL of a listening server; drains it on the way out. Port 0 is any free one."""
    listener = bind(options.host, port)
    server = make_server(build_service(options, embedder), options)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive(), "the server ended before it listened"
            assert time.monotonic() < deadline, "the server did not start within 30 s"
            threading.Event().wait(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive(), "the server did not stop within 30 s"
