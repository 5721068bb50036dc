"""Prometheus figures of a hub, collected when they are read from what dispatcher and inbound count anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.dispatch.lines import LinkMemory
from hub.dispatch.run import Dispatcher


class HubFigures(Collector):
    """A collector over one hub."""

    def __init__(
        self, dispatcher: Dispatcher, now_ms: Callable[[], int], inbound: Callable[[], Mapping[str, int]]
    ) -> None:
        self._dispatcher, self._now_ms, self._inbound = dispatcher, now_ms, inbound

    def collect(self) -> Iterator[Metric]:
        told = self._dispatcher.figures
        for name, about, value in (
            ("keeling_hub_rounds", "Rounds over all live holds.", told.rounds),
            ("keeling_hub_dispatched", "Attempts recorded.", told.dispatched),
            ("keeling_hub_sent", "Messages sent to registries.", told.sent),
            ("keeling_hub_asked", "Questions asked of registries.", told.asked),
            ("keeling_hub_captured_units", "Units captured.", told.captured_units),
            ("keeling_hub_released_units", "Units released.", told.released_units),
        ):
            yield CounterMetricFamily(name, about, value)
        answers = CounterMetricFamily("keeling_hub_answers", "Answers of registries by kind.", labels=["kind"])
        for kind, times in sorted(told.answers.items()):
            answers.add_metric([kind], times)
        yield answers
        inbound = CounterMetricFamily("keeling_hub_inbound", "News by outcome, and refusals by name.", labels=["what"])
        for what, times in sorted(self._inbound().items()):
            inbound.add_metric([what], times)
        yield inbound
        yield from self._backlog()

    def _backlog(self) -> Iterator[Metric]:
        now, lines = self._now_ms(), self._dispatcher.backlog()
        registries = sorted({line.registry for line in lines} | {link.registry for link in self._links()})
        held = GaugeMetricFamily("keeling_hub_backlog_holds", "Holds that are not over.", labels=["registry"])
        units = GaugeMetricFamily("keeling_hub_backlog_units", "Their units.", labels=["registry"])
        oldest = GaugeMetricFamily("keeling_hub_oldest_seconds", "Age of the oldest dispatch.", labels=["registry"])
        late = GaugeMetricFamily("keeling_hub_late_holds", "Later than expected.", labels=["registry"])
        alert = GaugeMetricFamily("keeling_hub_alert_holds", "Waiting for a person.", labels=["registry"])
        risk = GaugeMetricFamily("keeling_hub_at_risk_holds", "May miss the year's end.", labels=["registry"])
        broken = GaugeMetricFamily("keeling_hub_breaker_open", "Links whose breaker is open.", labels=["registry"])
        for name in registries:
            mine = [line for line in lines if line.registry == name]
            since = [line.since_ms for line in mine if line.since_ms]
            held.add_metric([name], len(mine))
            units.add_metric([name], sum(line.units for line in mine))
            oldest.add_metric([name], (now - min(since)) / 1000 if since else 0)
            late.add_metric([name], sum(line.late for line in mine))
            alert.add_metric([name], sum(bool(line.alert) for line in mine))
            risk.add_metric([name], sum(line.at_risk for line in mine))
            broken.add_metric([name], sum(x.breaker.is_open for x in self._links() if x.registry == name))
        yield from (held, units, oldest, late, alert, risk, broken)

    def _links(self) -> list[LinkMemory]:
        return self._dispatcher.lines.links()

    def text(self) -> bytes:
        """As Prometheus reads it."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)
