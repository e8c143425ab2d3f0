"""``python -m agent.scout FD``, started by the supervisor: orders from stdin, news to stdout."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from agent import logs, wire
from agent.config import load
from agent.scout.progress import Progress
from agent.scout.schedule import Task
from agent.scout.scout import ONLY_SECONDS, Scout
from collectors.syscalls import set_parent_death_signal


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, prctl(2): nobody would reap it."""
    with suppress(OSError):
        set_parent_death_signal(signal.SIGKILL)


def _first_to_go() -> None:
    """Have this process killed, and not serve, when memory runs out, proc(5): it is replaced."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:
        stream.write("500")


def main() -> int:
    """Take orders from stdin, look, and send what is seen to stdout."""
    _end_with_parent()
    _first_to_go()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for serve, which ends us
    orders = wire.Orders.from_line(sys.stdin.buffer.readline())
    config = load(orders.file, orders.flags, orders.text)
    logs.configure(config.log.level, config.log.format)
    # What a library prints must not get between the frames.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    scout = Scout(config, orders.quarantine, Progress(int(sys.argv[1])), out)
    try:
        if orders.once:
            scout.run_pass(Task.FULL_PASS, patience=ONLY_SECONDS)
        else:
            scout.run(sys.stdin.fileno())
    except BrokenPipeError:
        return 0  # nobody listens any more
    finally:
        scout.close()
    out.flush()
    # Threads that hang in a stranger's socket must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
