"""The counts of all worker processes, for Prometheus."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from cossign import __version__
from cossign.gateway._gate import Board
from cossign.gateway.policy import Policy

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


class _BoardCollector(Collector):
    def __init__(self, board: Board, policy: Policy) -> None:
        self._board = board
        self._policy = policy

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "cossign_requests", "Requests, by endpoint, route and result", labels=("endpoint", "route", "result")
        )
        signatures = CounterMetricFamily("cossign_signatures", "Signatures made, by route", labels=("route",))
        seconds = HistogramMetricFamily(
            "cossign_request_seconds",
            "Time that the gateway took for an answer, without the server",
            labels=["endpoint"],
        )
        plain_counters = {
            b"reloads": CounterMetricFamily("cossign_reloads", "Times that a worker took another configuration"),
            b"refused_reloads": CounterMetricFamily("cossign_refused_reloads", "Configurations that were refused"),
            b"unlogged": CounterMetricFamily("cossign_unlogged", "Requests that the access log lacks"),
        }
        counts = dict.fromkeys(plain_counters, 0)
        times: dict[str, dict[int, int]] = defaultdict(dict)
        for name, value in self._board:
            kind, *labels = name.decode("utf-8", "replace").split("|")
            if kind == "requests":
                requests.add_metric(labels, value)
            elif kind == "signed" and labels[0]:
                signatures.add_metric(labels, value)
            elif kind == "time":
                times[labels[0]][int(labels[1])] = value
            elif name in counts:
                counts[name] = value
        for endpoint, values in times.items():
            seconds.add_metric([endpoint], *_histogram(values))
        yield from (requests, signatures, seconds)
        for name, metric in plain_counters.items():
            metric.add_metric((), counts[name])
            yield metric
        yield from self._credentials()
        info = GaugeMetricFamily("cossign_info", "The version", labels=("version",))
        info.add_metric((__version__,), 1)
        yield info

    def _credentials(self) -> Iterator[Metric]:
        """Of the worker that answers."""
        usable = GaugeMetricFamily("cossign_credentials_usable", "Whether there are credentials", labels=("source",))
        age = GaugeMetricFamily("cossign_credentials_age_seconds", "Since they last changed", labels=("source",))
        seconds_left = GaugeMetricFamily("cossign_credentials_left_seconds", "Until they expire", labels=("source",))
        now = time.time()
        for number, holder in enumerate(self._policy.holders):
            source = (f"{number} {type(holder.provider).__name__}",)
            usable.add_metric(source, float(holder.usable(now)))
            if holder.now is not None:
                age.add_metric(source, now - holder.since)
                if holder.now.expires_at is not None:
                    seconds_left.add_metric(source, holder.now.expires_at - now)
        yield from (usable, age, seconds_left)


def _histogram(values: dict[int, int]) -> tuple[list[tuple[str, float]], float]:
    """Cumulative (bound in seconds, count) pairs, and the sum of all times in seconds."""
    *counts, total = (values[bucket] for bucket in sorted(values))
    buckets: list[tuple[str, float]] = []
    sum_ = 0
    for bucket, count in enumerate(counts):
        sum_ += count
        bound = "+Inf" if bucket == len(counts) - 1 else str(2**bucket / 1e6)
        buckets.append((bound, sum_))
    return buckets, total / 1e9


def render(board: Board, policy: Policy) -> bytes:
    """All metrics in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_BoardCollector(board, policy))
    return generate_latest(registry)
