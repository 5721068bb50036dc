"""Answers with a status of 4xx, as registries, gateways and proxies give them, documented or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from adapters.contract import Adapter, Answer, Instruction, Refused, Settings, Unknown, WrongShape

UNCERTAIN: Final = (402, 405, 406, 408, 409, 410, 412, 417, 422, 423, 425, 451)
"""Statuses that only some registries give for a no. Others could give them for what they did or are about to do."""
_BODIES: Final[tuple[Any, ...]] = (
    {"error": "NOT_ACTIVE", "message": "no"},
    {"error": "SOMETHING_NEW", "message": "no"},
    {"title": "no", "detail": "no"},
    {"errorDetails": [{"code": "3005", "message": "no"}]},
    {"detail": [{"type": "declined", "msg": "no", "loc": []}]},
)


async def meet_noes(
    open_adapter: Callable[[Settings], Adapter], instruction: Instruction, refuses: frozenset[int]
) -> None:
    """No status is believed to be a no but those of this registry, and no word it never used is its decision."""
    for status in UNCERTAIN:
        for body in _BODIES:
            answer = await _instruct(open_adapter, instruction, status, body)
            if status not in refuses:
                assert isinstance(answer, Unknown | WrongShape), (status, body, answer)
    for status in (400, 403, 404, *refuses):
        for body in (_BODIES[1], _BODIES[2], {"detail": [{"type": "something_new", "msg": "no"}]}):
            answer = await _instruct(open_adapter, instruction, status, body)
            assert not isinstance(answer, Refused) or not answer.final, (status, body, answer)


async def _instruct(
    open_adapter: Callable[[Settings], Adapter], instruction: Instruction, status: int, body: Any
) -> Answer:
    async def refuse(request: web.Request) -> web.Response:
        if request.path == "/api/token":
            return web.json_response({"access_token": "x", "expires_in": 60})
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    adapter = open_adapter(Settings(f"http://127.0.0.1:{runner.addresses[0][1]}", lambda _: "x"))
    try:
        return await adapter.instruct(instruction)
    finally:
        await adapter.close()
        await runner.cleanup()
