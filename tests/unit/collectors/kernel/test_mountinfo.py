from __future__ import annotations

import os

import pytest

from collectors.kernel.processes import parse_mountinfo

LINE = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
"""The example of proc_pid_mountinfo(5)."""


@pytest.mark.parametrize("device", [b"9" * 20 + b":0", b"98:" + b"9" * 5000, "²:0".encode(), b"98"])
def test_a_line_with_no_device_number_costs_itself_alone(device: bytes) -> None:
    (mount,) = parse_mountinfo(LINE.replace(b"98:0", device) + LINE)
    assert (mount.device.device, mount.root, mount.target) == (
        os.makedev(98, 0),
        "/mnt1",
        "/mnt2",
    )
