from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collectors.catalogue import WRAPPERS
from collectors.engines.sandboxes.collector import SandboxCollector
from tests.support.processes import HOST, process
from tests.support.system_host import NOW, captured, context, fixture

if TYPE_CHECKING:
    from collectors.facts import Process, Sighting

FILES = {
    **{f"proc/{pid}/mountinfo": fixture("charliecloud.mountinfo") for pid in (23077, 23078, 23079)},
    "proc/7037/mountinfo": fixture("flatpak.mountinfo"),
    "proc/7037/root/.flatpak-info": fixture("flatpak-info"),
}


def seen(tmp_path: Path, *processes: Process, **files: str | bytes) -> list[Sighting]:
    paths = {name.replace("__", "/"): content for name, content in files.items()}
    return list(SandboxCollector().collect(context(tmp_path, HOST, processes, paths)))


def made(pid: int, ppid: int, **more: Any) -> Process:
    """A process in mounts and a root of its own."""
    return process(pid, ppid, **{"ns": {"mnt": 20, "pid": 21}, "root": 1, **more})


def test_who_made_what_on_a_real_host(tmp_path: Path) -> None:
    facts, processes = captured("sandboxes.json")
    sightings = SandboxCollector().collect(context(tmp_path, facts, processes, FILES))
    assert sorted((s.engine, s.command[-1].removesuffix("; true")[-4:]) for s in sightings) == [
        ("bubblewrap", "6001"),
        ("bubblewrap", "6002"),  # --as-pid-1
        ("bubblewrap", "6004"),  # over the host's /usr: that it is a sandbox is said by its mounts
        ("bubblewrap", "6005"),  # no pid namespace
        ("bubblewrap", "6006"),
        ("bubblewrap", "6020"),
        ("charliecloud", "6021"),
        ("charliecloud", "6022"),
        ("charliecloud", "6023"),
        ("flatpak", "6040"),
        ("unshare", "6011"),
        ("unshare", "6013"),
        ("unshare", "6017"),
        ("unshare", "6018"),
        ("unshare", "6019"),  # busybox's
    ]


def test_the_init_is_the_topmost_process_inside(tmp_path: Path) -> None:
    facts, processes = captured("sandboxes.json")
    table = {p.pid: p for p in processes}
    sightings = list(SandboxCollector().collect(context(tmp_path, facts, processes, FILES)))
    for sighting in sightings:
        assert sighting.init is not None
        init = table[sighting.init.pid]
        assert init.id == sighting.init
        assert init.root != facts.root
        assert init.namespaces.mnt != facts.namespaces.mnt
        parent = table.get(init.ppid)
        assert parent is None or parent.root == facts.root
    mounts = [table[s.init.pid].namespaces.mnt for s in sightings if s.init]
    assert len(set(mounts)) == len(mounts)


def test_names_and_images(tmp_path: Path) -> None:
    facts, processes = captured("sandboxes.json")
    sightings = SandboxCollector().collect(context(tmp_path, facts, processes, FILES))
    flatpak = next(s for s in sightings if s.engine == "flatpak")
    assert flatpak.name == "org.gnome.Calculator"
    assert flatpak.image == "app/org.gnome.Calculator/x86_64/stable"
    assert flatpak.labels == {"flatpak.instance-id": "3193852340"}
    cloud = next(s for s in sightings if s.engine == "charliecloud")
    assert cloud.image == "sb"
    assert cloud.name == "sleep"


@pytest.mark.parametrize(
    ("exe", "argv", "engine"),
    [
        ("/usr/bin/bwrap", ("x",), "bubblewrap"),
        ("/usr/libexec/flatpak-bwrap", ("x",), "bubblewrap"),
        ("/usr/bin/firejail", ("x",), "firejail"),
        ("/usr/bin/unshare", ("x",), "unshare"),
        ("/bin/busybox", ("unshare", "-mf"), "unshare"),
        ("/bin/busybox", ("busybox", "unshare", "-mf"), "unshare"),
        ("/bin/busybox", ("sh", "unshare"), "unshare"),
        ("/bin/busybox", ("sh",), ""),
        ("/usr/libexec/apptainer/bin/starter-suid", ("x",), "apptainer"),
        ("/usr/libexec/singularity/bin/starter", ("x",), "singularity"),
        ("/home/me/bin/starter", ("x",), ""),
        ("/usr/bin/nsjail", ("x",), "nsjail"),
        ("/usr/bin/perl", ("perl", "/usr/bin/mmdebstrap"), "mmdebstrap"),
        ("/usr/bin/perl5.36", ("perl", "/usr/bin/other"), ""),
        ("/usr/bin/podman", ("buildah-oci-runtime",), "podman"),
        ("/usr/bin/podman", ("podman", "run"), ""),
        ("/usr/bin/bash", ("bwrap",), ""),
        ("/usr/bin/bwrap (deleted)", ("x",), "bubblewrap"),
    ],
)
def test_the_parents_binary_tells(
    tmp_path: Path, exe: str, argv: tuple[str, ...], engine: str
) -> None:
    sightings = seen(tmp_path, process(10, exe=exe, argv=argv), made(11, 10))
    assert [s.engine for s in sightings] == ([engine] if engine else [])
    assert engine in WRAPPERS or engine in ("", "podman")


def test_containers_of_other_engines_are_left_to_them(tmp_path: Path) -> None:
    shim = process(10, exe="/usr/bin/containerd-shim-runc-v2")
    init = made(11, 10)
    child = made(12, 11, ns_pids=(12, 2))
    visitor = made(13, 1)
    marked = "1 0 8:1 / /var/lib/snapd/hostfs rw - ext4 /dev/sda rw\n"
    assert seen(tmp_path, shim, init, child, visitor, proc__11__mountinfo=marked) == []


def test_one_inside_a_container_is_seen_as_well(tmp_path: Path) -> None:
    shim = process(9, exe="/usr/bin/containerd-shim-runc-v2")
    outer = made(10, 9)
    bwrap = made(11, 10, exe="/usr/bin/bwrap", ns_pids=(11, 2))
    nested = process(12, 11, ns={"mnt": 30, "pid": 31}, root=2, ns_pids=(12, 3, 1))
    (sighting,) = seen(tmp_path, shim, outer, bwrap, nested)
    assert (sighting.engine, sighting.init) == ("bubblewrap", nested.id)


@pytest.mark.parametrize(
    ("builder", "engine"), [("dockerd", "docker"), ("buildkitd", "buildkit"), ("bash", "")]
)
def test_a_build_step_is_its_builders(tmp_path: Path, builder: str, engine: str) -> None:
    daemon = process(9, exe=f"/usr/bin/{builder}")
    argv = ("runc", "--log", "l", "run", "--bundle", "/b/m8kv2qcq", "m8kv2qcq")
    runc = process(10, 9, exe="/usr/sbin/runc", argv=argv)
    sightings = seen(tmp_path, daemon, runc, made(11, 10))
    assert [(s.engine, s.engine_id, s.boots) for s in sightings] == (
        [(engine, "m8kv2qcq", False)] if engine else []
    )


def test_a_podman_build_step_is_named_by_its_cgroup(tmp_path: Path) -> None:
    podman = process(9, exe="/usr/bin/podman")
    step = process(10, 9, exe="/usr/bin/podman", argv=("buildah-oci-runtime",), ns={"mnt": 30})
    (sighting,) = seen(tmp_path, podman, step, made(11, 10, cgroup="/x/buildah-buildah126098344"))
    assert (sighting.engine, sighting.instance) == ("podman", "build")
    assert sighting.engine_id == sighting.name == "buildah-buildah126098344"


def test_firejail_knows_its_sandboxes_by_name(tmp_path: Path) -> None:
    outside = process(10, exe="/usr/bin/firejail", uid=1000)
    sightings = seen(tmp_path, outside, made(11, 10), root__run__firejail__name__10="browser\n")
    assert [(s.name, s.instance) for s in sightings] == [("browser", "1000")]


def test_a_snap_is_told_by_its_mounts(tmp_path: Path) -> None:
    mounts = (
        "1 0 7:1 / / ro - squashfs /dev/loop1 ro\n"
        "2 1 8:1 / /var/lib/snapd/hostfs rw - ext4 /dev/sda rw\n"
    )
    where = "/user.slice/app.slice/snap.hello-world.env-5a2f3c1e-0000-4000-8000-0123456789ab.scope"
    snap = made(11, 1, ns={"mnt": 20}, cgroup=where)
    (sighting,) = seen(tmp_path, snap, proc__11__mountinfo=mounts)
    assert (sighting.engine, sighting.name, sighting.image) == (
        "snap",
        "hello-world.env",
        "hello-world",
    )


def test_an_apptainer_instance(tmp_path: Path) -> None:
    starter = process(
        10,
        exe="/usr/libexec/apptainer/bin/starter-suid",
        argv=("Apptainer instance: me [web]",),
        uid=1000,
    )
    environment = b"HOME=/home/me\0APPTAINER_CONTAINER=/home/me/nginx.sif\0"
    (sighting,) = seen(tmp_path, starter, made(11, 10), proc__11__environ=environment)
    assert (sighting.engine, sighting.name, sighting.image) == (
        "apptainer",
        "web",
        "/home/me/nginx.sif",
    )


def test_a_stranger_is_looked_at_once_and_a_newborn_again(tmp_path: Path) -> None:
    old = made(11, 1)
    young = made(12, 1, ns={"mnt": 30}, root=2)
    facts = dataclasses.replace(HOST, boot_time=NOW - 5)
    collector = SandboxCollector()
    assert list(collector.collect(context(tmp_path, HOST, [old]))) == []
    assert list(collector.collect(context(tmp_path, facts, [old, young]))) == []
    files = {f"proc/{pid}/mountinfo": fixture("charliecloud.mountinfo") for pid in (11, 12)}
    sightings = list(collector.collect(context(tmp_path, HOST, [old, young], files)))
    assert [s.init for s in sightings] == [young.id]
