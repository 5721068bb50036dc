"""Prometheus figures of a node: heights, answers by reason, what waits, how old the oldest unfinished thing is.

Collected when they are read, from what the node knows anyway; nothing is counted per transaction on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from network.names import parse_address
from node.health import describe_health
from node.peers.links import LinkState
from node.replica import Replica
from node.upkeep import Upkeep


class Metrics(Collector):
    """A collector over one replica."""

    def __init__(
        self,
        replica: Replica,
        clock_ms: Callable[[], int],
        upkeep: Upkeep,
        links: Callable[[], Sequence[LinkState]] = tuple,
    ) -> None:
        self._replica = replica
        self._links = links
        self._clock_ms = clock_ms
        self._upkeep = upkeep

    def collect(self) -> Iterator[Metric]:
        replica, now_ms = self._replica, self._clock_ms()
        report = describe_health(replica, now_ms)
        behind = replica.following.behind
        figures = (
            ("keeling_final_height", "Height of the newest final block.", replica.height),
            ("keeling_pending_transactions", "Transactions taken and not final.", replica.pending),
            ("keeling_last_final_age_seconds", "Since the newest block became final.", self._age_s(now_ms)),
            ("keeling_epoch", "Epoch whose ordering log is read.", replica.chain.outlook.log.epoch),
            ("keeling_blocks_behind", "Final heights others say they have and this node has not.", behind),
            ("keeling_engine_reachable", "1 while the ordering log can be read and appended.", int(replica.engine_ok)),
            ("keeling_serving", "1 while finality advances or has no work.", int(report.serving)),
            ("keeling_validators_missing", "Validators whose signature is waited for.", len(report.waiting_for)),
            ("keeling_certificate_left_seconds", "Until the node's certificate ends.", self._left_s(now_ms)),
            ("keeling_warnings", "Things an operator should see to; Status says which.", self._count_warnings()),
            ("keeling_wrong_keys", "Keys of the node that the ledger names otherwise.", len(self._upkeep.wrong_keys())),
            ("keeling_transactions_final_total", "Transactions that became final since the start.", replica.answered),
        )
        for name, about, value in figures:
            yield GaugeMetricFamily(name, about, value)
        yield from self._collect_links()

    def _collect_links(self) -> Iterator[Metric]:
        """By member: whether there is a link, how far it says it is, and what it was too slow for."""
        links = self._links()
        for name, about, values in (
            ("keeling_peer_linked", "1 while a link to the member's node is open.", [int(x.connected) for x in links]),
            ("keeling_peer_height", "The newest final height the member's node told.", [x.height for x in links]),
            ("keeling_peer_dropped_total", "Messages never sent, for it was too slow.", [x.dropped for x in links]),
        ):
            family = GaugeMetricFamily(name, about, labels=["participant"])
            for link, value in zip(links, values, strict=True):
                family.add_metric([link.participant], value)
            yield family

    def _age_s(self, now_ms: int) -> float:
        return (now_ms - self._replica.last_final_ms) / 1000

    def _left_s(self, now_ms: int) -> int:
        return int(self._upkeep.certificate_ends.timestamp()) - now_ms // 1000

    def _count_warnings(self) -> int:
        return len(self._upkeep.find_warnings())

    def start(self, address: str) -> Callable[[], None]:
        """Serve the figures at `address` (empty: nowhere); returns what stops that."""
        if not address:
            return lambda: None
        host, port = parse_address(address)
        registry = CollectorRegistry()
        registry.register(self)
        server, thread = start_http_server(port, host, registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop
