from __future__ import annotations

from typing import TYPE_CHECKING

from agent.metrics import DEFAULT_GROUPS
from collectors.kernel.counters import HostCounters, Scalar, Table
from collectors.kernel.counters.host import cpu, disks, memory
from collectors.kernel.counters.model import Draft

if TYPE_CHECKING:
    from tests.support.counter_tree import CounterTree


def test_host_cpu_leaves_out_idle_iowait_and_steal() -> None:
    draft = Draft()
    cpu(b"cpu  100 20 30 4000 500 6 7 80 0 0\ncpu0 1 2 3\n", draft)
    assert draft.scalars[Scalar.CPU_USER] == b"1.20"
    assert draft.scalars[Scalar.CPU_SYSTEM] == b"0.43"
    assert draft.scalars[Scalar.CPU_USAGE] == b"1.63"


def test_host_memory_in_the_words_of_cgroups() -> None:
    draft = Draft()
    memory(
        b"MemTotal: 100 kB\nMemFree: 40 kB\nCached: 20 kB\nBuffers: 5 kB\nAnonPages: 10 kB\n"
        b"Inactive(file): 15 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nHugePages_Total: 3\n",
        draft,
    )
    assert draft.scalars[Scalar.MEMORY_USAGE] == b"61440"
    assert draft.scalars[Scalar.MEMORY_CACHE] == b"25600"
    assert draft.scalars[Scalar.MEMORY_RSS] == b"10240"
    assert draft.scalars[Scalar.MEMORY_WORKING_SET] == b"46080"
    assert draft.scalars[Scalar.MEMORY_SWAP] == b"0"
    assert draft.scalars[Scalar.MEMORY_MAPPED_FILE] is None


def test_host_disks_in_bytes_and_true_seconds() -> None:
    draft = Draft()
    raw = (
        b" 254 0 vda 132379 17232 10506562 183009 212648 95680 20148840 106060 3 62588 299935\n"
        b" 254 1 vda1 1 1 1 1 1 1 1 1 1 1 1\n"
    )
    disks(raw, draft, lambda name: name == "vda")
    key = ("/dev/vda",)
    assert draft.tables[Table.IO_BYTES] == ((key, (b"5379359744", b"10316206080")),)
    assert draft.tables[Table.IO_OPERATIONS] == ((key, (b"132379", b"212648")),)
    assert draft.tables[Table.DISK] == ((key, (b"183.009", b"106.060", b"3", b"62.588")),)


def test_the_host_is_read_from_proc(tree: CounterTree) -> None:
    proc = tree.root / "proc"
    tree.process(1, received=99)
    tree.write(
        proc,
        stat="cpu  100 0 0 0 0 0 0 0\n",
        meminfo="MemTotal: 10 kB\nMemFree: 4 kB\n",
        vmstat="pgfault 5\noom_kill 2\n",
        loadavg="0.2 0.1 0.1 1/80 11206\n",
    )
    counters = HostCounters(tree.host, DEFAULT_GROUPS).read()
    assert counters.scalars[Scalar.CPU_USAGE] == b"1.00"
    assert counters.scalars[Scalar.MEMORY_USAGE] == b"6144"
    assert counters.scalars[Scalar.OOM_KILLS] == b"2"
    assert counters.scalars[Scalar.THREADS] == b"80"
    assert counters.tables[Table.NETWORK][0][1][0] == b"99"
    assert counters.scalars[Scalar.PRESSURE_CPU_SOME] is None
