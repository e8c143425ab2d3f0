"""The Debian package: checked by lintian, installed into a fresh Debian, run and purged."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent import __version__
from agent.cli.flags import parsers
from tests.engines.harness import roots
from tests.engines.harness.agent import Page, running_agent
from tests.engines.harness.need import need
from tests.engines.harness.programs import CommandError, run, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

QUIET = ("env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin")


def _root(pid: str) -> Path | None:
    with suppress(OSError):
        return Path(f"/proc/{pid}/root").readlink()
    return None


class Debian:
    """A disposable Debian 12 to install into."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *words: str | Path) -> str:
        return run("chroot", self.root, *QUIET, *words, timeout=300)

    def left(self) -> list[str]:
        """Return the files of the package that exist."""
        script = "find / -xdev -path '*tallyman*' -not -path '/var/log/*' -not -path '/root/*'"
        return self.run("sh", "-c", script).split()


@pytest.fixture(scope="module")
def debian(deb: Path) -> Iterator[Debian]:
    need("mmdebstrap", "chroot")
    lower = roots.debian()
    with workplace("deb") as place:
        run("mount", "-t", "tmpfs", "changes", place)
        for name in ("upper", "work", "root"):
            (place / name).mkdir()
        options = f"lowerdir={lower},upperdir={place}/upper,workdir={place}/work"
        run("mount", "-t", "overlay", "overlay", "-o", options, place / "root")
        run("mount", "--rbind", "/proc", place / "root/proc")
        run("mount", "--make-rslave", place / "root/proc")
        run("mount", "--rbind", "/sys", place / "root/sys")
        run("mount", "--make-rslave", place / "root/sys")
        shutil.copy(deb, place / "root/root")
        # Containers' roots leave these out to stay small; here they belong to the tested package.
        for file in (place / "root/etc/dpkg/dpkg.cfg.d").glob("*mmdebstrap"):
            file.unlink()
        system = Debian(place / "root")
        system.run("apt-get", "install", "--yes", f"/root/{deb.name}")
        yield system


def test_lintian_has_nothing_to_say(deb: Path) -> None:
    need("lintian")
    found = run("lintian", "--allow-root", "--tag-display-limit", "0", deb, timeout=300)
    assert [line for line in found.splitlines() if line.startswith(("E:", "W:"))] == []


def test_is_installed_and_is_scraped(debian: Debian) -> None:
    assert debian.run("tallyman", "--version").split() == ["tallyman", __version__]
    command = ("chroot", debian.root, *QUIET, "tallyman")
    with running_agent(command=command, start_seconds=60) as agent:
        agent.wait_ready(120)
        page = Page(agent.get("/metrics").text)
        owner = os.stat(f"/proc/{agent.pid}").st_uid

    assert page.value("tallyman_build_info", version=__version__) == 1
    # The process that talks to the network runs as the user that the package created.
    assert str(owner) == debian.run("id", "--user", "tallyman").strip()


def test_finds_its_configuration_where_it_put_it(debian: Debian) -> None:
    assert debian.run("tallyman", "check-config") == "/etc/tallyman/tallyman.toml: ok\n"


def test_nothing_is_compiled_at_each_start(debian: Debian) -> None:
    compiled = "*/agent/serve/__pycache__/daemon.*.pyc"
    found = debian.run("find", "/usr/lib/tallyman", "-path", compiled)
    assert len(found.split()) == 1


def test_the_service_is_enabled_but_not_started_where_no_systemd_runs(debian: Debian) -> None:
    assert debian.run("systemctl", "is-enabled", "tallyman.service").strip() == "enabled"
    inside = [pid for pid in os.listdir("/proc") if pid.isdigit() and _root(pid) == debian.root]
    assert inside == []


def test_the_manual_has_every_flag(debian: Debian) -> None:
    page = debian.run("zcat", "/usr/share/man/man1/tallyman.1.gz").replace("\\-", "-")
    _, commands = parsers()
    flags = {flag for command in commands.values() for flag in command.known_flags()}
    missing = flags - {"-h", "--help"} - {word for word in flags if word in page}
    assert missing == set()


def test_the_place_where_it_was_built_is_not_in_it(debian: Debian) -> None:
    clone = Path(__file__).parents[2]
    with pytest.raises(CommandError):  # grep found nothing
        debian.run("grep", "--recursive", "--files-with-matches", str(clone), "/usr/lib/tallyman")


def test_removed_it_leaves_its_settings_and_purged_nothing(debian: Debian) -> None:
    debian.run("apt-get", "remove", "--yes", "tallyman")
    kept = debian.left()
    assert "/etc/tallyman/tallyman.toml" in kept
    assert not [path for path in kept if path.startswith(("/usr/", "/lib/"))]

    debian.run("apt-get", "purge", "--yes", "tallyman")
    assert debian.left() == []
    with pytest.raises(CommandError):
        debian.run("id", "tallyman")
