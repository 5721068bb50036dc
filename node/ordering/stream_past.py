"""Deleting the JetStream streams of epochs that are over: which streams are logs of this network, and of which epoch.

A cluster may serve others too. A stream is ours only if name, description and subject are exactly those a log of this
network is made with; every other one is left alone. When an epoch is over is decided by the replica (`node.watch`), and
who may delete by the cluster's operators (docs/jetstream.md).
"""

from __future__ import annotations

import re
from typing import Any, Final

from nats.errors import Error as NatsError
from nats.js import api
from nats.js.errors import APIError, NotFoundError

from network.channels import LinkDown
from node.ordering.contract import LogId
from node.ordering.stream_log import ANSWER_S, make_config, stream_name

_DESCRIPTION: Final = re.compile(r"epoch (0|[1-9][0-9]{0,19}) (.+)", re.DOTALL)


def read_log_id(network: bytes, config: api.StreamConfig) -> LogId | None:
    """Which log of this network a stream holds; None for a stream that is none."""
    said = _DESCRIPTION.fullmatch(config.description or "")
    if said is None:
        return None
    which = LogId(int(said[1]), said[2])
    ours = make_config(network, which, config.num_replicas or 1)
    return which if (config.name, config.subjects) == (ours.name, ours.subjects) else None


async def delete_past(client: Any, network: bytes, below: int) -> list[str]:
    """Delete the streams of epochs below this one; returns their names. Raises `LinkDown`; another call goes on."""
    manager = client.jetstream(timeout=ANSWER_S)
    deleted = []
    try:
        for which in [which for which in await _list_logs(manager, network) if which.epoch < below]:
            try:
                await manager.delete_stream(stream_name(network, which))
            except NotFoundError:
                continue  # another member was quicker
            deleted.append(stream_name(network, which))
    except (NatsError, APIError, TimeoutError) as error:
        text = f"streams of epochs that are over were not deleted: {str(error) or type(error).__name__}"
        raise LinkDown(f"{text}; does the cluster let this member list and delete streams?") from error
    return deleted


async def _list_logs(manager: Any, network: bytes) -> list[LogId]:
    """The logs of this network, by epoch."""
    found: list[LogId] = []
    offset = 0
    while page := await manager.streams_info(offset):
        found += [which for info in page if (which := read_log_id(network, info.config)) is not None]
        offset += len(page)
    return sorted(found)
