"""Look-alikes: never counted as containers, and shown with the reason."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness import bare, podman, roots, systems
from tests.engines.harness.agent import assert_found_once, assert_no_container, ls, rows_about
from tests.engines.harness.made import comm, unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import parent_of, run

if TYPE_CHECKING:
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

SLEEP = ("/bin/sleep", "86400")
HEX = "0123456789abcdef" * 4


def test_chroot(tmp_path: Path) -> None:
    need("chroot", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    with bare.sleeping_in("none", "chroot", root) as made:
        assert_no_container(ls(), made)


def test_network_namespace_of_ip_netns() -> None:
    need("ip")
    name = unique("net")
    run("ip", "netns", "add", name)
    try:
        with bare.sleeping_in("none", "ip", "netns", "exec", name) as made:
            assert_no_container(ls(), made)
    finally:
        run("ip", "netns", "delete", name)


@pytest.mark.parametrize(
    "flags",
    [
        ("--mount",),
        ("--net",),
        ("--mount", "--net", "--ipc", "--uts"),
        ("--mount", "--pid", "--fork", "--mount-proc"),
        ("--user", "--map-root-user", "--pid", "--fork"),
        ("--time", "--fork"),
    ],
    ids=" ".join,
)
def test_namespaces_over_the_hosts_root(flags: tuple[str, ...]) -> None:
    need("unshare")
    with bare.sleeping_in("none", "unshare", *flags) as made:
        assert_no_container(ls(), made)


def test_bubblewrap_over_the_hosts_root() -> None:
    need("bwrap")
    words = ("bwrap", "--bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all")
    with bare.sleeping_in("bubblewrap", *words) as made:
        assert_no_container(ls(), made)


def test_bubblewrap_over_the_hosts_programs() -> None:
    """A tmpfs root with the host's /usr bind-mounted into it: a sandbox around a host program."""
    need("bwrap")
    links = [w for d in ("bin", "lib", "lib64", "sbin") for w in ("--symlink", f"usr/{d}", f"/{d}")]
    words = ("bwrap", "--ro-bind", "/usr", "/usr", *links, "--proc", "/proc", "--unshare-pid")
    with bare.sleeping_in("bubblewrap", *words) as made:
        assert_no_container(ls(), made)


def test_bubblewrap_over_the_hosts_programs_in_another_place() -> None:
    """As nsjail does it where /bin is a link to usr/bin."""
    need("bwrap")
    places = ("/usr/bin", "/bin", "--ro-bind", "/usr/lib", "/lib", "--ro-bind", "/usr/lib64")
    words = ("bwrap", "--ro-bind", *places, "/lib64", "--proc", "/proc", "--unshare-pid")
    with bare.sleeping_in("bubblewrap", *words) as made:
        assert_no_container(ls(), made)


def test_firejail() -> None:
    need("firejail")
    words = ("firejail", "--noprofile", "--quiet", "--private-tmp", "--private-dev")
    with bare.sleeping_in("firejail", *words) as made:
        assert_no_container(ls(), made)


@pytest.mark.parametrize("flags", [(), ("--mount",)], ids=["", "--mount"])
def test_browser_sandbox(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """An empty root, as browsers give their renderers."""
    need("unshare")
    program = "import os, sys, time; os.chroot(sys.argv[1]); time.sleep(86400)"
    words = ("unshare", *flags, "--user", "--map-root-user", "--pid", "--net", "--fork")
    command = ("/usr/bin/python3", "-c", program, str(tmp_path))
    with bare.program_in("none", words, command) as made:
        assert_no_container(ls(), made)


JAIL = """import ctypes, os, subprocess, sys, time
os.chdir(sys.argv[2])
if sys.argv[1] == "chroot":
    os.chroot(".")
else:
    subprocess.run(["pivot_root", ".", "."], check=True)
    assert ctypes.CDLL(None).umount2(b".", 2) == 0
time.sleep(86400)
"""


@pytest.mark.parametrize("pid_namespace", [(), ("--pid", "--fork")], ids=["", "--pid"])
@pytest.mark.parametrize("by", ["chroot", "pivot_root"])
def test_daemon_that_jails_itself(tmp_path: Path, by: str, pid_namespace: tuple[str, ...]) -> None:
    """As virtiofsd does it, with a whole root filesystem in the directory that it serves."""
    need("unshare", "busybox")
    root = roots.make_busybox(tmp_path / "served")
    script = 'mount --bind "$0" "$0" && exec "$@"'
    words = ("unshare", "--mount", *pid_namespace, "sh", "-c", script, str(root))
    command = ("/usr/bin/python3", "-c", JAIL, by, str(root))
    with bare.program_in("none", words, command) as made:
        assert_no_container(ls(), made)


def test_daemon_whose_program_is_on_another_filesystem_than_the_hosts_root(tmp_path: Path) -> None:
    """As pasta does it, podman's network, where the host's /usr is a filesystem of its own."""
    need("unshare", "mount")
    (tmp_path / "empty").mkdir()
    place = Path("/usr/local/lib") / unique("disk")
    place.mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", place)
    try:
        # Once it is detached, paths begin at its top, as if it were mounted on /usr.
        program = place / place.relative_to("/usr") / "python3"
        program.parent.mkdir(parents=True)
        shutil.copy(Path("/usr/bin/python3").resolve(), program)
        (place / "python3").hardlink_to(program)
        script = 'mount --bind "$0" "$0" && exec "$@"'
        words = ("unshare", "--mount", "--pid", "--fork", "sh", "-c", script, tmp_path / "empty")
        command = (str(program), "-c", JAIL, "pivot_root", f"{tmp_path}/empty")
        with bare.program_in("none", ("env", "PYTHONHOME=/usr", *words), command) as made:
            assert_no_container(ls(), made)
    finally:
        run("umount", "-l", place)
        place.rmdir()


def test_session_of_a_user() -> None:
    with bare.cgroup("user.slice/user-4711.slice/session-c1.scope", with_host_process=True) as made:
        rows = ls()

    assert not [row for row in rows_about(rows, made) if not row.reason]


@pytest.mark.parametrize(
    "path",
    [
        f"docker/{HEX}",
        f"system.slice/docker-{HEX}.scope",
        f"libpod_parent/libpod-{HEX}",
        f"kubepods/besteffort/pod{HEX[:8]}-0123-4567-89ab-0123456789ab/{HEX}",
        "lxc.payload.tmnobody",
        "lxc/tmnobody",
        "machine.slice/machine-tmnobody.scope",
    ],
)
@pytest.mark.parametrize("with_host_process", [False, True], ids=["empty", "host process"])
def test_cgroup_with_the_name_of_an_engine(path: str, *, with_host_process: bool) -> None:
    with bare.cgroup(path, with_host_process=with_host_process) as made:
        assert_no_container(ls(), made)


def test_conmon() -> None:
    need("podman", "conmon", "runc")
    with podman.podman() as engine:
        made = engine.run(*SLEEP)
        assert made.pid
        conmon = parent_of(made.pid)
        assert comm(conmon) == "conmon"

        rows = ls()

        assert_found_once(rows, made)
        assert not [row for row in rows if row.pid == conmon and not row.reason]
        assert not [row for row in rows if "conmon" in row.id + row.name and not row.reason]


def test_monitor_of_lxc() -> None:
    need("lxc-start", "busybox")
    with systems.lxc(*SLEEP) as made:
        rows = ls()

        assert_found_once(rows, made)
        assert not [row for row in rows if "lxc.monitor" in row.id + row.name and not row.reason]


def test_shim_of_containerd(docker: Docker) -> None:
    made = docker.run(docker.busybox(), *SLEEP)
    assert made.pid
    shim = replace(made, name="", handle=unique("shim"), pid=parent_of(made.pid))

    rows = ls(f"--collector.docker.host={docker.endpoint}")

    assert not [row for row in rows if row.pid == shim.pid and not row.reason]


def test_process_of_docker_exec(docker: Docker) -> None:
    made = docker.run(docker.busybox(), *SLEEP)
    docker.cli("exec", "--detach", made.name, "sh", "-c", "sleep 4711; :")

    assert_found_once(ls(f"--collector.docker.host={docker.endpoint}"), made, style="app")


def test_services_inside_a_system_are_not_containers_of_their_own() -> None:
    need("lxc-start")
    with systems.lxc() as made:
        made.wait_for("sshd", "cron", "rsyslogd")

        row = assert_found_once(ls(), made, style="system")

        assert row.id == f"/lxc.payload.{made.name}"


def test_sandbox_that_changed_its_root_is_shown_once_with_the_reason_that_holds(
    tmp_path: Path,
) -> None:
    """As Chrome's: namespaces of its own, an empty root, and the host's mounts."""
    need("unshare")
    program = "import os, sys, time; os.chroot(sys.argv[1]); time.sleep(86400)"
    words = ("unshare", "--user", "--map-root-user", "--pid", "--net", "--fork")
    command = ("/usr/bin/python3", "-c", program, str(tmp_path))
    with bare.program_in("none", words, command) as made:
        assert made.pid is not None
        pids = {parent_of(made.pid), *made.pids()}
        (row,) = (row for row in ls() if row.pid in pids)
    assert row.reason == (
        "of its own are only pid, net, user, the root directory; the mounts are the host's"
    )
