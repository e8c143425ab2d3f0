"""The one file with a stand-in for its Python: what its head unpacks, trusts and refuses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.harness.need import need
from tests.engines.harness.programs import run, workplace

CLONE = Path(__file__).parents[2]
STAMP = 1_700_000_000
NOBODY = 65534
PROGRAM = """\
#!/bin/sh
echo "$0 $*"
env | grep ^PYTHON
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    need("cc", "unshare", "mount", "setpriv")
    with workplace("onefile") as made:
        made.chmod(0o755)
        yield made


@pytest.fixture(scope="module")
def head(place: Path) -> Path:
    return compiled(place / "head")


def compiled(target: Path, *flags: str) -> Path:
    source = CLONE / "deploy/onefile/head.c"
    run("cc", "-O1", "-Wall", "-Wextra", "-Werror", *flags, "-o", target, source, "-lz")
    return target


def pack(head: Path, place: Path, name: str, program: str = PROGRAM) -> Path:
    """Pack a small tree, built anew in another order and with other times and modes."""
    tree, target = place / f"{name}.tree", place / name
    for folder in ("bin", "lib", "lib/empty")[:: 1 if len(name) % 2 else -1]:
        (tree / folder).mkdir(parents=True, exist_ok=True)
    (tree / "bin/tallyman").write_text(program)
    (tree / "bin/tallyman").chmod(0o700 if len(name) % 2 else 0o755)
    (tree / "lib/data").write_bytes(bytes(range(256)) * 3000)
    (tree / "lib/nothing").touch()
    environment = {"SOURCE_DATE_EPOCH": str(STAMP)}
    run(sys.executable, CLONE / "deploy/onefile/pack.py", head, tree, target, env=environment)
    return target


@pytest.fixture(scope="module")
def onefile(head: Path, place: Path) -> Path:
    return pack(head, place, "tallyman")


@pytest.fixture
def base(place: Path) -> Iterator[Path]:
    """Return a new directory to unpack into, below root's own."""
    made = place / "base"
    made.mkdir()
    yield made
    shutil.rmtree(made)


def start(
    onefile: Path, base: Path | None, *words: str, user: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], **environment}
    if base is not None:
        variables["TALLYMAN_UNPACK_DIR"] = str(base)
    return subprocess.run(
        [onefile, *words],
        env=variables,
        user=user,
        group=user,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def refused(onefile: Path, base: Path | None, *, user: int = 0, **environment: str) -> str:
    """Start it, see that it ends with a message of one line, and return that."""
    done = start(onefile, base, user=user, **environment)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert re.fullmatch(r"tallyman: [^\n]+\n", done.stderr), done.stderr
    return done.stderr


def ran(onefile: Path, base: Path | None, *, user: int = 0, **environment: str) -> Path:
    """Start it, see that the program ran, and return the tree that it is in."""
    done = start(onefile, base, "ls", "a b", user=user, **environment)
    assert done.returncode == 0, done
    program = done.stdout.split(" ")[0]
    assert done.stdout == f"{program} -P -m agent ls a b\nPYTHONDONTWRITEBYTECODE=1\n"
    return Path(program).parents[1]


def test_the_same_tree_gives_the_same_file(head: Path, place: Path, onefile: Path) -> None:
    assert pack(head, place, "again").read_bytes() == onefile.read_bytes()
    other = pack(head, place, "other", PROGRAM + "# changed\n")
    assert other.read_bytes() != onefile.read_bytes()


def test_a_tree_with_a_link_in_it_is_not_packed(head: Path, place: Path) -> None:
    tree = place / "linked.tree"
    tree.mkdir()
    (tree / "link").symlink_to("/etc/passwd")
    done = subprocess.run(
        [sys.executable, CLONE / "deploy/onefile/pack.py", head, tree, place / "linked"],
        env={"SOURCE_DATE_EPOCH": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "neither a directory nor a file" in done.stderr


def test_it_unpacks_once_and_starts_from_there(onefile: Path, base: Path) -> None:
    tree = ran(onefile, base, PYTHONPATH="/tmp", PYTHONHOME="/tmp")
    before = tree.stat()
    assert tree.parent == base / "tallyman"
    assert (tree / "lib/data").read_bytes() == bytes(range(256)) * 3000
    assert (tree / "lib/nothing").stat().st_size == 0
    assert (tree / "lib/empty").is_dir()
    assert ran(onefile, base) == tree
    assert tree.stat() == before
    assert list(tree.parent.iterdir()) == [tree]


def test_two_files_have_two_trees(onefile: Path, head: Path, place: Path, base: Path) -> None:
    other = pack(head, place, "second", PROGRAM + "# changed\n")
    assert ran(onefile, base) != ran(other, base)


def test_the_modes_do_not_depend_on_the_umask(onefile: Path, base: Path) -> None:
    done = run("sh", "-c", f"umask 077; {onefile}", env={"TALLYMAN_UNPACK_DIR": str(base)})
    tree = Path(done.split(" ")[0]).parents[1]
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (tree, *tree.rglob("*"))}
    assert {modes[name] for name in (tree.name, "bin", "lib", "empty", "tallyman")} == {0o755}
    assert {modes[name] for name in ("data", "nothing")} == {0o644}
    assert tree.parent.stat().st_mode & 0o7777 == 0o755


def test_starts_at_the_same_time_leave_one_tree(onefile: Path, base: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "TALLYMAN_UNPACK_DIR": str(base)}
    started = [
        subprocess.Popen([onefile], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    outputs = {process.communicate(timeout=60)[0] for process in started}
    assert [process.returncode for process in started] == [0] * 8
    assert len(outputs) == 1
    assert len(list((base / "tallyman").iterdir())) == 1


def test_what_a_killed_start_left_is_removed_an_hour_later(
    onefile: Path, place: Path, base: Path
) -> None:
    left = base / "tallyman/.new-1-1-1"
    (left / "lib/empty").mkdir(parents=True)
    (left / "lib/data").write_text("half")
    shutil.rmtree(ran(onefile, base))
    assert left.exists(), "it may be another start's, at work"
    impatient = pack(compiled(place / "impatient", "-DSTALE=-1"), place, "later")
    tree = ran(impatient, base)
    assert list((base / "tallyman").iterdir()) == [tree]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("changed", "lib/data: was changed"),
        ("longer", "lib/nothing: has another size"),
        ("added", "lib: was changed"),
        ("cleaned away", "lib: was changed"),
        ("writable", "lib/data: has another mode"),
        ("given away", "lib/data: belongs to another user"),
        ("a link", "lib: was changed"),
    ],
)
def test_a_damaged_tree_is_refused_until_it_is_removed(
    onefile: Path, base: Path, name: str, why: str
) -> None:
    tree = ran(onefile, base)
    data = tree / "lib/data"
    match name:
        case "changed":
            data.write_bytes(bytes(reversed(data.read_bytes())))
        case "longer":
            (tree / "lib/nothing").write_text("something")
            os.utime(tree / "lib/nothing", (STAMP, STAMP))
        case "added":
            (tree / "lib/sitecustomize.py").touch()
        case "cleaned away":
            data.unlink()
        case "writable":
            data.chmod(0o666)
        case "given away":
            os.chown(data, NOBODY, NOBODY)
        case "a link":
            data.rename(tree / "lib/moved")
            data.symlink_to("moved")
    message = refused(onefile, base)
    assert f"is damaged ({why}); remove it" in message
    command = message.strip().rpartition(": ")[2]
    assert command == f"rm -r {tree}"
    run(*command.split(" "))
    assert ran(onefile, base) == tree


def test_a_directory_of_another_user_is_refused(onefile: Path, base: Path) -> None:
    (base / "tallyman").mkdir()
    os.chown(base / "tallyman", NOBODY, NOBODY)
    assert f"{base}/tallyman belongs to user {NOBODY}" in refused(onefile, base)
    os.chown(base / "tallyman", 0, 0)
    os.chown(base, NOBODY, NOBODY)
    assert f"{base} belongs to user {NOBODY}" in refused(onefile, base)


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_directory_that_others_can_write_into_is_refused(
    onefile: Path, base: Path, mode: int
) -> None:
    (base / "tallyman").mkdir()
    (base / "tallyman").chmod(mode)
    assert f"{base}/tallyman can be written by others" in refused(onefile, base)
    assert not list((base / "tallyman").iterdir())


def test_a_parent_that_others_can_write_into_is_refused_unless_it_is_sticky(
    onefile: Path, base: Path
) -> None:
    base.chmod(0o777)
    assert f"{base} can be written by others" in refused(onefile, base)
    base.chmod(0o1777)
    ran(onefile, base)


def test_a_link_in_place_of_its_directory_is_refused(onefile: Path, base: Path) -> None:
    (base / "elsewhere").mkdir()
    (base / "tallyman").symlink_to("elsewhere")
    assert f"{base}/tallyman is no directory" in refused(onefile, base)
    assert not list((base / "elsewhere").iterdir())


def test_a_tree_that_it_did_not_unpack_is_refused(onefile: Path, base: Path) -> None:
    tree = ran(onefile, base)
    real = tree.rename(base / "moved")
    tree.symlink_to(real)
    assert f"{tree} is not what this file unpacked" in refused(onefile, base)
    tree.unlink()
    real.rename(tree)
    os.chown(tree, NOBODY, NOBODY)
    assert f"{tree} is not what this file unpacked" in refused(onefile, base)


def test_a_chosen_directory_may_be_a_link(onefile: Path, base: Path) -> None:
    (base / "real").mkdir()
    (base / "link").symlink_to("real")
    assert ran(onefile, base / "link").parent == base / "real/tallyman"


def test_a_user_has_his_own_that_no_other_can_read(onefile: Path, base: Path) -> None:
    home = base / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    tree = ran(onefile, None, user=NOBODY, HOME=str(home))
    assert tree.parent == home / ".cache/tallyman"
    assert tree.parent.stat().st_mode & 0o7777 == 0o700
    cache = home / "of-mine"
    cache.mkdir()
    os.chown(cache, NOBODY, NOBODY)
    other = ran(onefile, None, user=NOBODY, HOME=str(home), XDG_CACHE_HOME=str(cache))
    assert other.parent == cache / "tallyman"


def test_a_home_that_cannot_be_written_is_said(onefile: Path, base: Path) -> None:
    message = refused(onefile, None, user=NOBODY, HOME=str(base))
    assert f"cannot make {base}/.cache: Permission denied" in message
    assert "TALLYMAN_UNPACK_DIR" in message
    assert "/nonexistent" in refused(onefile, None, user=NOBODY, HOME="/nonexistent")
    assert "HOME is not set" in refused(onefile, None, user=NOBODY)


def test_what_root_unpacked_serves_every_user(onefile: Path) -> None:
    script = f"mount -t tmpfs -o mode=755 system /var/lib && {onefile} as root"
    other = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {onefile} as nobody"
    done = run("unshare", "-m", "sh", "-c", f"{script} && {other}", env={"HOME": "/nonexistent"})
    first, second = (line for line in done.splitlines() if "agent" in line)
    assert first.startswith("/var/lib/tallyman/")
    assert first.replace("root", "nobody") == second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("size=64k", "cannot unpack into {}/tallyman: No space left on device; that takes 1 MB"),
        ("noexec", "{}/tallyman is mounted noexec"),
        ("ro", "cannot make {}/tallyman: Read-only file system"),
    ],
)
def test_a_filesystem_that_will_not_do_is_said(
    onefile: Path, base: Path, options: str, message: str
) -> None:
    script = (
        f"mount -t tmpfs -o mode=755,{options} tmpfs {base} && {onefile}; ls -A {base}/tallyman"
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        env={"PATH": os.environ["PATH"], "TALLYMAN_UNPACK_DIR": str(base)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert message.format(base) in done.stderr
    assert "TALLYMAN_UNPACK_DIR" in done.stderr
    assert done.stdout == "", "something was left there"


@pytest.mark.parametrize("lost", ["the end", "a byte", "all but the head"])
def test_a_file_that_was_damaged_on_its_way_is_refused(
    onefile: Path, head: Path, place: Path, base: Path, lost: str
) -> None:
    whole = onefile.read_bytes()
    middle = (head.stat().st_size + len(whole)) // 2
    other = bytes([whole[middle] ^ 1])
    broken = place / "broken"
    broken.write_bytes(
        {
            "the end": whole[:-1000],
            "a byte": whole[:middle] + other + whole[middle + 1 :],
            "all but the head": whole[: head.stat().st_size],
        }[lost]
    )
    broken.chmod(0o755)
    assert "downloaded in part" in refused(broken, base)
    assert not list(base.rglob("*.new-*"))


def test_a_system_without_glibc_is_told_so(head: Path, place: Path, base: Path) -> None:
    # The kernel's answer to a dynamic loader that is missing is the one to a missing interpreter.
    musl = pack(head, place, "for-musl", "#!/lib64/no-such-loader\n")
    assert "has no glibc" in refused(musl, base)


def test_a_relative_directory_is_refused(onefile: Path) -> None:
    assert "not an absolute path" in refused(onefile, Path("here"))


def test_the_tree_has_the_agent_and_of_the_library_what_is_used(place: Path) -> None:
    sources, wheels, tree = place / "sources", place / "wheels", place / "made.tree"
    for name in ("os.py", "json/tool.py", "test/test_os.py", "json/tests/a.py", "idlelib/idle.py"):
        module = sources / "python3.11/Lib" / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("x = 1\n")
    (sources / "zlib/debian").mkdir(parents=True)
    (sources / "zlib/debian/copyright").write_text("as you like")
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "some-1-py3-none-any.whl", "w") as wheel:
        for name in ("some.py", "some-1.dist-info/METADATA", "some-1.dist-info/RECORD"):
            wheel.writestr(name, "")
        wheel.writestr("some-1.data/scripts/some", "")
    program = place / "program"
    program.write_text(PROGRAM)
    run(
        *(sys.executable, CLONE / "deploy/onefile/tree.py"),
        *(program, sources, wheels, tree, sys.executable),
    )
    library = tree / "lib/python3.11"
    assert (tree / "bin/tallyman").read_text() == PROGRAM
    assert (tree / "licences/zlib").read_text() == "as you like"
    assert sorted(path.name for path in library.rglob("*.py") if path.parent == library) == [
        "_sysconfigdata__aarch64-linux-gnu.py",
        "_sysconfigdata__x86_64-linux-gnu.py",
        "os.py",
    ]
    assert not [path for path in library.rglob("*") if path.name in ("test", "tests", "idlelib")]
    packages = library / "site-packages"
    assert sorted(path.name for path in packages.iterdir() if path.name != "__pycache__") == [
        "agent",
        "collectors",
        "some-1.dist-info",
        "some.py",
    ]
    assert [path.name for path in (packages / "some-1.dist-info").iterdir()] == ["METADATA"]
    (compiled_module,) = (packages / "agent/cli/__pycache__").glob("main.*.pyc")
    assert compiled_module.read_bytes()[4:8] == b"\1\0\0\0", "unchecked, see PEP 552"
