"""Each engine's containers are found once, with name, state, style and parent."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness import bare, managers, oci, podman, roots, systems
from tests.engines.harness.agent import assert_found_once, ls
from tests.engines.harness.dockerd import FREE, SYSTEMD, docker_daemon
from tests.engines.harness.made import Made, unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import remove_cgroups, run, wait_until

if TYPE_CHECKING:
    from tests.engines.harness.agent import Agent
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

SLEEP = ("/bin/sleep", "86400")


def test_two_docker_daemons(docker: Docker) -> None:
    name = unique("twin")
    first = docker.run(docker.busybox(), *SLEEP, name=name)
    with docker_daemon(own_network=True) as other:
        second = other.run(other.busybox(), *SLEEP, name=f"{name}-other")

        rows = ls(f"--collector.docker.host={docker.endpoint}")

        assert_found_once(rows, first, style="app")
        # It is not configured: its shims and its socket reveal it.
        assert_found_once(rows, second, style="app")


def test_docker_with_a_cgroup_parent_of_its_own(docker: Docker) -> None:
    parent = unique("slice")
    made = docker.run(docker.busybox(), *SLEEP, options=(f"--cgroup-parent=/{parent}",))

    row = assert_found_once(ls(f"--collector.docker.host={docker.endpoint}"), made, style="app")

    assert row.id == f"/{parent}/{made.handle}"
    docker.remove_all()
    remove_cgroups(parent)


def test_docker_that_shares_namespaces(docker: Docker) -> None:
    owner = docker.run(docker.busybox(), *SLEEP)
    guest = docker.run(
        docker.busybox(),
        *SLEEP,
        options=(f"--network=container:{owner.name}", f"--pid=container:{owner.name}"),
    )
    of_host = docker.run(
        docker.busybox(),
        *SLEEP,
        options=("--network=host", "--pid=host", "--uts=host", "--ipc=host"),
    )

    rows = ls(f"--collector.docker.host={docker.endpoint}")

    for made in (owner, guest, of_host):
        assert_found_once(rows, made, style="app")


def test_docker_in_every_state(docker: Docker, agent: Agent) -> None:
    image = docker.busybox()
    paused = docker.run(image, *SLEEP, name=unique("paused"))
    docker.cli("pause", paused.name)
    ended = docker.run(image, "false", name=unique("ended"))
    created = docker.cli("create", "--name", unique("created"), image, *SLEEP)
    created_name = str(docker.inspect(created)["Name"]).removeprefix("/")
    restarting = docker.run(
        image, "false", name=unique("restarting"), options=("--restart=always",)
    )
    wait_until(
        lambda: docker.inspect(restarting.name)["RestartCount"] >= 4, "a container that restarts"
    )

    agent.wait_row(paused, state="paused")
    agent.wait_row(ended, state="exited")
    agent.wait_row(docker.made(created_name), state="created")
    agent.wait_row(restarting, state="restarting")
    page = agent.scrape()
    row = page.row(ended.name)
    assert row
    assert page.value("tallyman_container_exit_code", id=row.id) == 1


def test_docker_that_was_renamed_and_restarted_is_the_same(docker: Docker, agent: Agent) -> None:
    made = docker.run(docker.busybox(), *SLEEP)
    before = agent.wait_row(made)
    renamed = unique("renamed")

    docker.cli("rename", made.name, renamed)
    docker.cli("restart", "--time=0", renamed)
    after = agent.wait_row(docker.made(renamed))

    assert after.id == before.id
    assert agent.scrape().row(made.name) is None


def test_docker_that_removes_itself_leaves_its_exit_code(docker: Docker, agent: Agent) -> None:
    wait = "until ls /tmp/go; do sleep 0.1; done; exit 7"
    made = docker.run(docker.busybox(), "sh", "-c", wait, options=("--rm",))
    row = agent.wait_row(made)

    docker.cli("exec", made.name, "mkdir", "/tmp/go")

    page = agent.wait_for(
        lambda page: page.value("tallyman_container_exit_code", id=row.id) == 7, "its exit code"
    )
    assert page.value("tallyman_container_oom_killed", id=row.id) == 0
    agent.wait_row(made, state="dead")


def test_docker_in_docker(docker: Docker) -> None:
    """An engine inside a container is an application; what it runs is nested in it."""
    small = roots.make_busybox(docker.place / unique("inner-root"))
    outer = docker.run(
        docker.debian(),
        "sh",
        "-c",
        "mount -t tmpfs run /run && for c in /sys/fs/cgroup/*; do mount -o remount,bind,rw $c; done"
        "; exec dockerd --bridge=none --iptables=false --ip6tables=false --storage-driver=vfs",
        options=(
            *FREE,
            "--volume=/usr:/usr:ro",
            "--volume=/var/lib/docker",
            f"--volume={small}:/s",
        ),
    )
    inside = ("exec", outer.name)
    wait_until(lambda: docker.succeeds(*inside, "docker", "version"), "the inner daemon", 60)
    docker.cli(*inside, "sh", "-c", "tar -C /s -c . | docker import - small")
    name = unique("inner")
    handle = docker.cli(
        *inside, "docker", "run", "--detach", "--network=none", f"--name={name}", "small", *SLEEP
    )
    facts = docker.cli(*inside, "docker", "inspect", "--format={{.State.Pid}}", name)
    pid = _host_pid(outer, int(facts))
    # Only the inner daemon knows its name, and the agent asks no daemon inside a container.
    inner = Made(name="", engine="docker", handle=handle, pid=pid, parent=outer)

    rows = ls(f"--collector.docker.host={docker.endpoint}")

    assert_found_once(rows, outer, style="app")
    assert_found_once(rows, inner, style="app")


def test_podman(agent: Agent) -> None:
    need("podman", "conmon", "runc")
    with podman.podman() as engine:
        made = engine.run(*SLEEP)
        agent.wait_row(made, style="app")
        assert_found_once(ls(), made, style="app")

        engine.cli("stop", "--time=0", made.name)
        agent.wait_row(made, state="exited")
        assert_found_once(ls(), engine.made(made.name), state="exited")


def test_podman_without_cgroups() -> None:
    need("podman", "conmon", "crun")
    with podman.podman() as engine:
        made = engine.run(*SLEEP, options=("--cgroups=disabled",))

        assert_found_once(ls(), made, style="app")


def test_podman_of_an_ordinary_user() -> None:
    need("podman", "conmon", "newuidmap", "setpriv")
    with podman.podman_of_a_user() as engine:
        made = engine.run(*SLEEP)
        stopped = engine.run("/bin/true")

        rows = ls()

        assert_found_once(rows, made, style="app")
        assert_found_once(rows, engine.made(stopped.name), state="exited")


def test_containerd(agent: Agent) -> None:
    need("containerd", "ctr", "busybox")
    with oci.containerd(*SLEEP) as made:
        agent.wait_row(made, style="app")
        assert_found_once(ls(), made, style="app")


def test_runc(agent: Agent) -> None:
    need("runc", "busybox")
    with oci.runc(*SLEEP) as made:
        agent.wait_row(made, style="app")
        assert_found_once(ls(), made, style="app")


def test_runc_with_a_state_directory_that_nothing_names() -> None:
    """The runtime has exited, and init has adopted its processes."""
    need("runc", "busybox")
    with oci.runc(*SLEEP, own_root=True) as made:
        assert_found_once(ls(), made, style="app")


def test_runc_that_waits_to_be_started() -> None:
    need("runc", "busybox")
    with oci.runc(*SLEEP, own_root=True, action="create") as made:
        assert_found_once(ls(), made, state="created")


def test_crun() -> None:
    need("crun", "runc", "busybox")
    with oci.crun(*SLEEP) as made:
        assert_found_once(ls(), made, style="app")


def test_lxc_that_boots_a_system(agent: Agent) -> None:
    need("lxc-start")
    with systems.lxc() as made:
        made.wait_for("sshd", "cron", "rsyslogd")
        agent.wait_row(made, style="system")
        assert_found_once(ls(), made, style="system")


def test_lxc_unprivileged(agent: Agent) -> None:
    need("lxc-start", "newuidmap")
    with systems.lxc(*SLEEP, unprivileged=True) as made:
        agent.wait_row(made, style="app")
        assert_found_once(ls(), made, style="app")


def test_lxc_in_a_cgroup_of_ones_own_choice() -> None:
    need("lxc-start", "busybox")
    group = unique("group")
    with systems.lxc(*SLEEP, more=f"lxc.cgroup.dir = {group}") as made:
        assert_found_once(ls(), made, style="app")
    remove_cgroups(group)


def test_container_beside_one_on_the_hosts_root(tmp_path: Path) -> None:
    """What has the host's root directory is not the parent of all that the host starts."""
    need("lxc-execute", "unshare", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    words = ("unshare", "--mount", "--pid", "--fork", "--root", root)
    with (
        systems.lxc_on_the_hosts_root("/bin/sleep", "86400") as on_hosts_root,
        bare.sleeping_in("unshare", *words) as beside,
    ):
        rows = ls()
        (row,) = (row for row in rows if row.pid == beside.pid)
        assert (row.engine, row.parent_id) == ("unshare", "")
        assert_found_once(rows, on_hosts_root)


def test_lxc_execute() -> None:
    need("lxc-execute", "busybox")
    with systems.lxc_execute(*SLEEP) as made:
        assert_found_once(ls(), made, style="app")


def test_lxc_that_does_not_run(agent: Agent) -> None:
    need("lxc-start", "busybox")
    with systems.lxc(*SLEEP) as made:
        agent.wait_row(made)
        run("lxc-stop", f"--lxcpath={made.place}", f"--name={made.name}", "--kill")
        agent.wait_row(made, state="exited")


def test_nspawn_that_boots_a_system(agent: Agent) -> None:
    need("systemd-nspawn")
    with systems.nspawn() as made:
        made.wait_for("systemd", "cron", "rsyslogd")
        agent.wait_row(made, style="system")
        assert_found_once(ls(), made, style="system")


def test_nspawn_that_runs_one_program() -> None:
    need("systemd-nspawn", "busybox")
    with systems.nspawn(*SLEEP) as made:
        assert_found_once(ls(), made, style="app")


def test_bubblewrap_with_a_root_of_its_own(tmp_path: Path) -> None:
    need("bwrap", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    words = ("bwrap", "--bind", root, "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all")
    with bare.sleeping_in("bubblewrap", *words) as made:
        assert_found_once(ls(), made, style="app")


def test_charliecloud(tmp_path: Path) -> None:
    need("ch-run", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    with bare.sleeping_in("charliecloud", "ch-run", root, "--") as made:
        assert_found_once(ls(), made, style="app")


def test_flatpak() -> None:
    need("flatpak", "busybox")
    with managers.flatpak() as made:
        assert_found_once(ls(), made, style="app")


def test_lxd() -> None:
    need("lxd", "lxc", "busybox")
    with managers.lxd() as (made, idle):
        rows = ls()

        assert_found_once(rows, made)
        assert_found_once(rows, idle, state="exited")


def test_libvirt_lxc() -> None:
    need("libvirtd", "virsh", "busybox")
    with managers.libvirt() as (made, idle):
        rows = ls()

        assert_found_once(rows, made, style="app")
        assert_found_once(rows, idle, state="exited")


def test_unshare_with_a_root_of_its_own(tmp_path: Path, agent: Agent) -> None:
    need("unshare", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    words = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", f"--root={root}")
    with bare.sleeping_in("unshare", *words) as made:
        row = assert_found_once(ls(), made, style="app")
        # No cgroup and no engine reveals it.
        agent.wait_for(lambda p: [r for r in p.rows() if r.id == row.id], "it on the page", 15)


def test_unshare_without_a_pid_namespace(tmp_path: Path) -> None:
    need("unshare", "pivot_root", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    script = f"mount --bind {root} {root} && cd {root} && pivot_root . tmp && exec chroot . $0 $@"
    with bare.sleeping_in("none", "unshare", "--mount", "sh", "-c", script) as made:
        assert_found_once(ls(), made, style="app")


def test_a_container_in_a_container(docker: Docker) -> None:
    """Made by hand in a systemd that runs in Docker: each once, the inner one with its parent."""
    root = roots.make_busybox(docker.place / unique("root"))
    options = (*SYSTEMD, *FREE, f"--volume={root}:/inner")
    outer = docker.run(docker.debian(), "/sbin/init", options=options)
    outer.wait_for("cron", "sshd")
    words = (
        *("docker", f"--host={docker.endpoint}", "exec", outer.name),
        *("unshare", "--mount", "--pid", "--fork", "--root=/inner"),
    )
    with bare.sleeping_in("unshare", *words, parent=outer) as inner:
        rows = ls(f"--collector.docker.host={docker.endpoint}")

        assert_found_once(rows, outer, style="system")
        assert_found_once(rows, inner)


def test_what_an_attached_shell_makes_is_nested() -> None:
    """Its parent process is the host's lxc-attach; its mounts were made inside."""
    need("lxc-attach", "busybox")
    with systems.lxc(*SLEEP) as outer:
        assert outer.place
        roots.make_busybox(outer.place / outer.name / "rootfs/inner")
        words = (
            *("lxc-attach", f"--lxcpath={outer.place}", f"--name={outer.name}", "--"),
            *("/bin/busybox", "unshare", "-m", "-p", "-f", "/bin/chroot", "/inner"),
        )
        with bare.sleeping_in("unshare", *words, parent=outer) as inner:
            rows = ls()

            assert_found_once(rows, outer)
            assert_found_once(rows, inner)


def test_a_root_that_was_deleted(tmp_path: Path) -> None:
    need("unshare", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    words = ("unshare", "--mount", "--pid", "--fork", f"--root={root}")
    with bare.sleeping_in("unshare", *words) as made:
        shutil.rmtree(root)
        assert_found_once(ls(), made, style="app")


def _host_pid(outer: Made, inner_pid: int) -> int:
    for pid in outer.pids():
        status = Path(f"/proc/{pid}/status").read_text()
        numbers = next(line.split()[1:] for line in status.splitlines() if "NSpid" in line)
        if len(numbers) > 1 and int(numbers[1]) == inner_pid:
            return pid
    raise AssertionError(f"no process {inner_pid} in {outer.name}")
