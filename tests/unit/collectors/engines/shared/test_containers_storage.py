from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.shared.containers_storage import (
    Locations,
    folders,
    load_images,
    root_locations,
    user_locations,
)
from tests.support.engine_host import EngineHost


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def test_without_a_configuration_the_store_is_in_its_usual_place(host: EngineHost) -> None:
    ctx = host.context()
    assert root_locations(ctx).graphroot == "/var/lib/containers/storage"
    assert user_locations(ctx, 1000, "/home/u") == Locations(
        graphroot="/home/u/.local/share/containers/storage", runroot="/run/user/1000/containers"
    )


def test_the_administrators_configuration_counts_before_the_distributions(
    host: EngineHost,
) -> None:
    host.write("/usr/share/containers/storage.conf", '[storage]\ngraphroot = "/usr/store"\n')
    assert root_locations(host.context()).graphroot == "/usr/store"
    host.write("/etc/containers/storage.conf", '[storage]\nrunroot = "/srv/run/"\n')
    assert root_locations(host.context()) == Locations(
        graphroot="/var/lib/containers/storage", runroot="/srv/run"
    )


@pytest.mark.parametrize("text", ["[storage", "storage = 7", '[storage]\ngraphroot = "relative"'])
def test_a_broken_configuration_is_none(host: EngineHost, text: str) -> None:
    host.write("/home/u/.config/containers/storage.conf", text)
    locations = user_locations(host.context(), 1000, "/home/u")
    assert locations.graphroot == "/home/u/.local/share/containers/storage"


def test_the_images_of_a_real_store(host: EngineHost) -> None:
    host.copy("podman/images.json", "/store/overlay-images/images.json")
    with host.context().host.root.open_dir("store") as graph:
        assert folders(graph, "-images") == ["overlay-images"]
        images = load_images(graph, "overlay-images/images.json")
    assert images
    assert all(facts.id == image_id for image_id, facts in images.items())
