"""`caas doctor`: looks at everything a call depends on, and says of each fault what to do.

Each kind of thing has its module: `installation` (versions, files), `keys` (the keystore),
`broker`, `rights` (its ACL users), `certificates`, `fleet` (the workers).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from caas_cli.doctor import broker, certificates, fleet, installation, keys
from caas_cli.doctor.finding import Finding
from caas_cli.home import Home
from caas_cli.output import say, say_json

_NOT_ASKED: Final = Finding("worker", False, "not asked", "see the broker above, then ask again")

__all__ = ["Finding", "examine", "show"]


def examine(home: Home) -> list[Finding]:
    """Look at everything, in the order in which a call needs it. One fault hides no other."""
    found = [
        *installation.versions(),
        *installation.files(home),
        *installation.audit(home),
        *keys.keystore(home),
        *certificates.files(home),
        *broker.brokers(home),
    ]
    is_reachable = all(finding.is_ok for finding in found if finding.name == broker.BROKER)
    if not is_reachable:
        return [*found, _NOT_ASKED]
    return [*found, *fleet.workers(home), *fleet.worker(home)]


def show(findings: list[Finding], *, as_json: bool) -> None:
    """Print the findings."""
    if as_json:
        say_json([asdict(finding) for finding in findings])
        return
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        say(f"{'ok ' if finding.is_ok else 'BAD'}  {finding.name:<{width}}  {finding.detail}")
        if finding.advice:
            say(f"     {'':<{width}}  -> {finding.advice}")
