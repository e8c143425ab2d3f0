from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from collectors.engines.openvz.discovery import is_node
from collectors.hostfs import HostFS
from collectors.kernel.virtualization import detect, inside_openvz

FLAGS = "processor : 0\nflags\t\t: fpu vme hypervisor lm\n"
CLOCKS = "sys/devices/system/clocksource/clocksource0/available_clocksource"
MakeHost = Callable[[Mapping[str, str]], HostFS]


@pytest.fixture
def make_host(tmp_path: Path) -> MakeHost:
    def make(files: Mapping[str, str]) -> HostFS:
        for top in ("proc", "sys"):
            (tmp_path / top).mkdir()
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return HostFS(str(tmp_path / "proc"), str(tmp_path / "sys"), str(tmp_path))

    return make


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ""),
        ({"proc/vz/version": "7.0.0"}, "openvz"),
        ({"proc/vz/version": "7.0.0", "proc/self/status": "Name:\tx\nenvID:\t101\n"}, "openvz"),
        ({"proc/vz/version": "7.0.0", "proc/self/status": "Name:\tx\nenvID:\t0\n"}, ""),
        ({"proc/vz/version": "7.0.0", "proc/bc/0/resources": ""}, ""),
        ({"proc/sys/kernel/osrelease": "5.15.90.1-microsoft-standard-WSL2\n"}, "wsl"),
        ({"run/systemd/container": "lxc\n"}, "lxc"),
        ({"run/host/container-manager": "systemd-nspawn"}, "systemd-nspawn"),
        ({"proc/1/environ": "TERM=xterm\0container=podman\0"}, "podman"),
        ({"proc/1/environ": "mycontainer=x\0container=oci\0"}, "container-other"),
        ({"proc/1/environ": "container=oci\0", "run/.containerenv": ""}, "podman"),
        ({"run/systemd/container": "kata\n"}, "container-other"),
        ({".dockerenv": ""}, "docker"),
        ({".dockerenv": "", "run/systemd/container": "lxc"}, "lxc"),
        ({"proc/1/cgroup": f"0::/system.slice/docker-{'a' * 64}.scope\n"}, "docker"),
        ({"proc/1/cgroup": f"4:cpu:/docker/{'a' * 64}\n"}, "docker"),
        ({"proc/1/cgroup": "0::/lxc.payload.web\n"}, "lxc"),
        ({"proc/1/cgroup": "4:cpu:/lxc/101\n"}, "lxc"),
        ({"proc/1/cgroup": "0::/init.scope\n"}, ""),
        ({"sys/class/dmi/id/sys_vendor": "VMware, Inc.\n"}, "vmware"),
        ({"sys/class/dmi/id/sys_vendor": "Dell Inc.\n"}, ""),
        ({"sys/class/dmi/id/sys_vendor": "QEMU\n"}, "qemu"),
        ({"sys/class/dmi/id/sys_vendor": "QEMU\n", CLOCKS: "kvm-clock tsc acpi_pm \n"}, "kvm"),
        (
            {
                "sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n",
                "sys/class/dmi/id/product_name": "Virtual Machine\n",
            },
            "microsoft",
        ),
        ({"sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n"}, ""),
        ({CLOCKS: "tsc hpet\n"}, ""),
        ({CLOCKS: "xen tsc\n"}, "xen"),
        ({CLOCKS: "xen tsc\n", "proc/xen/capabilities": "control_d\n"}, ""),
        ({"sys/hypervisor/type": "xen\n"}, "xen"),
        ({"proc/cpuinfo": FLAGS}, "vm-other"),
        ({"proc/cpuinfo": FLAGS, "proc/1/environ": "container=docker\0"}, "docker"),
    ],
)
def test_names_what_the_host_runs_in(
    make_host: MakeHost, files: Mapping[str, str], expected: str
) -> None:
    assert detect(make_host(files)) == expected


def test_a_node_is_not_inside_openvz_and_a_container_is(make_host: MakeHost) -> None:
    assert inside_openvz(make_host({"proc/vz/version": "7.0.0"}))


@pytest.mark.parametrize(
    ("files", "inside"),
    [
        ({"proc/self/status": "envID:\t0\n"}, False),
        ({"proc/self/status": "envID:\t101\n"}, True),
        ({"proc/vz/veinfo": "       101     0    23\n         0     0    99\n"}, False),
        ({"proc/vz/veinfo": "       101     0    23\n"}, True),
        ({"proc/vz/veinfo": "         0     0    99\n", "proc/self/status": "envID:\t7\n"}, True),
    ],
)
def test_what_tells_a_node_from_its_containers(
    make_host: MakeHost, files: Mapping[str, str], inside: bool
) -> None:
    """OpenVZ's collector and the name of what the host runs in never contradict each other."""
    host = make_host({"proc/vz/version": "7.0.0", **files})
    assert inside_openvz(host) is inside
    assert is_node(host) is not inside
    assert (detect(host) == "openvz") is inside


def test_a_fifo_in_the_place_of_a_mark_does_not_block(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host({})
    (tmp_path / "run" / "systemd").mkdir(parents=True)
    os.mkfifo(tmp_path / "run" / "systemd" / "container")
    assert detect(host) == ""
