"""A vzlist that prints containers as 3.x, 4.x or 7 would, and misbehaves on demand.

Beside it lies <its own name>.json: ``version`` (3, 4 or 7), ``containers`` (the fields of vzlist's
JSON), ``fields`` that it knows (all when it is missing), ``wide`` (it has UUIDs, as 7 has) and
``fault``. What it is called with is added to <its own name>.log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Container = Mapping[str, Any]
Column = tuple[str, int, Callable[[Container], str]]

COUNTERS = {
    "kmemsize": "KMEMSIZE",
    "lockedpages": "LOCKEDP",
    "privvmpages": "PRIVVMP",
    "shmpages": "SHMP",
    "numproc": "NPROC",
    "physpages": "PHYSP",
    "vmguarpages": "VMGUARP",
    "oomguarpages": "OOMGUARP",
    "numtcpsock": "NTCPSOCK",
    "numflock": "NFLOCK",
    "numpty": "NPTY",
    "numsiginfo": "NSIGINFO",
    "tcpsndbuf": "TCPSNDB",
    "tcprcvbuf": "TCPRCVB",
    "othersockbuf": "OTHSOCKB",
    "dgramrcvbuf": "DGRAMRB",
    "numothersock": "NOTHSOCK",
    "dcachesize": "DCACHESZ",
    "numfile": "NFILE",
    "numiptent": "NIPTENT",
    "swappages": "SWAPP",
}
PARTS = {"": "held", ".m": "maxheld", ".b": "barrier", ".l": "limit", ".f": "failcnt"}
QUOTAS = {"diskspace": "DSPACE", "diskinodes": "DINODES"}
QUOTA_PARTS = {"": "usage", ".s": "softlimit", ".h": "hardlimit"}
# Field: header, width (negative: at the left).
PLAIN = {
    "ctid": ("CTID", 10),
    "private": ("PRIVATE", -32),
    "root": ("ROOT", -32),
    "hostname": ("HOSTNAME", -32),
    "name": ("NAME", -32),
    "smart_name": ("SMARTNAME", 10),
    "description": ("DESCRIPTION", -32),
    "ostemplate": ("OSTEMPLATE", -32),
    "ip": ("IP_ADDR", -15),
    "configured_ip": ("CFG_IP_ADDR", -15),
    "status": ("STATUS", -9),
    "laverage": ("LAVERAGE", 14),
    "uptime": ("UPTIME", 15),
    "cpulimit": ("CPULIM", 7),
    "cpuunits": ("CPUUNI", 7),
    "cpus": ("CPUS", 5),
    "iolimit": ("IOLIMIT", 10),
    "iopslimit": ("IOPSLIMIT", 10),
    "onboot": ("ONBOOT", 6),
    "bootorder": ("BOOTORDER", 10),
    "layout": ("LAYOUT", -6),
    "features": ("FEATURES", -15),
    "disabled": ("DISABL", 6),
}
DEFAULT_TABLE = ["ctid", "numproc", "status", "ip", "hostname"]


def columns(version: int, *, wide: bool = False) -> dict[str, Column]:
    """Header, width and printer of each field."""
    found = {}
    for field, (header, width) in PLAIN.items():
        found[field] = (
            header,
            36 if field == "ctid" and (wide or version == 7) else width,
            plain(field),
        )
    for field, header in COUNTERS.items():
        for suffix, part in PARTS.items():
            found[field + suffix] = (header + suffix.upper(), 10, part_of(field, part))
    for field, header in QUOTAS.items():
        for suffix, part in QUOTA_PARTS.items():
            found[field + suffix] = (header + suffix.upper(), 10, quota_of(field, part))
    return found


def plain(field: str) -> Callable[[Container], str]:
    def text(container: Container) -> str:
        value = container.get(field)
        if value is None or value == []:
            return "-"
        if value is True or value is False:
            return "yes" if value else "no"
        if field == "laverage":
            return "/".join(f"{number:1.2f}" for number in value)
        if field == "uptime":
            return uptime(value) if container["status"] == "running" else "-"
        if field == "features":
            return ",".join(f"{k}:{'on' if v else 'off'}" for k, v in value.items())
        if isinstance(value, list):
            return " ".join(value)
        return str(value)

    return text


def uptime(seconds: float) -> str:
    minutes = int(seconds) // 60
    hours = minutes // 60
    days = hours // 24
    return f"{days:03}d{hours % 24:02}h:{minutes % 60:02}m:{int(seconds) % 60:02}s"


def part_of(field: str, part: str) -> Callable[[Container], str]:
    def text(container: Container) -> str:
        counter = container.get(field)
        measured = part in ("held", "maxheld", "failcnt")
        if counter is None or (measured and container["status"] != "running"):
            return "-"
        return str(counter[part])

    return text


def quota_of(field: str, part: str) -> Callable[[Container], str]:
    def text(container: Container) -> str:
        quota = container.get(field)
        return "-" if quota is None or (part == "usage" and not quota[part]) else str(quota[part])

    return text


def row(container: Container, fields: Sequence[str], known: Mapping[str, Column]) -> str:
    parts = []
    for field in fields:
        _, width, text = known[field]
        value = text(container)
        if field != fields[-1]:
            if field in ("ip", "configured_ip"):
                value = value.split(" ")[0][:15]
            if width < 0:
                value = value[:-width]
            parts.append(value.rjust(width) if width > 0 else value.ljust(-width))
        else:
            parts.append(value.rjust(width) if width > 0 else value)
    return " ".join(parts).rstrip()


def table(
    containers: Sequence[Container], fields: Sequence[str], known: Mapping[str, Column]
) -> str:
    head = " ".join(
        known[f][0].rjust(known[f][1]) if known[f][1] > 0 else known[f][0].ljust(-known[f][1])
        for f in fields
    )
    return "\n".join([head.rstrip(), *(row(c, fields, known) for c in containers)]) + "\n"


def value_json(value: Any) -> str:
    if isinstance(value, dict):
        lines = ",\n".join(f'      "{k}": {value_json(v)}' for k, v in value.items())
        return f"{{\n{lines}\n    }}"
    if isinstance(value, list):
        return f"[{', '.join(value_json(v) for v in value)}]"
    if isinstance(value, str):
        return f'"{value}"'  # as vzlist does it: nothing is escaped
    return json.dumps(value)


def document(containers: Sequence[Container], fields: Sequence[str]) -> str:
    blocks = []
    for container in containers:
        pairs = ",\n".join(f'    "{f}": {value_json(container.get(f))}' for f in fields)
        blocks.append(f"\n  {{\n{pairs}\n  }}")
    return f"[{','.join(blocks)}\n]\n"


def fail(message: str) -> None:
    sys.stderr.write(message + "\n")
    sys.exit(1)


def misbehave(fault: str | None, output: str) -> None:
    if fault == "hang":
        threading.Event().wait(3600)
    if fault == "hang and tell":
        with open(os.path.abspath(__file__) + ".child", "w") as pipe:
            pipe.write(str(os.getpid()))
        threading.Event().wait(3600)
    if fault == "nothing":
        sys.stderr.write("Unable to open /proc/fairsched: No such file or directory\n")
        sys.exit(0)
    if fault == "exit 1":
        fail("This program can only be run under root.")
    if fault == "half":
        output = output[: len(output) // 2].rstrip("\n")
    if fault == "flood":
        while True:
            sys.stdout.write(output)
    if fault == "close and stay":
        sys.stdout.write(output)
        sys.stdout.flush()
        os.close(1)
        os.close(2)
        threading.Event().wait(3600)
    if fault == "grandchild":
        # It inherits the pipe and keeps it open; its number is left for whoever wants to look.
        child = subprocess.Popen([sys.executable, "-ISc", "import time; time.sleep(3600)"])
        with open(os.path.abspath(__file__) + ".child", "w") as file:
            file.write(str(child.pid))
    sys.stdout.write(output)
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    here = os.path.abspath(__file__)
    with open(here + ".json", encoding="utf-8") as file:
        state = json.load(file)
    arguments = sys.argv[1:]
    with open(here + ".log", "a") as log:
        log.write(json.dumps([arguments, dict(os.environ)]) + "\n")
    version, containers = state["version"], state["containers"]
    known = columns(version, wide=state.get("wide", False))
    supported = state.get("fields") or list(known)
    as_json, fields = False, None
    while arguments:
        option = arguments.pop(0)
        if option == "-j" and version > 3:
            as_json = True
        elif option == "-o":
            fields = arguments.pop(0).split(",")
        elif option == "-L":
            sys.stdout.write("".join(f"{f:15} {known[f][0]:15}\n" for f in supported if f in known))
            return
        elif option != "-a":
            fail(f"vzlist: invalid option -- '{option.lstrip('-')[:1]}'")
    for field in fields or []:
        if field not in supported:
            fail("Unknown field: " + field)
        if as_json and "." in field:
            fail(f"Field `{field}' is not available in JSON output")
    if as_json:
        default = [f for f in (*PLAIN, *COUNTERS, *QUOTAS) if f in supported]
        output = document(containers, fields or default)
    else:
        output = table(containers, fields or DEFAULT_TABLE, known)
    misbehave(state.get("fault"), output)


if __name__ == "__main__":
    main()
