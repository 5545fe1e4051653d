"""A continuous audit reports differences, and reports nothing for sources that it could not compare."""

import asyncio
from math import isnan

import pytest

from tally.agents.audit.drift import Drift
from tally.schemas.grains import RowKey
from tally.streams.audit import recheck
from tally.streams.audit.examine import Audit
from tally.streams.audit.metrics import METRICS, AuditMetrics
from tally.streams.audit.process import Auditing
from tally.streams.audit.recheck import TRIES, rechecked
from tally.streams.audit.view import NoAnswer
from tally.tables.postgres.failures import Away

WRONG = Drift("view", None, RowKey("t1", "c1", None), "read", 1, 2)


def value(metrics: AuditMetrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(f"tally_audit_{name}", labels)
    assert found is not None
    return found


def told(metrics: AuditMetrics) -> dict[str, float]:
    return {source: value(metrics, "drift", source=source) for source in ("states", "view", "raw")}


def auditing(metrics: AuditMetrics, *turns: Audit | Exception) -> Auditing:
    rest = iter(turns)

    async def audit() -> Audit:
        turn = next(rest)
        if isinstance(turn, Exception):
            raise turn
        return turn

    return Auditing(audit, metrics, every_seconds=0.0, unix_s=lambda: 1_795_000_000.0)


@pytest.mark.asyncio
async def test_metrics_say_how_many_counters_differ_and_not_a_number_where_nothing_was_compared() -> None:
    metrics = AuditMetrics(["states", "view", "raw"])
    assert all(isnan(drift) for drift in told(metrics).values())
    assert value(metrics, "timestamp_seconds") == 0

    found = Audit(rows=9, compared=["states", "view"], drift=[WRONG, WRONG], behind=2, view_behind=1)
    await auditing(metrics, found).turn()

    drift = told(metrics)
    assert (drift["states"], drift["view"], isnan(drift["raw"])) == (0, 2, True)
    assert (value(metrics, "rows"), value(metrics, "behind_rows")) == (9, 3)
    assert value(metrics, "timestamp_seconds") == 1_795_000_000
    assert metrics.registry.get_sample_value("tally_audit_drift", {"source": "postgres"}) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [NoAnswer("503"), OSError(), TimeoutError(), Away("connection", "", "")])
async def test_an_audit_that_could_not_be_made_is_counted_and_leaves_what_the_last_one_found(
    error: Exception,
) -> None:
    metrics = AuditMetrics(["states", "view", "raw"])
    turns = auditing(metrics, Audit(compared=["view"], drift=[WRONG]), error, Audit(compared=["view"]))
    await turns.turn()
    await turns.turn()
    assert (value(metrics, "failures_total"), told(metrics)["view"]) == (1, 1)
    await turns.turn()
    assert (value(metrics, "failures_total"), told(metrics)["view"]) == (1, 0)


@pytest.mark.asyncio
async def test_what_is_our_own_fault_ends_the_audit() -> None:
    with pytest.raises(ZeroDivisionError):
        await auditing(AuditMetrics(["states"]), Audit(), ZeroDivisionError()).run()


@pytest.mark.asyncio
async def test_it_audits_until_it_is_cancelled() -> None:
    turns = 0

    async def audit() -> Audit:
        nonlocal turns
        turns += 1
        return Audit()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await Auditing(audit, AuditMetrics(["states"]), every_seconds=0.01).run()
    assert turns > 2


@pytest.mark.asyncio
async def test_a_report_waits_for_the_first_audit_and_not_for_ever() -> None:
    waiting = auditing(AuditMetrics(["states", "view", "raw"]), Audit())
    await waiting.first(deadline_seconds=0.01)
    assert waiting.report({}).audited_at_ms is None
    await asyncio.gather(waiting.first(deadline_seconds=10.0), waiting.turn())
    assert waiting.report({}).audited_at_ms is not None


def test_names_follow_conventions_and_the_only_label_is_the_source() -> None:
    assert all(one.name.endswith("_total") == (one.kind == "counter") for one in METRICS)
    assert {label for one in METRICS for label in one.labels} == {"source"}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("looks", "expected", "looked"),
    [([[]], [], 1), ([[1], []], [], 2), ([[1], [2], [3], []], [3], TRIES)],
)
async def test_one_looks_again_a_few_times_before_anything_is_called_wrong(
    looks: list[list[int]], expected: list[int], looked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recheck, "PAUSE_SECONDS", 0.0)
    times = 0

    async def look() -> list[int]:
        nonlocal times
        times += 1
        return looks[times - 1]

    assert (await rechecked(look), times) == (expected, looked)
