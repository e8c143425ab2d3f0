"""``make fuzz``: fuzz each target for some seconds, each in a process of its own.

``python -m tests.fuzz [--seconds=10] [TARGET ...]``. A finding is kept as a file below
.cache/fuzz, and the exit status is 1. atheris has wheels for a few platforms only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

PLACE = Path(__file__).parents[2] / ".cache/fuzz"


def fuzz(name: str, corpus: Path, *how_long: str) -> bool:
    """Fuzz one target with these arguments of libFuzzer's, and say whether nothing was found."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    PLACE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.one", name, str(corpus), *how_long),
            *("-timeout=60", "-rss_limit_mb=1024", "-max_len=4096", "-verbosity=0"),
            f"-artifact_prefix={PLACE}/{name}-",
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    verdict = "nothing found" if done.returncode == 0 else f"exit status {done.returncode}"
    sys.stdout.write(f"{name:18} {verdict}\n")
    if done.returncode:
        output = (done.stdout + done.stderr).splitlines(keepends=True)
        told = "".join(line for line in output if not line.startswith("INFO: Instrumenting"))
        sys.stdout.write(told[-8000:])
    sys.stdout.flush()
    return done.returncode == 0


def main() -> int:
    """Fuzz what the command line names, else all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=10, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    chosen = parser.parse_args()
    fine = [
        fuzz(name, PLACE / name, f"-max_total_time={chosen.seconds}")
        for name in chosen.targets or TARGETS
    ]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
