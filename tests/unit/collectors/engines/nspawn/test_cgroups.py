from __future__ import annotations

import pytest

from collectors.engines.nspawn.cgroups import escape_unit, machine_cgroup
from tests.support.processes import process


@pytest.mark.parametrize(
    ("supervisor", "init", "cgroup"),
    [
        ("/a.service/supervisor", "/a.service/payload/init.scope", "/a.service"),
        ("/supervisor", "/payload", None),
        ("/user.slice", "/user.slice", None),
        # nspawn in nspawn: the outer payload is not the inner machine's
        (
            "/machine.slice/machine-o.scope/payload/x.service/supervisor",
            "/machine.slice/machine-o.scope/payload/x.service/payload/init.scope",
            "/machine.slice/machine-o.scope/payload/x.service",
        ),
        # an old systemd without a payload below the scope
        ("/system.slice/a.service", "/machine.slice/machine-m.scope/init.scope",
         "/machine.slice/machine-m.scope"),
    ],
)  # fmt: skip
def test_cgroup(supervisor: str, init: str, cgroup: str | None) -> None:
    outside, inside = process(10, cgroup=supervisor), process(11, cgroup=init)
    assert machine_cgroup(inside, outside, "m", "") == cgroup


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("web", "web"), ("my-box", "my\\x2dbox"), (".hid", "\\x2ehid"), ("a b", "a\\x20b")],
)
def test_unit_names_are_escaped(name: str, escaped: str) -> None:
    assert escape_unit(name) == escaped
