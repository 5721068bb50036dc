"""Prometheus figures of a hub, collected when they are read from what dispatcher and inbound count anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.dispatch.answering import Answering
from hub.dispatch.blocking import Blocking
from hub.dispatch.lines import LinkMemory
from hub.dispatch.run import Dispatcher
from hub.inbound.waiting import WaitingList
from hub.reconcile.classes import Kind
from hub.reconcile.report import Run, sum_up
from hub.service.article6 import Announcements


class HubFigures(Collector):
    """A collector over one hub."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        now_ms: Callable[[], int],
        inbound: Mapping[str, int],
        runs: Mapping[str, Run],
        announced: Mapping[str, Announcements],
        answering: Answering,
        blocking: Blocking,
        waiting: WaitingList,
    ) -> None:
        self._dispatcher, self._now_ms, self._inbound = dispatcher, now_ms, inbound
        self._runs, self._announced = runs, announced
        self._answering, self._blocking = answering, blocking
        self._ended: dict[tuple[str, str], int] = {}
        self._waiting = waiting

    def count_run(self, run: Run) -> None:
        """A reconciliation ended."""
        key = run.registry, judge_run(run)
        self._ended[key] = self._ended.get(key, 0) + 1

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
        for what, times in sorted(self._inbound.items()):
            inbound.add_metric([what], times)
        yield inbound
        yield from self._backlog()
        yield from self._reconciliations()
        yield from self._announcements()
        yield from self._proposals()
        yield from self._blocks()
        yield from self._news()

    def _news(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("keeling_hub_waiting_news", "News that wait for units.", labels=["registry"])
        oldest = GaugeMetricFamily("keeling_hub_oldest_news_seconds", "Age of the oldest.", labels=["registry"])
        left = CounterMetricFamily("keeling_hub_news_left_out", "News there was no room for.", labels=["registry"])
        for registry in sorted(self._waiting.registries()):
            lines = self._waiting.list_all(registry)
            waiting.add_metric([registry], len(lines))
            since = min((line.since_ms for line in lines), default=self._now_ms())
            oldest.add_metric([registry], (self._now_ms() - since) / 1000)
            left.add_metric([registry], self._waiting.left_out.get(registry, 0))
        yield from (waiting, oldest, left)

    def _blocks(self) -> Iterator[Metric]:
        units = GaugeMetricFamily(
            "keeling_hub_session_units", "Units blocked for sessions, or on their way.", labels=["registry", "standing"]
        )
        sums: dict[tuple[str, str], int] = {}
        for line in self._blocking.list_orders():
            key = line.registry, line.standing.replace(" ", "_")
            sums[key] = sums.get(key, 0) + line.units
        for (registry, standing), number in sorted(sums.items()):
            units.add_metric([registry, standing], number)
        refused = CounterMetricFamily(
            "keeling_hub_session_refused", "Orders that registries refused.", labels=["registry"]
        )
        over = [line.registry for line in self._blocking.ended if line.standing == "refused"]
        for registry in sorted(set(over)):
            refused.add_metric([registry], over.count(registry))
        breaches = CounterMetricFamily("keeling_hub_breaches", "Breaches that were told.", labels=["registry"])
        for registry, times in sorted(self._blocking.conduct.breaches.items()):
            breaches.add_metric([registry], times)
        stopped = GaugeMetricFamily("keeling_hub_stopped_links", "Links that are stopped now.", labels=["registry"])
        links = self._links()
        for registry in sorted({link.registry for link in links}):
            stopped.add_metric([registry], sum(bool(x.stopped) for x in links if x.registry == registry))
        yield from (units, refused, breaches, stopped)

    def _proposals(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("keeling_hub_proposals", "Waiting for a person's answer.", labels=["registry"])
        risk = GaugeMetricFamily(
            "keeling_hub_at_risk_proposals", "May end before they are answered.", labels=["registry"]
        )
        lines = self._answering.list_open()
        for registry in sorted({line.proposal.registry for line in lines}):
            mine = [line for line in lines if line.proposal.registry == registry]
            waiting.add_metric([registry], sum(not line.decided for line in mine))
            risk.add_metric([registry], sum(line.at_risk for line in mine))
        yield from (waiting, risk)

    def _announcements(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "keeling_hub_announcements", "Announced transfers by outcome.", labels=["registry", "outcome"]
        )
        waiting = GaugeMetricFamily(
            "keeling_hub_announcements_waiting", "Announced, and not on the ledger yet.", labels=["registry"]
        )
        for registry, found in sorted(self._announced.items()):
            waiting.add_metric([registry], len(found.waiting))
            for outcome, times in sorted(found.figures.items()):
                ended.add_metric([registry, outcome], times)
        yield from (ended, waiting)

    def _reconciliations(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "keeling_hub_reconciliations", "Runs by how they ended.", labels=["registry", "outcome"]
        )
        for (registry, outcome), times in sorted(self._ended.items()):
            ended.add_metric([registry, outcome], times)
        yield ended
        at = GaugeMetricFamily("keeling_hub_reconciled_seconds", "When the newest run was made.", labels=["registry"])
        alarm = GaugeMetricFamily("keeling_hub_reconciliation_alarm", "It compared nothing.", labels=["registry"])
        unread = GaugeMetricFamily("keeling_hub_unread_rows", "Rows that contradict themselves.", labels=["registry"])
        adrift = GaugeMetricFamily("keeling_hub_run_not_on_record", "It is not on the ledger.", labels=["registry"])
        oldest = GaugeMetricFamily("keeling_hub_oldest_break_seconds", "Age of the oldest break.", labels=["registry"])
        units = GaugeMetricFamily(
            "keeling_hub_reconciled_units", "Units of the newest run by class.", labels=["registry", "class"]
        )
        for registry, run in sorted(self._runs.items()):
            since = [x.difference.since_ms for x in run.lines if x.difference.kind is not Kind.IN_FLIGHT]
            at.add_metric([registry], run.at_ms / 1000)
            alarm.add_metric([registry], bool(run.alarm))
            unread.add_metric([registry], len(run.unread))
            adrift.add_metric([registry], not run.anchored.isdecimal())
            oldest.add_metric([registry], (self._now_ms() - min(since)) / 1000 if since else 0)
            found = dict.fromkeys(("agreed", *Kind), 0)
            for row in sum_up(run):
                found[row.name] = found.get(row.name, 0) + row.units
            for name, number in found.items():
                units.add_metric([registry, name], number)
        yield from (at, alarm, unread, adrift, oldest, units)

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


def judge_run(run: Run) -> str:
    """How a run ended, in one word."""
    if run.alarm:
        return "alarm"
    return "broken" if run.broken_units else "agreed"
