"""Keys of the tables whose rows are containers: the same names, widths and links everywhere."""

from __future__ import annotations

from dashboards.layout import to_container, to_host
from dashboards.panels import Key


def container_keys(*, with_host: bool = True, with_style: bool = True) -> tuple[Key, ...]:
    """Give the keys of ``promql.WHO``: name, host, engine and style, the rest for the links."""
    return (
        Key(label="name", title="Container", link=to_container()),
        Key(label="instance", title="Host" if with_host else "", link=to_host(), width=150),
        Key(label="engine", title="Engine", width=100),
        Key(label="style", title="Style" if with_style else "", width=80),
        Key(label="job"),
        Key(label="id"),
    )
