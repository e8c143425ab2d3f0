from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.web_server import FakePages, serving


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Return the address of a server with fake pages."""
    with serving(FakePages()) as address:
        yield address
