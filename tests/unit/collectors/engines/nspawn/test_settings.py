from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.nspawn.settings import (
    Settings,
    boots_by_options,
    machine_name,
    parse_invocation,
    parse_settings,
)


def test_the_template_unit() -> None:
    # ExecStart= of systemd-nspawn@.service, systemd 252.
    line = (
        "systemd-nspawn --quiet --keep-unit --boot --link-journal=try-guest --network-veth -U "
        "--settings=override --machine=web"
    )
    told = parse_invocation(line.split(), "/")
    assert told.machine == "web"
    assert told.boot is True
    assert told.registers
    assert told.directory == ""
    assert boots_by_options(told, None) is True
    assert boots_by_options(told, Settings(boot=False)) is False


@pytest.mark.parametrize(
    ("arguments", "machine", "directory", "boot", "command"),
    [
        ("-D /srv/web", "web", "/srv/web", None, ()),
        ("-bD /srv/web", "web", "/srv/web", True, ()),
        ("-jqDroots/bb3 sleep 5", "bb3", "/srv/box/roots/bb3", False, ("sleep", "5")),
        ("--directory=/srv/web -M x /bin/sh -b", "x", "/srv/web", False, ("/bin/sh", "-b")),
        ("", "box", "/srv/box", None, ()),
        ("-a -D . -- id -u", "box", "/srv/box", False, ("id", "-u")),
        ("-i /var/lib/disk.raw --boot", "disk", "", True, ()),
        ("-E A=B --setenv C=D -u me -M m id", "m", "", False, ("id",)),
        ("--oci-bundle=/b/box", "box", "", None, ()),
    ],
)
def test_command_line(
    arguments: str, machine: str, directory: str, boot: bool | None, command: tuple[str, ...]
) -> None:
    told = parse_invocation(["systemd-nspawn", *arguments.split()], "/srv/box")
    assert (told.machine, told.directory, told.boot, told.command) == (
        machine,
        directory,
        boot,
        command,
    )


def test_what_an_ephemeral_one_and_an_image_are_made_of() -> None:
    assert parse_invocation(["n", "-x", "-D", "/srv/base"], "/").source == "base"
    assert parse_invocation(["n", "-i", "/srv/web.raw"], "/").source == "web.raw"
    assert parse_invocation(["n", "-D", "/srv/a", "--template=/srv/base"], "/").source == "base"
    assert parse_invocation(["n", "-D", "/srv/a"], "/").source == ""


def test_binds() -> None:
    told = parse_invocation(
        ["n", "--bind=/a:/b:idmap", "--bind-ro", "/c\\:d", "--bind=+/in-image", "-D", "/r"], "/"
    )
    assert told.mounts == ("/a", "/c:d")


@pytest.mark.parametrize("word", ["no", "false", "0", "off"])
def test_not_registered(word: str) -> None:
    assert not parse_invocation(["n", f"--register={word}", "-D", "/r"], "/").registers


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/srv/web/", "web"),
        ("/srv/web.example.raw", "web.example"),
        ("/srv/my box!", "mybox"),
        ("/srv/" + "x" * 80, "x" * 64),
        ("/", ""),
    ],
)
def test_name_of_a_tree(path: str, name: str) -> None:
    assert machine_name(path) == name


def test_settings_file() -> None:
    found = parse_settings(
        "# made by hand\n[Exec]\nBoot = no\nParameters=/bin/app --port 1\nHostname=web\n"
        "[Network]\nBoot=yes\n[Files]\nBind=/data:/data\nBindReadOnly=/etc/x\n; Bind=/no\n=\n"
    )
    assert found == Settings(
        boot=False, hostname="web", command=("/bin/app", "--port", "1"), mounts=("/data", "/etc/x")
    )
    assert parse_settings("[Exec]\nProcessTwo=yes\n").boot is False
    assert parse_settings("Boot=yes\n").boot is None


@pytest.mark.parametrize(
    ("mode", "boot", "file", "expected"),
    [
        ("", None, True, True),
        ("", False, True, False),
        ("", None, None, False),
        ("no", None, True, False),
        ("override", True, False, False),
        ("override", True, None, True),
        ("trusted", None, True, True),
    ],
)
def test_who_has_the_last_word(
    mode: str, boot: bool | None, file: bool | None, expected: bool
) -> None:
    argv = ["n", "-M", "m", *([f"--settings={mode}"] if mode else [])]
    argv += {True: ["-b"], False: ["/bin/id"], None: []}[boot]
    assert boots_by_options(parse_invocation(argv, "/"), Settings(boot=file)) is expected


@given(st.lists(st.text()), st.text(), st.text())
def test_any_words_are_read(argv: list[str], cwd: str, text: str) -> None:
    told = parse_invocation(argv, cwd)
    assert boots_by_options(told, parse_settings(text)) in (True, False)
    assert "/" not in told.machine or told.named
