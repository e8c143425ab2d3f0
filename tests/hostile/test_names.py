"""Names, labels, arguments and environments that an attacker chose, on every output."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.engines.harness.agent import OPENMETRICS, Page, running_agent, tallyman
from tests.engines.harness.made import unique

if TYPE_CHECKING:
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

EVIL = (
    '"} 1\ncontainer_cpu_usage_seconds_total{id="/forged",name="forged"} 1e9\n'
    "# HELP x y\\\n<script>alert(1)</script><img src=x onerror=alert(1)>'\"&amp;"
    "\x1b[2J\x1b]0;owned\x07\u202e\u2028\ufeff"
)
"""Ends a label and a line, opens a tag and an attribute, clears a terminal, reverses a line."""


class _Tags(HTMLParser):
    """Collects what a browser would treat as elements and handlers."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.found.update(name for name, _ in attrs if name.startswith("on"))


def test_injection(docker: Docker) -> None:
    name = unique("evil")
    labels = [
        f"--label={key}={EVIL}"
        for key in ("com.docker.compose.project", "org.opencontainers.image.version", "evil")
    ]
    made = docker.run(
        docker.busybox(),
        *("sh", "-c", f"exec sleep 86400 # {EVIL}"),
        name=name,
        options=(*labels, f"--env=EVIL={EVIL}", f"--env=container={EVIL}"),
    )
    here = f"--collector.docker.host={docker.endpoint}"

    with running_agent(
        here,
        "--log.level=debug",
        "--metrics.container-label=com.docker.compose.project",
        "--metrics.container-label=evil",
    ) as agent:
        row = agent.wait_row(made, style="app", seconds=60)
        text = agent.get("/metrics").text
        openmetrics = agent.get("/metrics", Accept=OPENMETRICS).text
        log = agent.daemon.output()
        front = agent.get("/")
        detail = agent.get("/containers" + quote(row.id))
        assert (front.status, detail.status) == (200, 200), agent.daemon.output()[-3000:]

    assert not {"\x1b", "\u202e"} & set(log)
    for page in (Page(text), Page(openmetrics, openmetrics=True)):
        assert page.row(name) is not None
        assert "/forged" not in {r.id for r in page.rows()}
        ids = {s.labels.get("id") for f in page.families for s in f.samples}
        assert "/forged" not in ids
    for answer in (front, detail):
        assert answer.status == 200
        assert not _Tags(answer.text).found & {"script", "img", "onerror"}
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    (found,) = (r for r in _json("ls", "--all", "--json", here) if r["name"] == name)
    assert found["style"] == "app"
    for shown in (tallyman("ls", here), tallyman("explain", name, here)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def _json(*words: str) -> Any:
    return json.loads(tallyman(*words))
