"""The HTML pages, without JavaScript; every name in them is untrusted and escaped."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from agent import __version__, phrases
from agent.model import Axis, Severity, Style
from agent.sanitize import printable
from agent.selection import Selection

if TYPE_CHECKING:
    from agent.model import Container, Evidence, Finding, Snapshot, Verdict

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; --app: #0a7ea4; --system: #a4388f;
  --warn: #c62828; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 76rem;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--dim); padding-bottom: .4rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
th { white-space: nowrap; } td.n { text-align: right; white-space: nowrap; }
.app { color: var(--app); } .system { color: var(--system); } .unknown, .dim { color: var(--dim); }
.warn { color: var(--warn); } .app, .system, .warn { font-weight: 600; }
code { font-size: .92em; overflow-wrap: anywhere; }
meter { width: 7rem; }
nav a { margin-right: 1rem; }
.d1 { padding-left: 1.2rem; } .d2 { padding-left: 2.4rem; } .d3 { padding-left: 3.6rem; }
"""

_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Nothing is loaded and no script runs, whatever a container is called."""

_DEEPEST = 3
_HEADS = (
    "Name",
    "Engine",
    "Image",
    "State",
    "Style",
    "Score",
    "Confidence",
    "Expected",
    "Warnings",
)


def front(snapshot: Snapshot, telemetry_path: str, *, ready: bool) -> str:
    """Return the first page: every container with its verdict."""
    host = _text(snapshot.host.nodename)
    return _document(
        f"Tallyman on {host}" if host else "Tallyman", _front(snapshot, telemetry_path, ready=ready)
    )


def detail(container: Container, snapshot: Snapshot) -> str:
    """Return the page of one container: its verdict and the reasons for it."""
    return _document(_text(phrases.title(container)), _detail(container, snapshot))


def link(container_id: str) -> str:
    """Return the path of a container's page."""
    raw = container_id.encode("utf-8", "surrogatepass")
    return "/containers" + quote(raw, safe="/")


def _document(title: str, body: Iterable[str]) -> str:
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            f'<head><meta charset="utf-8"><title>{title}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head>",
            f"<body><h1>{title}</h1>",
            *body,
            f'<p class="dim">Tallyman {_text(__version__)}</p></body></html>\n',
        )
    )


def _front(snapshot: Snapshot, telemetry_path: str, *, ready: bool) -> Iterator[str]:
    yield (
        f'<nav><a href="{quote(telemetry_path)}">Metrics</a> <a href="/-/healthy">Healthy</a> '
        '<a href="/-/ready">Ready</a></nav>'
    )
    if not ready:
        yield '<p class="warn">The first scan of this host is not complete yet.</p>'
    shown = Selection(gone=True).containers(snapshot)
    if shown:
        yield f"<table><caption>{_counts(container for _, container in shown)}</caption>"
        yield "<thead><tr>" + "".join(f"<th>{head}</th>" for head in _HEADS) + "</tr></thead>"
        yield "<tbody>"
        for depth, container in shown:
            yield _row(depth, container)
        yield "</tbody></table>"
    elif ready:
        yield "<p>There are no containers on this host.</p>"
    if snapshot.collectors:
        yield from _collectors(snapshot)


def _counts(containers: Iterable[Container]) -> str:
    styles = [container.verdict.style for container in containers if not container.gone]
    counted = ", ".join(f"{styles.count(style)} {style}" for style in Style if style in styles)
    return f"{len(styles)} containers: {counted}" if counted else "All containers were removed."


def _row(depth: int, container: Container) -> str:
    verdict = container.verdict
    judged = verdict.style is not Style.UNKNOWN
    expected = container.expected_style.value if container.expected_style != Style.UNKNOWN else ""
    if container.mismatch:
        expected = f'<span class="warn">{expected}: mismatch</span>'
    indent = f' class="d{min(depth, _DEEPEST)}"' if depth else ""
    name = _text(phrases.title(container))
    cells = (
        f'<td{indent}><a href="{link(container.id)}">{name}</a></td>',
        f"<td>{_text(container.engine)}</td>",
        f"<td>{_text(container.image)}</td>",
        f"<td>{phrases.state(container)}</td>",
        f'<td class="{verdict.style}">{verdict.style}</td>',
        f'<td class="n">{verdict.score:+.2f}</td>' if judged else "<td></td>",
        f'<td class="n">{phrases.percent(verdict.confidence)}</td>' if judged else "<td></td>",
        f"<td>{expected}</td>",
        f"<td>{', '.join(_warnings(container))}</td>",
    )
    return "<tr>" + "".join(cells) + "</tr>"


def _warnings(container: Container) -> Iterator[str]:
    """Return the warnings by name; advice and information are on the container's own page."""
    for finding in container.findings:
        if finding.severity is Severity.WARNING:
            yield _text(finding.name)


def _collectors(snapshot: Snapshot) -> Iterator[str]:
    yield "<h2>Collectors</h2><table><thead><tr><th>Name</th><th>State</th><th>Containers</th>"
    yield "<th>Seconds</th><th>Reads denied</th><th>Malformed</th></tr></thead><tbody>"
    for health in snapshot.collectors:
        state = "ok" if health.success else f'<span class="warn">{_text(health.error)}</span>'
        yield (
            f"<tr><td>{_text(health.name)}</td><td>{state}</td>"
            f'<td class="n">{health.containers}</td>'
            f'<td class="n">{health.duration_seconds:.3f}</td>'
            f'<td class="n">{health.denied}</td><td class="n">{health.malformed}</td></tr>'
        )
    yield "</tbody></table>"


def _detail(container: Container, snapshot: Snapshot) -> Iterator[str]:
    yield '<nav><a href="/">All containers</a></nav>'
    yield f"<p><strong>{_text(phrases.verdict(container))}</strong></p>"
    yield "<table><tbody>"
    for name, value in _facts(container):
        if value:
            yield f"<tr><th>{name}</th><td>{_text(value)}</td></tr>"
    parent = snapshot.containers.get(container.parent_id)
    if parent is not None:
        title = _text(phrases.title(parent))
        yield f'<tr><th>Runs in</th><td><a href="{link(parent.id)}">{title}</a></td></tr>'
    yield "</tbody></table>"
    yield from _reasons(container.verdict)
    if container.findings:
        yield "<h2>Findings</h2><dl>"
        for finding in container.findings:
            yield from _finding(finding)
        yield "</dl>"


def _reasons(verdict: Verdict) -> Iterator[str]:
    if verdict.axes:
        yield "<h2>Axes</h2><table><tbody>"
        for axis in Axis:
            yield _axis(axis, verdict.axes.get(axis))
        yield "</tbody></table>"
    if verdict.evidence:
        yield "<h2>Evidence</h2><table><thead><tr><th>Weight</th><th>Axis</th><th>What</th>"
        yield "<th>Read from</th></tr></thead><tbody>"
        for piece in sorted(verdict.evidence, key=lambda piece: -abs(piece.weight)):
            yield _evidence(piece)
        yield "</tbody></table>"
    if verdict.unseen:
        yield "<h2>Not known</h2><ul>"
        for sentence in verdict.unseen:
            yield f"<li>{_text(phrases.sentence(sentence))}</li>"
        yield "</ul>"


def _finding(finding: Finding) -> Iterator[str]:
    kind = phrases.finding_kind(finding)
    title = f" {_text(kind.title)}" if kind is not None else ""
    yield f"<dt>{finding.severity}: <code>{_text(finding.name)}</code>{title}</dt>"
    yield f"<dd>{_text(phrases.sentence(finding.sentence))}</dd>"
    if kind is not None:
        yield f"<dd>{_text(kind.means)} {_text(kind.matters)}</dd>"
        yield f"<dd><strong>To do:</strong> {_text(kind.advice)}</dd>"


def _facts(container: Container) -> Iterator[tuple[str, str]]:
    yield "Id", container.id
    yield "Engine", container.engine
    yield "Engine's id", container.engine_id
    yield "Image", container.image
    yield "State", phrases.state(container)
    yield "Pid", str(container.init.pid) if container.init is not None else ""
    yield "Cgroup", container.cgroup
    yield "Operating system", phrases.operating_system(container)
    yield "Host name", container.hostname
    yield "Role", container.role
    yield "Seen by", ", ".join(container.seen_by)


def _axis(axis: Axis, score: float | None) -> str:
    if score is None:
        return f'<tr><th>{axis}</th><td class="dim">nothing seen</td><td></td></tr>'
    style = Style.SYSTEM if score > 0 else Style.APP
    bar = f'<meter min="-1" max="1" low="-0.2" high="0.2" value="{score:.2f}">{score:+.2f}</meter>'
    return f'<tr><th>{axis}</th><td>{bar}</td><td class="{style}">{style} {score:+.2f}</td></tr>'


def _evidence(piece: Evidence) -> str:
    style = Style.SYSTEM if piece.weight > 0 else Style.APP
    return (
        f'<tr><td class="n {style}">{piece.weight:+.2f}</td><td>{piece.axis}</td>'
        f"<td>{_text(piece.sentence)}</td><td><code>{_text(piece.source)}</code></td></tr>"
    )


def _text(text: str) -> str:
    return html.escape(printable(text))
