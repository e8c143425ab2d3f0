"""``python -m agent.scout FD``, started by serve: orders from stdin, updates to stdout."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from agent import logs, wire
from agent.config import load
from agent.scout.progress import Progress
from agent.scout.scout import Scout
from collectors.syscalls import forbid_unix_sockets, set_parent_death_signal


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, prctl(2)."""
    with suppress(OSError):
        set_parent_death_signal(signal.SIGKILL)


def _prefer_oom_kill() -> None:
    """Have this process killed first when memory runs out, proc(5): serve then replaces it."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:
        stream.write("500")


def main() -> int:
    """Read the orders, and run the scout that they ask for; return the exit code."""
    _end_with_parent()
    _prefer_oom_kill()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for serve, which ends us
    orders = wire.Orders.from_line(sys.stdin.buffer.readline())
    config = load(orders.file, orders.flags, orders.text)
    logs.configure(config.log.level, config.log.format)
    logs.catch_threads()
    if not config.process.engine_sockets:
        forbid_unix_sockets()
    # What a library prints must not get between the messages.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    scout = Scout(config, orders.quarantine, Progress(int(sys.argv[1])), out)
    try:
        if orders.once:
            scout.run_once()
        else:
            scout.run(sys.stdin.fileno())
    except BrokenPipeError:
        return 0  # serve has ended
    finally:
        scout.close()
    out.flush()
    # Threads that hang in an engine's socket must not keep the process alive.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
