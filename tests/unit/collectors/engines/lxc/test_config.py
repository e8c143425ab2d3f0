from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.lxc.config import LxcConfig, boots_by_config, parse_config, template_of
from tests.support.system_host import fixture


def parsed(text: str) -> LxcConfig:
    config = parse_config(text)
    assert config is not None
    return config


def test_what_the_busybox_template_wrote() -> None:
    config = parsed(fixture("lxc-busybox.config"))
    assert config.hostname == "priv"  # quoted in the file
    assert config.rootfs == "/srv/lxc/priv/rootfs"
    assert config.template == "busybox"
    assert config.network == "none"
    assert "/sys/kernel/security" in config.mounts
    assert boots_by_config(config) is True


@pytest.mark.parametrize(
    ("name", "parameters", "template"),
    [
        ("lxc-download", " -d debian -r bookworm -a amd64", "debian/bookworm/amd64"),
        ("lxc-download", " --dist=alpine --release 3.19", "alpine/3.19"),
        ("lxc-download", "", "download"),
        ("lxc-debian", " -r bookworm", "debian/bookworm"),
        ("lxc-oci", " --url docker:alpine:latest", "docker:alpine:latest"),
        ("mine.sh", " -r 'a", "mine.sh/'a"),
    ],
)
def test_template(name: str, parameters: str, template: str) -> None:
    text = (
        f"# Template used to create this container: /usr/share/lxc/templates/{name}\n"
        f"# Parameters passed to the template:{parameters}\n"
    )
    assert template_of(text) == template
    assert template_of("") == ""


@pytest.mark.parametrize(
    ("rootfs", "directory"),
    [
        ("/srv/r", "/srv/r"),
        ("dir:/srv/r", "/srv/r"),
        ("btrfs:/srv/r", "/srv/r"),
        ("overlay:/lower:/upper", ""),
        ("zfs:tank/lxc/a", ""),
        ("/dev/vg/lv", ""),
        ("loop:/srv/r.img", ""),
        ("", ""),
    ],
)
def test_rootfs(rootfs: str, directory: str) -> None:
    config = parsed(f"lxc.rootfs.path = {rootfs}\nlxc.uts.name = a\n")
    assert config.rootfs == directory
    assert config.has_rootfs is bool(rootfs)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/sbin/init", True),
        ("/lib/systemd/systemd --unit=x", True),
        ("/bin/busybox init", True),
        ("/bin/busybox sh", False),
        ("/usr/sbin/nginx -g 'daemon off;'", False),
        ("/init", None),
        ("", True),
    ],
)
def test_boots(command: str, expected: bool | None) -> None:
    assert boots_by_config(parsed(f"lxc.rootfs.path = /r\nlxc.init.cmd = {command}\n")) is expected


def test_without_a_root_filesystem_nothing_says_that_it_boots() -> None:
    assert boots_by_config(parsed("lxc.uts.name = a\n")) is None


def test_names_of_before_2_1() -> None:
    config = parsed("lxc.utsname=old\nlxc.rootfs=/r\nlxc.network.type = veth\nlxc.network.link=br0")
    assert (config.hostname, config.rootfs, config.network) == ("old", "/r", "br0")


@pytest.mark.parametrize(
    ("lines", "network"),
    [
        ("lxc.net.0.type = none", "host"),
        ("lxc.net.0.type = macvlan\nlxc.net.0.link = eth0\nlxc.net.1.type = none", "eth0"),
        ("lxc.net.0.type = phys", "phys"),
        ("lxc.uts.name = a", ""),
    ],
)
def test_network(lines: str, network: str) -> None:
    assert parsed(lines).network == network


def test_an_empty_mount_entry_takes_the_others_back() -> None:
    config = parsed(
        "lxc.mount.entry = /a a none bind 0 0\n"
        "lxc.mount.entry =\n"
        "lxc.mount.entry = /with\\040blank b none ro,rbind,optional 0 0\n"
        "lxc.mount.entry = tmpfs tmp tmpfs defaults 0 0\n"
    )
    assert config.mounts == ("/with blank",)


def test_includes_and_other_files_are_not_configurations() -> None:
    assert parse_config("#lxc.uts.name = a\nuts.name = b\nlxc\n") is None
    assert parsed("lxc.include = /etc/shadow\n") == LxcConfig()


LINES = st.sampled_from(
    ["lxc.uts.name", "lxc.rootfs.path", "lxc.init.cmd", "lxc.mount.entry", "lxc.net.0.type"]
)


@given(st.lists(st.tuples(LINES, st.text())), st.text())
def test_any_text_is_read(lines: list[tuple[str, str]], rest: str) -> None:
    text = "\n".join(f"{key} = {value}" for key, value in lines) + "\n" + rest
    config = parse_config(text)
    assert config is not None or not lines
    assert boots_by_config(config) in (True, False, None)
