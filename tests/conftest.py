"""A check that did not run is not a check that passed: one skipped test fails the run. And the verdicts are counted."""

import claims
import pytest


def pytest_terminal_summary(terminalreporter):
    given = ", ".join(f"{number} {verdict}" for verdict, number in claims.counts().items())
    terminalreporter.write_line(f"verdicts on the chapter's claims: {given}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped") if reporter else None  # a worker of xdist has no reporter
    if skipped:
        reporter.write_line(f"\n{len(skipped)} skipped: a test of this project may not be skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
