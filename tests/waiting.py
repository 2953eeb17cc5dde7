"""Waiting for real processes: the only thing to do is to look, and there is a limit."""

import asyncio
from collections.abc import Awaitable, Callable

LIMIT_S = 60.0
_LOOK_S = 0.02


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]], limit_s: float = LIMIT_S
) -> None:
    """Returns once `condition` holds; raises TimeoutError when it does not in `limit_s` seconds."""
    async with asyncio.timeout(limit_s):
        while True:
            result = condition()
            if result if isinstance(result, bool) else await result:
                return
            await asyncio.sleep(_LOOK_S)
