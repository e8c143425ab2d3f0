"""The captured outputs of the real vzlist 4.11.1 and 7.0.254, parsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from collectors.engines.openvz.vzlist.output import parse_output
from tests.support.openvz_node import (
    MAIL,
    MOUNTED,
    PAUSED,
    STOPPED,
    SUSPENDED,
    UNKNOWN,
    VERSIONS,
    WEB,
    load_cases,
)

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.fields import Listed
    from collectors.facts import Beancounter

CASES = {version: load_cases(version) for version in VERSIONS}
QUOTE = "11111111-aaaa-4bbb-8ccc-dddddddddddd"
NEWLINE = "22222222-aaaa-4bbb-8ccc-dddddddddddd"

STATUSES = {
    "4.11.1": {
        "101": "running",
        "102": "running",
        "103": "stopped",
        "104": "suspended",
        "105": "mounted",
        "110": "stopped",
        "777": "running",
        "999": "running",
        "1000000001": "running",
    },
    "7.0.254": {
        "101": "running",
        WEB: "running",
        MAIL: "running",
        MOUNTED: "mounted",
        PAUSED: "paused",
        UNKNOWN: "unknown",
        STOPPED: "stopped",
        SUSPENDED: "suspended",
    },
}
HOSTILE = {
    "4.11.1": {**STATUSES["4.11.1"], **dict.fromkeys(("201", "202", "203", "204"), "stopped")},
    "7.0.254": {**STATUSES["7.0.254"], QUOTE: "stopped", NEWLINE: "stopped"},
}


def parse(version: str, case: str) -> dict[str, Listed]:
    """What one run listed."""
    return parse_output(CASES[version][case].stdout)


def statuses(listing: Mapping[str, Listed]) -> dict[str, str]:
    """The status of each container."""
    return {ctid: listed.facts.status for ctid, listed in listing.items()}


def counter(listed: Listed, resource: str) -> Beancounter:
    """One of its beancounters."""
    return next(b for b in listed.facts.beancounters if b.resource == resource)
