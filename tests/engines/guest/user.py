"""An ordinary user of the guest, with their own systemd and message bus."""

from __future__ import annotations

import functools
from pathlib import Path

from tests.engines.harness.programs import run

USER = "lab"

# The units of the package dbus-user-session, which is not installed in the guest.
_SOCKET = "[Socket]\nListenStream=%t/bus\n"
_SERVICE = """[Unit]
Requires=dbus.socket
[Service]
Type=notify
ExecStart=/usr/bin/dbus-daemon --session --address=systemd: --nofork --nopidfile
"""


def as_user(*words: str | Path) -> str:
    """Run a command as that user, as in a login session; raises ``CommandError``."""
    place = home()
    uid = place.stat().st_uid
    runtime = f"/run/user/{uid}"
    return run(
        *("setpriv", f"--reuid={uid}", f"--regid={uid}", "--init-groups"),
        *("env", f"--chdir={place}", f"HOME={place}", f"USER={USER}", f"LOGNAME={USER}"),
        *(f"XDG_RUNTIME_DIR={runtime}", f"DBUS_SESSION_BUS_ADDRESS=unix:path={runtime}/bus"),
        *words,
    )


@functools.cache
def home() -> Path:
    """Return the user's home; the first call creates the user and starts their manager."""
    place = Path("/home") / USER
    run("useradd", "--create-home", "--shell=/bin/sh", USER)
    place.chmod(0o711)
    units = place / ".config/systemd/user"
    (units / "sockets.target.wants").mkdir(parents=True)
    (units / "dbus.socket").write_text(_SOCKET)
    (units / "dbus.service").write_text(_SERVICE)
    (units / "sockets.target.wants/dbus.socket").symlink_to("../dbus.socket")
    run("chown", "--recursive", f"{USER}:{USER}", place)
    run("loginctl", "enable-linger", USER)
    run("systemctl", "start", f"user@{place.stat().st_uid}.service")
    return place
