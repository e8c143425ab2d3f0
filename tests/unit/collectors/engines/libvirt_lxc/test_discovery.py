from __future__ import annotations

from pathlib import Path

from collectors.engines.libvirt_lxc.discovery import defined_domains, find_controllers
from tests.support.processes import HOST, process
from tests.support.system_host import context, fixture


def test_a_forged_controller_is_none(tmp_path: Path) -> None:
    argv = ("/usr/lib/libvirt/libvirt_lxc", "--name", "web")
    liar = process(10, exe="/home/eve/x", argv=argv)
    child = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1)
    nameless = process(12, exe=argv[0], argv=argv[:1])
    inside = process(13, 12, ns={"mnt": 30, "pid": 31}, root=2)
    processes = [liar, child, nameless, inside]
    assert list(find_controllers(context(tmp_path, HOST, processes))) == []


def test_a_controller_has_the_name_of_its_domain_and_the_first_process(tmp_path: Path) -> None:
    argv = ("/usr/lib/libvirt/libvirt_lxc", "--console", "25", "--name", "web")
    controller = process(10, exe=argv[0], argv=argv)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1)
    (only,) = find_controllers(context(tmp_path, HOST, [controller, init]))
    assert (only.process, only.name, only.init) == (controller, "web", init)


def test_files_that_are_no_domains_are_counted_and_left_out(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "root/etc/libvirt/lxc/off.xml": fixture("libvirt-domain.xml"),
        "root/etc/libvirt/lxc/other.xml": "<domain type='kvm'><name>d</name></domain>",
        "root/etc/libvirt/lxc/notes.txt": "",
    }
    ctx = context(tmp_path, HOST, [], files)
    assert [d.name for d in defined_domains(ctx)] == ["off"]
    assert ctx.host.tally.malformed == {"/etc/libvirt/lxc/other.xml": 1}
