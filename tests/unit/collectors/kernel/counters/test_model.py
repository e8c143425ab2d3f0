from __future__ import annotations

from collectors.kernel.counters import Scalar, Table
from collectors.kernel.counters.model import Draft


def test_a_finished_reading_does_not_change_with_the_draft() -> None:
    draft = Draft()
    draft.scalars[Scalar.CPU_USAGE] = b"1"
    draft.tables[Table.NETWORK] = ()
    first = draft.finish()
    draft.scalars[Scalar.CPU_USAGE] = b"2"
    draft.tables.clear()
    assert first.scalars[Scalar.CPU_USAGE] == b"1"
    assert first.tables == {Table.NETWORK: ()}
    assert draft.finish().scalars[Scalar.CPU_USAGE] == b"2"


def test_what_was_never_read_is_unknown() -> None:
    counters = Draft().finish()
    assert counters.scalars == (None,) * len(Scalar)
    assert counters.tables == {}
