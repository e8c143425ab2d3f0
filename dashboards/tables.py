"""Keys of the tables whose rows are containers: the same names, widths and links everywhere."""

from __future__ import annotations

from dashboards.layout import to_container, to_host
from dashboards.panels import Key


def container_keys(*hidden: str) -> tuple[Key, ...]:
    """Give the keys of ``promql.WHO``: name, host, engine and style, the rest for the links.

    ``hidden`` are labels that need not be shown: all rows have the same, or there is no room.
    """
    return (
        Key(label="name", title="Container", link=to_container()),
        Key(
            label="instance",
            title="" if "instance" in hidden else "Host",
            link=to_host(),
            width=140,
        ),
        Key(label="engine", title="" if "engine" in hidden else "Engine", width=90),
        Key(label="style", title="" if "style" in hidden else "Style", width=80),
        Key(label="job"),
        Key(label="id"),
    )
