from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.sandboxes.makers import apptainer_marks, flatpak_marks
from tests.support.processes import process


@given(st.text())
def test_any_flatpak_info_is_read(text: str) -> None:
    assert flatpak_marks(text).engine == "flatpak"


@given(st.binary(), st.text())
def test_any_environment_is_read(environment: bytes, title: str) -> None:
    starter = process(10, argv=(title,))
    assert apptainer_marks("apptainer", [starter], environment).engine == "apptainer"
