from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.docker.container import CgroupRule
from collectors.engines.docker.disk import DiskReader, read_image
from collectors.facts import State
from collectors.hostfs import Gone
from tests.support.engine_host import EngineHost
from tests.support.fake_docker import DONE, IMAGE, NEW, WEB

DATA_ROOT = "/var/lib/docker"


def furnish(host: EngineHost, data_root: str = DATA_ROOT) -> None:
    for name, engine_id in (("web", WEB), ("done", DONE), ("new", NEW)):
        for file in ("config.v2.json", "hostconfig.json"):
            where = f"{data_root}/containers/{engine_id}/{file}"
            host.copy(f"docker/disk/{name}/{file}", where)
    images = f"{data_root}/image/overlay2/imagedb/content/sha256"
    host.copy("docker/disk/image.json", f"{images}/{IMAGE.removeprefix('sha256:')}")


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def read(host: EngineHost, reader: DiskReader | None = None) -> dict[str, State]:
    context = host.context()
    with context.host.root.open_dir(DATA_ROOT, confined=True) as root:
        found = (reader or DiskReader()).read(root, CgroupRule())
    return {described.sighting.name: described.sighting.state for described in found}


ALL = {"web": State.RUNNING, "done": State.EXITED, "new": State.CREATED}


def test_containers_of_a_data_root(host: EngineHost) -> None:
    furnish(host)
    assert read(host) == ALL


def test_a_data_root_with_a_user_namespace(host: EngineHost) -> None:
    furnish(host, f"{DATA_ROOT}/165536.165536")
    host.at(f"{DATA_ROOT}/volumes").mkdir()
    assert read(host) == ALL


def test_a_changed_container_is_read_again(host: EngineHost) -> None:
    furnish(host)
    reader = DiskReader()
    read(host, reader)
    host.copy("docker/disk/done/config.v2.json", f"{DATA_ROOT}/containers/{NEW}/config.v2.json")
    assert "new" not in read(host, reader)


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"ID": 7}'])
def test_a_broken_container_costs_itself_only(host: EngineHost, data: str) -> None:
    furnish(host)
    host.write(f"{DATA_ROOT}/containers/{DONE}/config.v2.json", data)
    host.at(f"{DATA_ROOT}/containers/{NEW}/hostconfig.json").unlink()
    assert read(host) == {"web": State.RUNNING}


def test_no_data_root_is_gone(host: EngineHost) -> None:
    host.at(DATA_ROOT).mkdir(parents=True)
    with pytest.raises(Gone):
        read(host)


def test_an_image(host: EngineHost) -> None:
    furnish(host)
    with host.context().host.root.open_dir(DATA_ROOT, confined=True) as root:
        found = read_image(root, IMAGE)
        assert found is not None
        assert found.created is not None
        assert read_image(root, "sha256:" + "0" * 64) is None
        assert read_image(root, "sha256:../../../etc/passwd") is None
        assert read_image(root, "") is None
