from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.hostfs import HostFS
from collectors.kernel.counters.devices import Devices

if TYPE_CHECKING:
    from pathlib import Path


def test_a_device_has_the_name_that_sysfs_gives_and_keeps_it(tmp_path: Path) -> None:
    device = tmp_path / "sys/dev/block/254:0"
    device.mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (device / "uevent").write_text("MAJOR=254\nMINOR=0\nDEVNAME=mapper/x\nDEVTYPE=disk\n")
    devices = Devices(HostFS(str(tmp_path / "proc"), str(tmp_path / "sys"), str(tmp_path)).sys)
    assert devices.name("254:0") == "/dev/mapper/x"
    (device / "uevent").unlink()
    assert devices.name("254:0") == "/dev/mapper/x"
    assert devices.name("7:1") == "7:1"


def test_a_device_without_a_name_is_its_number(tmp_path: Path) -> None:
    device = tmp_path / "sys/dev/block/254:0"
    device.mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (device / "uevent").write_text("MAJOR=254\n")
    devices = Devices(HostFS(str(tmp_path / "proc"), str(tmp_path / "sys"), str(tmp_path)).sys)
    assert devices.name("254:0") == "254:0"
