from __future__ import annotations

from pathlib import Path
from typing import Any

from collectors.engines.crio.discovery import nested_stores, root_store
from tests.support.engine_host import EngineHost, contained
from tests.support.processes import process

STORE = "/var/lib/containers/storage"
OWN = "/var/lib/crio/overlay-containers/x/userdata"


def test_roots_store_and_one_of_each_container_with_a_monitor_of_cri_o(tmp_path: Path) -> None:
    conmon: dict[str, Any] = {"exe": "/usr/bin/conmon"}
    on_host = process(7, argv=("conmon", "-b", OWN), **conmon)
    inside = contained(8, "/docker/kind", argv=("conmon", "-b", OWN), **conmon)
    podmans = contained(9, "/docker/box", argv=("conmon", "--exit-command", "podman"), **conmon)
    context = EngineHost(tmp_path).context(on_host, inside, podmans)
    assert root_store(context).instance == STORE
    (store,) = nested_stores(context)
    assert (store.instance, store.monitor) == ("/docker/kind:/var/lib/crio", inside)


def test_a_bundle_in_run_does_not_tell_where_the_store_is(tmp_path: Path) -> None:
    bundle = "/run/containers/storage/overlay-containers/x/userdata"
    inside = contained(8, "/docker/kind", exe="/usr/bin/conmon", argv=("conmon", "-b", bundle))
    (store,) = nested_stores(EngineHost(tmp_path).context(inside))
    assert store.graphroot == STORE
