"""Puts together what the one file unpacks: Python, of its library what is used, wheels, the agent.

``bin/tallyman`` is Python itself: by that name it is shown in lists of processes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

LIBRARY = "lib/python3.11"

UNUSED = {
    "__phello__",
    "_pyrepl",
    "config",
    "curses",
    "distutils",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "msilib",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtle.py",
    "turtledemo",
    "venv",
}
"""Names in Python's library that nothing of the agent and its packages imports."""

CLONE = Path(__file__).parents[2]


def library(source: Path, target: Path) -> None:
    """Copy Python's library."""

    def left_out(_: str, names: list[str]) -> set[str]:
        return {name for name in names if name in UNUSED or name == "__pycache__"}

    shutil.copytree(source, target, ignore=left_out)
    # Python looks for this directory to know where it is. It has no module to load from there.
    (target / "lib-dynload").mkdir(exist_ok=True)
    # How it was compiled is for those who compile modules; sysconfig wants to have read it.
    for machine in ("x86_64", "aarch64"):
        (target / f"_sysconfigdata__{machine}-linux-gnu.py").write_text("build_time_vars = {}\n")


def packages(wheels: Path, target: Path) -> None:
    """Unpack the wheels, and copy the agent as it is in the clone."""
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                # Scripts, manuals and the list of files are pip's business.
                if ".data/" not in name and not name.endswith("/RECORD"):
                    archive.extract(name, target)
    for package in ("agent", "collectors"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CLONE / package, target / package, ignore=ignored)


def licences(sources: Path, target: Path) -> None:
    """Copy the licence of each part; those of the wheels are in their own metadata."""
    target.mkdir()
    shutil.copy(CLONE / "LICENSE", target / "tallyman")
    for source in sorted(sources.iterdir()):
        if (source / "debian/copyright").is_file():
            shutil.copy(source / "debian/copyright", target / source.name)


def compile_all(python: Path, tree: Path) -> None:
    """Compile each module; the result is used without a look at the source's time."""
    how = ("--invalidation-mode", "unchecked-hash", "-s", str(tree), "-p", "", "-q")
    subprocess.run([python, "-P", "-m", "compileall", *how, tree / LIBRARY], check=True)  # noqa: S603


def main(program: Path, sources: Path, wheels: Path, tree: Path, python: Path) -> None:
    """Make the tree; ``python`` is one of the same version that runs on this machine."""
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "bin").mkdir(parents=True)
    shutil.copy(program, tree / "bin/tallyman")
    library(sources / "python3.11/Lib", tree / LIBRARY)
    packages(wheels, tree / LIBRARY / "site-packages")
    licences(sources, tree / "licences")
    compile_all(python, tree)


if __name__ == "__main__":
    main(*(Path(word).absolute() for word in sys.argv[1:]))
