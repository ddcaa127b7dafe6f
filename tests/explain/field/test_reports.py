"""The exam of public reports: the true cause comes first in nine of ten, and nothing false is called certain."""

from __future__ import annotations

import pytest

from cossign import Credentials
from cossign.explain import Explanation, explain
from tests.explain.breaking import NOW, SECRET_ID
from tests.explain.field.reports import REPORTS, SECRET_KEY, Report

pytestmark = pytest.mark.filterwarnings("ignore::cossign.CredentialsWarning")  # some reports lack their token
CERTAIN = ("confirmed", "evident")


def explained(report: Report) -> Explanation:
    """As the reporter would ask: with the right key at hand."""
    options = dict(report.options)
    credentials = Credentials(options.pop("secret_id", SECRET_ID), SECRET_KEY, options.pop("token", None))
    return explain(report.request, credentials=[credentials], error=report.error, **{"now": NOW, **options})


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_a_report(report: Report) -> None:
    found = explained(report)
    assert report.cause in [finding.cause.code for finding in (*found.findings, *found.others)][:3], str(found)
    for finding in found.findings:
        if finding.sureness in CERTAIN:
            assert finding.cause.code in (report.cause, *report.true), str(found)
    assert found.tried < 200_000  # a second at most


def test_the_true_cause_comes_first() -> None:
    assert len({report.address for report in REPORTS}) >= 60
    assert all(report.address.startswith("https://") for report in REPORTS)
    first = [report for report in REPORTS if explained(report).codes[:1] == (report.cause,)]
    assert len(first) >= 0.9 * len(REPORTS), [report.name for report in REPORTS if report not in first]
