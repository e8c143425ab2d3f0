"""Which program a process is, and how far that is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.classifier.identity import claimed_name, identify, package_directory
from agent.classifier.programs import Role
from collectors.facts import Process, ProcessId


def process(exe: str | None, *argv: str, comm: str = "comm") -> Process:
    return Process(id=ProcessId(7, 7), ppid=1, exe=exe, argv=argv, comm=comm)


@pytest.mark.parametrize(
    ("exe", "argv", "name", "trust"),
    [
        ("/usr/sbin/sshd", ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100",), "sshd", 1.0),
        ("/usr/sbin/sshd (deleted)", ("/usr/sbin/sshd", "-D"), "sshd", 1.0),
        ("/usr/lib/openssh/sshd-session", ("sshd: ann@pts/0",), "sshd", 1.0),
        ("/usr/lib/systemd/systemd", ("/sbin/init",), "systemd", 1.0),
        ("/usr/bin/udevadm", ("/lib/systemd/systemd-udevd",), "udevadm", 1.0),
        ("/usr/bin/redis-check-rdb", ("/usr/bin/redis-server *:6379",), "redis-server", 1.0),
        (
            "/usr/bin/redis-check-rdb",
            ("redis-server unixsocket:/run/r.sock", "", ""),
            "redis-server",
            1.0,
        ),
        ("/usr/sbin/sshd.pam", ("sshd.pam: /usr/sbin/sshd.pam -D [listener]",), "sshd.pam", 1.0),
        ("/usr/bin/toolbox", ("toolbox", "--log-level", "debug", "init-container"), "toolbox", 1.0),
        ("/usr/sbin/php-fpm8.2", ("php-fpm: pool www",), "php-fpm", 1.0),
        ("/usr/bin/dbus-daemon", ("@dbus-daemon", "--system"), "dbus-daemon", 1.0),
        ("/usr/bin/bash", ("-bash",), "bash", 1.0),
        ("/app/server", ("anything at all",), "server", 1.0),
        ("/usr/sbin/syslog-ng", ("supervising syslog-ng",), "syslog-ng", 1.0),
        ("/usr/sbin/socklog", ("socklog", "unix", "/dev/log"), "socklog", 1.0),
        # The arguments say something else than the binary.
        ("/usr/sbin/socklog", ("socklog", "9999"), "socklog", 0.25),
        ("/usr/sbin/cron", ("supervising syslog-ng",), "cron", 0.5),
        ("/usr/sbin/cron", ("nginx",), "cron", 0.5),
        ("/usr/sbin/cron", ("/usr/sbin/cron", "9999"), "cron", 0.25),
        ("/usr/bin/sleep", ("/usr/sbin/sshd",), "sleep", 0.5),
        # Whatever can be anything.
        ("/bin/busybox", ("crond", "-f"), "crond", 0.5),
        ("/bin/busybox", ("busybox", "syslogd"), "syslogd", 0.5),
        ("/bin/busybox", ("httpd", "-f"), "httpd", 1.0),
        ("/bin/busybox", ("sh",), "sh", 1.0),
        ("/bin/busybox", ("{init}", "/sbin/init"), "{init}", 0.5),
        ("/usr/bin/python3.11", ("python3", "/usr/bin/supervisord", "-n"), "supervisord", 0.5),
        ("/usr/bin/python3.11", ("python3", "-m", "http.server"), "http.server", 1.0),
        ("/usr/bin/python3.11", ("/usr/sbin/sshd",), "python", 1.0),
        ("/usr/bin/python3.11", ("python3", "/usr/bin/fail2ban-server"), "fail2ban-server", 0.5),
        ("/usr/bin/java", ("java", "-cp", "x.jar", "org.apache.Main"), "Main", 1.0),
        ("/usr/bin/java", ("java", "-Xmx1g", "-jar", "/opt/a/app.jar"), "app", 1.0),
        ("/usr/bin/node", ("node", "/app/index.js"), "index", 1.0),
        ("/usr/bin/dash", ("sh", "/usr/bin/mysqld_safe"), "mysqld_safe", 0.5),
        ("/usr/bin/dash", ("sh", "-c", "nginx"), "sh", 1.0),
        ("/usr/bin/dash", ("sh", "-e", "/start.sh"), "start", 0.5),
        ("/lib64/ld-linux-x86-64.so.2", ("/lib64/ld-linux.so", "/usr/sbin/cron"), "cron", 0.5),
        ("/usr/bin/qemu-aarch64-static", ("qemu", "/usr/sbin/nginx", "-g"), "nginx", 0.5),
        ("/usr/bin/qemu-aarch64-static", ("qemu", "/bin/busybox", "crond"), "crond", 0.5),
        (
            "/usr/bin/qemu-aarch64-static",
            ("redis-server unixsocket:/run/r.sock", "", "/run/r.sock"),
            "redis-server",
            0.5,
        ),
        ("/usr/bin/bash", ("bash", "/sbin/init"), "init", 0.5),
        ("/usr/bin/qemu-system-x86_64", ("qemu-system-x86_64",), "qemu-system-x86_64", 1.0),
        # Nothing but arguments can be read.
        (None, ("/usr/sbin/sshd", "-D"), "sshd", 0.5),
        (None, (), "comm", 0.5),
    ],
)
def test_names(exe: str | None, argv: tuple[str, ...], name: str, trust: float) -> None:
    identity = identify(process(exe, *argv))
    assert (identity.name, identity.trust) == (name, trust)


@pytest.mark.parametrize(
    ("exe", "argv", "role"),
    [
        ("/dev/init", ("/dev/init", "--", "sshd", "-D"), Role.REAPER),
        ("/sbin/init", ("init", "[2]"), Role.MANAGER),
        ("/usr/bin/bash", ("/bin/bash", "/sbin/init"), Role.SHELL),
        ("/usr/bin/bash", ("/bin/bash", "/usr/sbin/sshd"), Role.SHELL),
        ("/usr/bin/dash", ("/bin/sh", "/usr/sbin/runsvdir-start"), Role.SUPERVISOR),
        ("/usr/bin/qemu-aarch64-static", ("qemu", "/bin/sh", "-c", "x"), Role.SHELL),
        ("/usr/bin/qemu-aarch64-static", ("qemu",), Role.APPLICATION),
        ("/usr/bin/dbus-daemon", ("dbus-daemon", "--session"), Role.UTILITY),
        ("/usr/bin/dbus-daemon", ("dbus-daemon", "--system"), Role.PLUMBING),
        ("/usr/lib/systemd/systemd-whatever", ("systemd-whatever",), Role.PLUMBING),
        ("/command/s6-whatever", ("s6-whatever",), Role.UTILITY),
        ("/usr/lib/postfix/sbin/master", ("/usr/lib/postfix/sbin/master", "-w"), Role.APPLICATION),
        ("/no/such/program", ("x",), Role.APPLICATION),
        ("/usr/sbin/sshd.pam", ("/usr/sbin/sshd.pam", "-D"), Role.OS),
        ("/usr/bin/python3.11", ("python3", "/usr/bin/pidproxy", "/p", "sshd"), Role.WRAPPER),
    ],
)
def test_roles(exe: str, argv: tuple[str, ...], role: Role) -> None:
    assert identify(process(exe, *argv)).role is role


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("nginx: master process /usr/sbin/nginx -g daemon off;",), "nginx"),
        (("postgres: 15/main: checkpointer ",), "postgres"),
        (("-sh",), "sh"),
        (("/usr/bin/redis-server 127.0.0.1:6379",), "redis-server"),
        (("sshd: ann [priv]",), "sshd"),
        (("/opt/a b/c",), "a"),
        ((), ""),
        (("",), ""),
    ],
)
def test_what_a_process_calls_itself(argv: tuple[str, ...], name: str) -> None:
    assert claimed_name(argv) == name


@pytest.mark.parametrize(
    ("directory", "package"),
    [
        ("/usr/bin", ""),
        ("", ""),
        ("/opt/gitlab/embedded/bin", "/opt/gitlab"),
        ("/app", "/app"),
        ("/app/bin", "/app"),
        ("/usr/local/bin", "/usr/local"),
        ("/usr/lib/jenkins", "/usr/lib/jenkins"),
        ("/srv/web/lib", "/srv/web"),
        ("/command", "/command"),
        ("/nix/store/abc-nginx-1/bin", "/nix/store/abc-nginx-1"),
        ("/gnu/store/abc-nginx-1/sbin", "/gnu/store/abc-nginx-1"),
    ],
)
def test_what_belongs_together_by_its_place(directory: str, package: str) -> None:
    assert package_directory(directory) == package


@given(
    st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["/bin/busybox", "/usr/bin/java"])),
    st.lists(st.text(max_size=12), max_size=5),
)
def test_anything_is_something(exe: str | None, argv: list[str]) -> None:
    identity = identify(process(exe, *argv))
    assert 0 < identity.trust <= 1
    assert isinstance(package_directory(identity.directory), str)


@pytest.mark.parametrize("name", ["master", "cleanup", "imap", "bounce"])
def test_a_script_with_a_common_word_for_a_name_is_no_mail_server(name: str) -> None:
    script = identify(process("/usr/bin/python3.11", "python3", f"/opt/jobs/{name}.py"))
    assert script.info is None or script.info.family != "mail"
    shell = identify(process("/usr/bin/dash", "sh", f"/opt/jobs/{name}.sh"))
    assert shell.info is None or shell.info.family != "mail"
    assert identify(process(f"/app/bin/{name}", name)).info is None
