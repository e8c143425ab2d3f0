"""Containers of the engines of 2026, for the guest of a newer Debian.

The guest is discarded afterwards, so nothing is cleaned up.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.guest.scene import LONG, SMALL, second_debian
from tests.engines.guest.user import USER, as_user, home
from tests.engines.harness.cri import Cri, Pod
from tests.engines.harness.made import Made, argv
from tests.engines.harness.programs import CommandError, Daemon, descendants, run, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

WEB = ("/bin/httpd", "-f", "-p", "8080")
PLACE = Path("/srv/modern")
PORT = "5000"
REGISTRY = f"registry.lab:{PORT}"
IMAGE = "localhost/lab/web"
CRI_IMAGE = "localhost/lab/web:latest"
QUADLETS = Path("/etc/containers/systemd")
_KUBE = """apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
  hostNetwork: true
  containers:
  - name: web
    image: localhost/lab/web:latest
    imagePullPolicy: Never
    command: ["/bin/sleep", "86411"]
    resources:
      limits:
        memory: 96Mi
        cpu: 500m
  - name: side
    image: localhost/lab/web:latest
    imagePullPolicy: Never
    command: ["/bin/sleep", "86412"]
"""


class Modern:
    """Makes the containers, and records the facts of each."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        PLACE.mkdir()
        self._root = PLACE / "root"
        shutil.copytree(SMALL, self._root, symlinks=True)
        for name in ("httpd", "dd", "tail"):
            (self._root / "bin" / name).unlink(missing_ok=True)
            (self._root / "bin" / name).symlink_to("busybox")
        run("tar", "-C", self._root, "-cf", PLACE / "root.tar", ".")
        change = f"--change=CMD {json.dumps(WEB)}"
        run("podman", "import", change, PLACE / "root.tar", IMAGE)
        self._layout = f"{PLACE}/oci:web"
        run("skopeo", "copy", f"containers-storage:{IMAGE}", f"oci:{self._layout}")
        # There is no bridge, and what lxc-create writes begins with this.
        Path("/etc/lxc/default.conf").write_text("lxc.net.0.type = empty\n")
        self._incus_ready = False
        self._cri: Cri | None = None
        self._pod: Pod | None = None

    def lxc_oci(self) -> Made:
        """An OCI image as lxc-create makes a container of it."""
        url = f"oci:{self._layout}"
        run("lxc-create", "--name=lxcoci", "--template=oci", "--", f"--url={url}", timeout=LONG)
        return self._lxc_execute("lxcoci")

    def lxc_oci_started(self) -> Made:
        """The same, told by ``lxc.init.cmd`` and started as any other container."""
        run("lxc-create", "--name=lxcinit", "--template=oci", "--", f"--url=oci:{self._layout}")
        config = Path("/var/lib/lxc/lxcinit/config")
        config.write_text(f"{config.read_text()}\nlxc.init.cmd = {' '.join(WEB)}\n")
        run("lxc-start", "--name=lxcinit", timeout=LONG)
        return self._lxc_made("lxcinit")

    def lxc_execute_typed(self) -> Made:
        here = Path("/var/lib/lxc/lxctyped")
        here.mkdir(parents=True)
        (here / "config").write_text(
            f"lxc.rootfs.path = dir:{self._root}\nlxc.uts.name = lxctyped\nlxc.net.0.type = empty\n"
        )
        return self._lxc_execute("lxctyped", *WEB)

    def lxc_oci_stopped(self) -> Made:
        run("lxc-create", "--name=lxcidle", "--template=oci", "--", f"--url=oci:{self._layout}")
        return Made(name="lxcidle", engine="lxc", handle="lxcidle", pid=None)

    def incus_oci(self) -> Made:
        """An OCI image from a registry, as Incus fetches and starts it."""
        self._incus()
        run("incus", "launch", "lab:web", "incoci", timeout=LONG)
        return self._incus_made("incoci")

    def incus_oci_stopped(self) -> Made:
        self._incus()
        run("incus", "create", "lab:web", "incidle", timeout=LONG)
        return Made(name="incidle", engine="incus", handle="incidle", pid=None)

    def incus_system(self) -> Made:
        self._incus()
        content = PLACE / "incus-image"
        shutil.copytree(SMALL, content / "rootfs", symlinks=True)
        (content / "rootfs/sbin").mkdir(exist_ok=True)
        (content / "rootfs/sbin/init").symlink_to("/bin/busybox")
        (content / "rootfs/etc/inittab").write_text(
            "::respawn:/bin/busybox crond -f\n::respawn:/bin/busybox syslogd -n\n"
            "::respawn:/bin/busybox getty 38400 console\n"
        )
        (content / "rootfs/var/spool/cron/crontabs").mkdir(parents=True)
        (content / "metadata.yaml").write_text(
            "architecture: x86_64\ncreation_date: 1700000000\nproperties:\n  os: Lab\n"
            "  release: one\n  description: a busybox\n"
        )
        run("tar", "-C", content, "-cf", PLACE / "incus.tar", ".")
        run("incus", "image", "import", PLACE / "incus.tar", "--alias=small", timeout=LONG)
        run("incus", "launch", "small", "incsys", timeout=LONG)
        return self._incus_made("incsys")

    def quadlet_container(self) -> Made:
        QUADLETS.mkdir(parents=True, exist_ok=True)
        (QUADLETS / "quad.container").write_text(
            f"[Container]\nImage={IMAGE}\nExec={' '.join(WEB)}\nNetwork=none\n"
            "[Service]\nMemoryMax=110M\n"
        )
        return self._unit("quad.service", "systemd-quad")

    def quadlet_pod(self) -> Made:
        """The member of a pod of two units."""
        QUADLETS.mkdir(parents=True, exist_ok=True)
        infra = f"PodmanArgs=--infra-image={IMAGE} --infra-command=/bin/sleep\\x2086413"
        (QUADLETS / "quadpod.pod").write_text(f"[Pod]\nNetwork=none\n{infra}\n")
        (QUADLETS / "member.container").write_text(
            f"[Container]\nImage={IMAGE}\nExec=/bin/sleep 86414\nPod=quadpod.pod\n"
        )
        return self._unit("member.service", "systemd-member")

    def quadlet_pod_infra(self) -> Made:
        return self._infra("systemd-quadpod")

    def quadlet_kube(self) -> Made:
        QUADLETS.mkdir(parents=True, exist_ok=True)
        (QUADLETS / "quadkube.yaml").write_text(_KUBE.format(name="quadkube"))
        (QUADLETS / "quadkube.kube").write_text("[Kube]\nYaml=quadkube.yaml\n")
        return self._unit("quadkube.service", "quadkube-web")

    def quadlet_kube_side(self) -> Made:
        return self._podman_made("quadkube-side")

    def kube_play(self) -> Made:
        (PLACE / "played.yaml").write_text(_KUBE.format(name="played"))
        run("podman", "kube", "play", PLACE / "played.yaml", timeout=LONG)
        return self._podman_made("played-web")

    def kube_play_side(self) -> Made:
        return self._podman_made("played-side")

    def cri_sandbox(self) -> Made:
        engine = self._containerd()
        self._pod = engine.pod("critical", cgroup_parent="system.slice")
        return self._cri_made("lab/critical", self._pod.handle)

    def cri_member(self) -> Made:
        engine = self._containerd()
        assert self._pod is not None
        handle = engine.start(self._pod, "web", CRI_IMAGE, *WEB)
        return self._cri_made("lab/critical/web", handle)

    def cri_in_a_slice(self) -> Made:
        """As the kubelet asks for it: a pod's slice with the limits of all of it."""
        group = "kubepods-burstable-podfeed.slice"
        run("systemctl", "set-property", "--runtime", group, "MemoryMax=130M", "CPUQuota=70%")
        engine = self._containerd()
        pod = engine.pod("sliced", cgroup_parent=group)
        # Its network is the host's, and the other pod listens there.
        handle = engine.start(pod, "idle", CRI_IMAGE, "/bin/sleep", "86417")
        return self._cri_made("lab/sliced/idle", handle)

    def ctr(self) -> Made:
        run("ctr", "image", "import", PLACE / "web.tar", timeout=LONG)
        run("ctr", "run", "--detach", CRI_IMAGE, "byctr", *WEB, timeout=LONG)
        lines = run("ctr", "task", "list").splitlines()
        pid = next(int(line.split()[1]) for line in lines if line.startswith("byctr"))
        return Made(name="byctr", engine="containerd", handle="byctr", pid=pid)

    def docker(self) -> Made:
        run("docker", "load", "--input", PLACE / "web.tar", timeout=LONG)
        words = ("--cpu-shares=512", "--memory=70m", "--name=dock")
        run("docker", "run", "--detach", *words, CRI_IMAGE, *WEB, timeout=LONG)
        handle, pid = run("docker", "inspect", "-f", "{{.Id}} {{.State.Pid}}", "dock").split()
        return Made(name="dock", engine="docker", handle=handle, pid=int(pid))

    def nspawn_boot(self) -> Made:
        second_debian(Path("/var/lib/machines/machboot"))
        settings = Path("/etc/systemd/nspawn/machboot.nspawn")
        settings.parent.mkdir(exist_ok=True)
        settings.write_text("[Exec]\nPrivateUsers=no\n[Network]\nVirtualEthernet=no\n")
        run("machinectl", "start", "machboot", timeout=LONG)
        made = self._machine("machboot")
        return made.wait_for("systemd", "cron", "rsyslogd", seconds=LONG)

    def nspawn_program(self) -> Made:
        root = PLACE / "machapp"
        shutil.copytree(self._root, root, symlinks=True)
        run(
            *("systemd-run", "--unit=of-machapp", "systemd-nspawn", "--machine=machapp"),
            *(f"--directory={root}", "--console=pipe", "--private-network", *WEB),
        )
        pid = wait_until(lambda: self._below_unit("of-machapp.service"), "machapp", LONG)
        return Made(name="machapp", engine="nspawn", handle="machapp", pid=pid)

    def rootless_with_pasta(self) -> Made:
        archive = home() / "web.tar"
        shutil.copy(PLACE / "root.tar", archive)
        as_user("podman", "import", f"--change=CMD {json.dumps(WEB)}", archive, "lab/web")
        words = ("--network=pasta", "--publish=18080:8080", "--name=rootless")
        as_user("podman", "run", "--detach", *words, "lab/web")
        return self._podman_made("rootless", as_user)

    def rootless_quadlet(self) -> Made:
        units = home() / ".config/containers/systemd"
        units.mkdir(parents=True)
        (units / "mine.container").write_text(
            "[Container]\nImage=localhost/lab/web\nExec=/bin/sleep 86415\nNetwork=none\n"
        )
        run("chown", "--recursive", f"{USER}:{USER}", home() / ".config")
        as_user("systemctl", "--user", "daemon-reload")
        as_user("systemctl", "--user", "start", "mine.service")
        return self._podman_made("systemd-mine", as_user)

    def _lxc_execute(self, name: str, *command: str) -> Made:
        log = PLACE / f"{name}.log"
        words = (f"--name={name}", *(("--", *command) if command else ()))
        daemon = Daemon("lxc-execute", *words, log=log)
        daemon.wait_for(lambda: _below(daemon.pid), "its program", LONG)
        return self._lxc_made(name)

    def _lxc_made(self, name: str) -> Made:
        pid = int(run("lxc-info", f"--name={name}", "--pid", "--no-humanize"))
        return Made(name=name, engine="lxc", handle=name, pid=pid)

    def _incus(self) -> None:
        """Start Incus, and a registry that it trusts."""
        if self._incus_ready:
            return
        self._incus_ready = True
        self._registry()
        run("systemctl", "start", "incus.socket", "incus.service", timeout=LONG)
        run("incus", "admin", "waitready", "--timeout=240", timeout=LONG)
        run("incus", "storage", "create", "default", "dir", timeout=LONG)
        root = ("root", "disk", "path=/", "pool=default")
        run("incus", "profile", "device", "add", "default", *root, timeout=LONG)
        url = f"https://{REGISTRY}"
        run("incus", "remote", "add", "lab", url, "--protocol=oci", timeout=LONG)

    def _registry(self) -> None:
        key, cert = PLACE / "key.pem", PLACE / "cert.pem"
        run(
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days=30", "-batch"),
            *("-subj=/CN=registry.lab", "-addext", "subjectAltName=DNS:registry.lab"),
            *("-keyout", key, "-out", cert),
        )
        trusted = Path("/etc/ssl/certs/ca-certificates.crt")
        trusted.parent.mkdir(parents=True, exist_ok=True)
        with trusted.open("a") as file:
            file.write(cert.read_text())
        with Path("/etc/hosts").open("a") as file:
            file.write("127.0.0.1 registry.lab\n")
        words = ("-m", "tests.engines.guest.registry", PLACE / "oci", "web", cert, key, PORT)
        daemon = Daemon(sys.executable, *words, log=PLACE / "registry.log")

        def answers() -> bool:
            try:
                run("skopeo", "inspect", f"docker://{REGISTRY}/web")
            except CommandError:
                time.sleep(1)
                return False
            return True

        daemon.wait_for(answers, "the registry", LONG)

    def _incus_made(self, name: str) -> Made:
        state = json.loads(run("incus", "query", f"/1.0/instances/{name}/state", timeout=LONG))
        return Made(name=name, engine="incus", handle=name, pid=int(state["pid"]))

    def _unit(self, unit: str, container: str) -> Made:
        run("systemctl", "daemon-reload")
        run("systemctl", "start", unit, timeout=LONG)
        return self._podman_made(container)

    def _podman_made(self, name: str, by: Callable[..., str] = run) -> Made:
        facts = "{{.Name}} {{.Id}} {{.State.Pid}}"
        name, handle, pid = by("podman", "container", "inspect", "-f", facts, name).split()
        return Made(name=name, engine="podman", handle=handle, pid=int(pid) or None)

    def _infra(self, pod: str) -> Made:
        handle = run("podman", "pod", "inspect", "-f", "{{.InfraContainerID}}", pod).strip()
        return self._podman_made(handle)

    def _containerd(self) -> Cri:
        if self._cri is None:
            archive = PLACE / "web.tar"
            run("skopeo", "copy", f"oci:{self._layout}", f"docker-archive:{archive}:{CRI_IMAGE}")
            pause = PLACE / "pause.tar"
            command = f"--change=ENTRYPOINT {json.dumps(['/bin/sleep', '86416'])}"
            run("podman", "import", command, PLACE / "root.tar", "localhost/lab/pause:1")
            run("podman", "save", "--output", pause, "localhost/lab/pause:1")
            for file in (archive, pause):
                run("ctr", "--namespace=k8s.io", "image", "import", file, timeout=LONG)
            self._cri = Cri(Path("/run/containerd/containerd.sock"))
        return self._cri

    def _cri_made(self, name: str, handle: str) -> Made:
        lines = run("ctr", "--namespace=k8s.io", "task", "list").splitlines()
        pid = next(int(line.split()[1]) for line in lines if line.startswith(handle))
        return Made(name=name, engine="containerd", handle=handle, pid=pid)

    def _machine(self, name: str) -> Made:
        leader = int(run("machinectl", "show", name, "--property=Leader", "--value"))
        return Made(name=name, engine="nspawn", handle=name, pid=leader)

    def _below_unit(self, unit: str) -> int | None:
        return _below(int(run("systemctl", "show", "--property=MainPID", "--value", unit)))


def _below(pid: int) -> int | None:
    """Return the process below another that is the web server."""
    return next((below for below in descendants(pid) if argv(below) == list(WEB)), None)
