"""A container in libvirt's own XML format."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A container as libvirt's XML describes it, https://libvirt.org/formatdomain.html."""

    name: str
    uuid: str
    command: tuple[str, ...]
    rootfs: str = ""
    mounts: tuple[str, ...] = ()
    network: str = ""


def parse_domain(data: bytes) -> Domain | None:
    """Parse a domain's XML, also inside a domstatus; None when it is none of the LXC driver's.

    A document type is refused because it can define entities, and so is UTF-16, in which one would
    not be noticed: libvirt writes neither.
    """
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - few hosts need it

    if b"<!DOCTYPE" in data or b"\0" in data:
        return None
    try:
        top = ET.fromstring(data)  # noqa: S314 - no document type, and of bounded size
    except ET.ParseError:
        return None
    domain = top if top.tag == "domain" else top.find("domain")
    if domain is None or domain.get("type") != "lxc":
        return None
    name = domain.findtext("name", "").strip()
    if not name:
        return None
    sources = dict(_directories(domain))
    init = domain.findtext("os/init", "").strip()
    arguments = (argument.text or "" for argument in domain.findall("os/initarg"))
    return Domain(
        name=name,
        uuid=domain.findtext("uuid", "").strip() or name,
        command=(init, *arguments) if init else (),
        rootfs=sources.pop("/", ""),
        mounts=tuple(sources.values()),
        network=_network(domain),
    )


def _directories(domain: Element) -> Iterable[tuple[str, str]]:
    """Return target and source of each directory of the host that is mounted."""
    for filesystem in domain.findall("devices/filesystem"):
        source, target = filesystem.find("source"), filesystem.find("target")
        directory = source.get("dir", "") if source is not None else ""
        if directory.startswith("/") and target is not None:
            yield posixpath.normpath(target.get("dir", "")), directory


def _network(domain: Element) -> str:
    interface = domain.find("devices/interface")
    if interface is None:
        # Without interfaces it stays in the network of the host, but for <privnet/>.
        return "none" if domain.find("features/privnet") is not None else "host"
    source = interface.find("source")
    names = (source.get("network"), source.get("bridge")) if source is not None else ()
    return next(filter(None, (*names, interface.get("type"))), "")
