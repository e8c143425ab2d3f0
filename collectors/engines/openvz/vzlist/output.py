"""The output of vzlist in any of its formats, which the output itself shows."""

from __future__ import annotations

from collectors.engines.openvz.vzlist.errors import EmptyOutput, NotAList
from collectors.engines.openvz.vzlist.fields import Listed, parse_fields
from collectors.engines.openvz.vzlist.json_output import parse_json
from collectors.engines.openvz.vzlist.table import parse_table


def parse_output(data: bytes) -> dict[str, Listed]:
    """Parse the output of vzlist, by CTID.

    No containers is an empty list, ``[]``, or a table with a header and no rows. Raises
    ``EmptyOutput`` for no output at all, ``CutShort`` when the end is missing, ``NotAList`` for
    anything else.
    """
    text = data.strip()
    if not text:
        raise EmptyOutput("vzlist printed nothing")
    is_json = text.startswith((b"[", b"{")) or b"\n[\n" in data[:4096]
    rows = parse_json(data) if is_json else parse_table(data)
    containers: dict[str, Listed] = {}
    for row in rows:
        listed = parse_fields(row)
        if listed is not None:
            containers[listed.ctid] = listed
    if rows and not containers:
        raise NotAList("vzlist printed a list without CTIDs")
    return containers
