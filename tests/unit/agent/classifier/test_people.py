"""Whose accounts are people's, and whose a product's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.classifier import read_scene
from agent.classifier.people import has_people
from collectors.facts import Account, Isolation, RootFacts
from tests.support.subjects import SSHD, run, session, subject


def known(*accounts: Account, user: int = 1000, mapped: int = 0) -> bool:
    """Return whether there are people beside a product that runs as a user."""
    container = subject(
        run("sh", run("/opt/oak/oak", uid=mapped + user), SSHD, uid=mapped),
        isolation=Isolation(user_mapped=bool(mapped)),
    )
    return has_people(read_scene(replace(container, root=RootFacts(accounts=accounts))))


def account(name: str, uid: int, shell: str = "/bin/bash", *, locked: bool = True) -> Account:
    return Account(name=name, uid=uid, shell=shell, locked=locked)


def test_the_account_as_which_a_product_runs_is_its_own() -> None:
    assert not known(account("git", 1000), account("a", 1001))
    assert not known(account("git", 1000, locked=False))
    assert known(account("a", 1001), account("b", 1002))
    assert known(account("a", 1001, locked=False))


def test_where_programs_run_as_several_people_they_rent_it() -> None:
    pool = run("php-fpm", run("php-fpm", uid=1001), run("php-fpm", uid=1002))
    container = subject(run("supervisord", run("/opt/panel/panel"), pool, SSHD))
    accounts = (account("shop", 1001), account("club", 1002))
    assert has_people(read_scene(replace(container, root=RootFacts(accounts=accounts))))
    parts = (run("/opt/oak/web", uid=1001), run("/opt/oak/db/db", uid=1002), SSHD)
    product = subject(run("supervisord", *parts))
    assert not has_people(read_scene(replace(product, root=RootFacts(accounts=accounts))))


def test_numbers_are_those_of_the_user_namespace() -> None:
    assert not known(account("git", 1000, locked=False), mapped=100_000)
    assert known(account("ann", 1001, locked=False), mapped=100_000)


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "/usr/bin/git-shell", ""])
def test_who_has_no_shell_is_nobody(shell: str) -> None:
    people = (account(name, uid, shell, locked=False) for uid, name in enumerate("abc", 1001))
    assert not known(*people)


def test_root_is_somebody_who_has_a_password() -> None:
    assert known(account("root", 0, locked=False))
    assert not known(account("root", 0))


def test_what_a_base_image_brought_is_nobody_until_it_has_a_password() -> None:
    assert not known(account("ubuntu", 1001), account("ann", 1002))
    assert known(account("ubuntu", 1001, locked=False))


def test_a_daemon_has_no_account_of_a_person() -> None:
    assert not known(account("postgres", 105, locked=False), account("nobody", 65534, locked=False))


def test_who_is_at_a_shell_is_somebody_and_who_fetches_a_repository_is_not() -> None:
    at_work = subject(run("sh", run("/opt/oak/oak"), run("sshd", session())))
    assert has_people(read_scene(at_work))
    fetch = run("/usr/bin/git git-upload-pack", args="/srv/oak.git", uid=1000)
    half = run(
        "/usr/sbin/sshd sshd:", run("sh", fetch, args="-c git-upload-pack", uid=1000), own=True
    )
    fetching = subject(run("sh", run("/opt/oak/oak"), run("sshd", half)))
    assert read_scene(fetching).sessions
    assert not has_people(read_scene(fetching))
