"""What an engine was told, and workshops: containers labelled before they were judged."""

from __future__ import annotations

from tests.corpus.scenarios import APPLETS, Scenario, sh

_DAY = "2026-11-30"
_SHARED = ("--network", "host", "--pid", "host", "--ipc", "host", "--pids-limit", "-1")
_OPEN = ("shared_host_namespaces", "no_limits", "logged_into", "drifted")
_PERSON = ("podman exec --detach --tty $NAME bash",)

SCENARIOS = (
    Scenario(
        name="toolbx",
        style="app",
        about="a Toolbx: the home of its user, the host's namespaces, a shell",
        engine="podman",
        options=(*_SHARED, "--label", "com.github.containers.toolbox=true", "-v", "/root:/root"),
        command=("sleep", "infinity"),
        then=_PERSON,
        findings=("workshop",),
        absent=_OPEN,
        labelled=_DAY,
    ),
    Scenario(
        name="distrobox",
        style="app",
        about="a Distrobox with sshd and cron in it, of a person who is in it",
        engine="podman",
        options=(*_SHARED, "--label", "manager=distrobox", "-v", "/root:/root"),
        command=sh("mkdir -p /run/sshd; /usr/sbin/sshd -p 2297; cron; exec sleep infinity"),
        then=_PERSON,
        findings=("workshop",),
        absent=(*_OPEN, "docker_as_vm"),
        labelled=_DAY,
    ),
    Scenario(
        name="dev-container",
        style="app",
        about="a dev container: a loop that keeps it alive, a shell by exec",
        engine="podman",
        options=(
            *("--label", "devcontainer.local_folder=/root/shop", "-v", "/root:/workspaces"),
            *("--pids-limit", "-1"),
        ),
        command=sh("while sleep 1 & wait $!; do :; done"),
        then=_PERSON,
        findings=("workshop",),
        absent=_OPEN,
        labelled=_DAY,
    ),
    Scenario(
        name="toolbx-by-label-alone",
        style="app",
        about="a redis whose image says that it is a Toolbx",
        engine="podman",
        options=(*_SHARED, "--label", "com.github.containers.toolbox=true"),
        command=("redis-server", "--port", "6502"),
        findings=("shared_host_namespaces", "no_limits"),
        absent=("workshop",),
        labelled=_DAY,
    ),
    Scenario(
        name="lxc-init-web",
        style="app",
        sure=False,
        about="busybox init over one web server in LXC, made by hand",
        engine="lxc-tiny",
        command=sh(
            APPLETS + "mkdir -p /etc; printf '::respawn:/bin/httpd -f -p 8080\\n' > /etc/inittab; "
            "exec /bin/init"
        ),
        findings=("single_app_in_system_container",),
        labelled=_DAY,
    ),
)
