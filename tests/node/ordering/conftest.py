"""One NATS server for all tests of a process that want one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.jetstream_cluster import JetStreamCluster


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JetStreamCluster]:
    cluster = JetStreamCluster(tmp_path_factory.mktemp("jetstream") / "one", 1).start()
    yield cluster
    cluster.kill()
