"""Whether the root filesystem is that of a whole system or of an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.rules import Hit, RuleSet
from agent.classifier.wording import plural, proc
from agent.model import Axis

if TYPE_CHECKING:
    from agent.classifier.scene import Scene

_DAY = 86400.0
_GROWN_BYTES = 256 << 20

RULES = RuleSet(Axis.FILESYSTEM)


@RULES.rule(
    "filesystem.layered",
    -0.3,
    when="The root filesystem is a writable layer over the layers of an image.",
    sentence="its root filesystem is {fstype} over image layers",
)
def _layered(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or not root.layered:
        return None
    return Hit({"fstype": root.fstype}, source=proc(scene, "mountinfo"))


@RULES.rule(
    "filesystem.own_disk",
    0.3,
    when="The root filesystem is a disk, a subvolume or a directory of its own.",
    sentence="its root filesystem is its own, without image layers ({fstype})",
)
def _own_disk(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or root.layered is not False:
        return None
    return Hit({"fstype": root.fstype or "of unknown type"}, source=proc(scene, "mountinfo"))


@RULES.rule(
    "filesystem.whole_system",
    0.4,
    when="The root filesystem holds an operating system that could boot.",
    sentence="its root filesystem holds a complete {os} that could boot{packages}",
    cheap=True,
)
def _whole_system(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or not root.init_present:
        return None
    packages = f", with {plural(root.packages, 'package')}" if root.packages else ""
    return Hit(
        {"os": root.os_name or root.os_id or "system", "packages": packages},
        source=proc(scene, "root/"),
    )


@RULES.rule(
    "filesystem.application_root",
    -0.4,
    when="The root filesystem holds no operating system: no os-release, packages or init.",
    sentence="its root filesystem holds no operating system, only what an application needs",
    cheap=True,
)
def _tiny_root(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or root.init_present or root.os_id or root.package_manager:
        return None
    return Hit(source=proc(scene, "root/")) if root.top_level else None


@RULES.rule(
    "filesystem.patched",
    0.5,
    when="Packages changed a day or more after the container was created.",
    sentence="it was updated in place: {manager} packages changed {days} after it was created",
    cheap=True,
)
def _patched(scene: Scene) -> Hit | None:
    root, created = scene.subject.root, scene.subject.container.created
    if root is None or root.packages_changed is None or created is None:
        return None
    later = root.packages_changed - created
    if later < _DAY:
        return None
    return Hit(
        {"days": plural(int(later / _DAY), "day"), "manager": root.package_manager or "its"},
        source=proc(scene, "root/var/lib"),
    )


@RULES.rule(
    "filesystem.grown",
    0.2,
    when="Its writable layer holds 256 MiB or more.",
    sentence="its writable layer holds {size} MiB",
    cheap=True,
)
def _grown(scene: Scene) -> Hit | None:
    size = scene.subject.container.writable_layer_bytes
    if size is None or size < _GROWN_BYTES:
        return None
    return Hit({"size": size >> 20}, source="engine")


@RULES.rule(
    "filesystem.machine_id",
    0.1,
    when="It has a machine id of its own, as a system generates when it boots.",
    sentence="it has a machine id of its own",
    cheap=True,
)
def _machine_id(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or not root.machine_id or root.machine_id == scene.subject.host.machine_id:
        return None
    return Hit(source=proc(scene, "root/etc/machine-id"))
