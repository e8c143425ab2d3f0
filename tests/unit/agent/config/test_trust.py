from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.config import ConfigError, load
from agent.config.trust import UntrustedFileError, read_trusted
from tests.support.as_root import AS_ROOT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    made = tmp_path / "tallyman.toml"
    made.write_text("[log]\n")
    made.chmod(0o600)
    return made


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_a_file_that_only_its_owner_may_write(file: Path, mode: int) -> None:
    file.chmod(mode)
    read = read_trusted(str(file))
    assert read.content == b"[log]\n"
    assert read.warnings == ()


@pytest.mark.parametrize(
    ("mode", "who"), [(0o602, "every user"), (0o666, "every user"), (0o660, "its group")]
)
def test_a_file_that_others_may_write_is_refused(file: Path, mode: int, who: str) -> None:
    file.chmod(mode)
    with pytest.raises(UntrustedFileError) as caught:
        read_trusted(str(file))
    assert str(caught.value) == (
        f"{file}: is not used, as {who} may write it (mode 0{mode:o}): chmod go-w {file}"
    )


def test_the_configuration_file_is_refused(file: Path) -> None:
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="every user may write it"):
        load(str(file))


def test_a_directory_in_which_every_user_may_replace_the_file(file: Path) -> None:
    file.parent.chmod(0o777)
    with pytest.raises(UntrustedFileError) as caught:
        read_trusted(str(file))
    assert str(caught.value) == (
        f"{file}: is not used, as every user may replace it: {file.parent} is writable "
        f"(mode 0777): chmod go-w {file.parent}"
    )


def test_a_directory_in_which_a_group_may_replace_the_file(file: Path) -> None:
    file.parent.chmod(0o775)
    (warning,) = load(str(file)).warnings
    assert warning == (
        f"{file}: its group may replace it: {file.parent} is writable (mode 0775): "
        f"chmod g-w {file.parent}"
    )


def test_a_sticky_directory_is_one_in_which_none_may_replace_it(file: Path) -> None:
    file.parent.chmod(0o1777)
    assert read_trusted(str(file)).warnings == ()


def test_the_directory_that_a_link_leads_to_counts(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    file = file.rename(folder / "real.toml")
    folder.chmod(0o777)
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    with pytest.raises(UntrustedFileError, match="every user may replace it"):
        read_trusted(str(link))


@AS_ROOT
def test_a_file_of_another_user(file: Path) -> None:
    os.chown(file, 4711, 0)
    assert read_trusted(str(file)).warnings == (
        f"{file}: belongs to user 4711, who may change it: chown root",
    )


@AS_ROOT
def test_a_directory_of_another_user(file: Path) -> None:
    os.chown(file.parent, 4711, 0)
    assert read_trusted(str(file)).warnings == (
        f"{file}: its directory {file.parent} belongs to user 4711: chown root",
    )


def test_a_pipe_of_the_shell_is_nobody_elses() -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"[log]\n")
    os.close(write_end)
    read = read_trusted(f"/dev/fd/{read_end}")
    os.close(read_end)
    assert (read.content, read.warnings, read.exposure("x")) == (b"[log]\n", (), ())


def test_a_name_cannot_forge_a_line(tmp_path: Path) -> None:
    file = tmp_path / "x\n\x1b[31m.toml"
    file.write_text("")
    file.chmod(0o666)
    with pytest.raises(UntrustedFileError) as caught:
        read_trusted(str(file))
    assert str(caught.value).isprintable()


def test_a_secret_that_every_user_may_read(file: Path) -> None:
    assert read_trusted(str(file)).exposure("this key") == ()
    file.chmod(0o604)
    assert read_trusted(str(file)).exposure("this key") == (
        f"{file}: every user may read this key (mode 0604): chmod o-r {file}",
    )


def test_a_vzlist_that_others_may_write_is_refused(file: Path) -> None:
    """The agent runs it, most likely as root."""
    program = file.with_name("vzlist")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    flags = {"collector.openvz.vzlist_command": ["/usr/bin/env", str(program)]}
    assert load(str(file), flags).warnings == ()
    program.chmod(0o775)
    with pytest.raises(ConfigError, match="vzlist: is not used, as its group may write it"):
        load(str(file), flags)


@AS_ROOT
def test_a_vzlist_of_another_users_is_a_warning(file: Path) -> None:
    program = file.with_name("vzlist")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    os.chown(program, 1234, 1234)
    (warning,) = load(str(file), {"collector.openvz.vzlist_command": [str(program)]}).warnings
    assert "belongs to user 1234" in warning


def test_a_vzlist_that_is_not_there_is_no_matter_of_trust(file: Path) -> None:
    flags = {"collector.openvz.vzlist_command": ["/nowhere/vzlist"]}
    assert load(str(file), flags).warnings == ()


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [
        ("key.pem", 0o600, ""),
        ("key.pem", 0o644, "every user may read this key"),
        ("cert.pem", 0o644, ""),
        ("ca.pem", 0o666, "ca.pem: is not safe: every user may write it"),
    ],
)
def test_the_files_of_dockers_client(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, mode: int, words: str
) -> None:
    made = file.with_name(name)
    made.write_text("x")
    made.chmod(mode)
    monkeypatch.setenv("DOCKER_CERT_PATH", str(file.parent))
    warnings = load(str(file)).warnings
    assert len(warnings) == bool(words)
    assert all(words in warning for warning in warnings)
