"""What looks like a secret is masked; what helps to know what runs is not."""

from __future__ import annotations

import pytest

from agent.scout.secrets import MASK, masked

S = "hunter2-S3cret"


@pytest.mark.parametrize(
    "words",
    [
        (f"--password={S}",),
        ("--password", S),
        ("--db-pass", S),
        (f"-p{S}",),
        ("-p", S),
        ("--requirepass", S),
        ("-u", f"admin:{S}"),
        (f"postgres://app:{S}@db/x",),
        (f"https://x.example/hook?sig={S}",),
        (f"DB_PASSWORD={S}",),
        ("-e", f"API_KEY={S}"),
        (f"--set=auth.token={S}",),
        ("-H", f"Authorization: Bearer {S}"),
        (f"--api-key={S}",),
        (f"--apikey={S}",),
        (f"--client-secret={S}",),
        (f"-Djavax.net.ssl.keyStorePassword={S}",),
        (f"--aws_secret_access_key={S}",),
        (f'{{"password": "{S}"}}',),
        ("-c", f"export PGPASSWORD={S} && exec psql"),
        ("-c", f"mysql -uroot -p{S} db"),
        ("-c", f"curl -u me:{S} https://x.example"),
        (f"-----BEGIN PRIVATE KEY-----\n{S}",),
        ("--pass", S),
        (f"MYSQL_PWD={S}",),
    ],
)
def test_it_is_masked(words: tuple[str, ...]) -> None:
    shown = " ".join(masked(words))
    assert S not in shown
    assert "S3cret" not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    "token",
    [
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI7K7MDENGbPxRfiCYEXAMPLEKEY",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    ],
)
def test_a_token_by_itself_is_masked(token: str) -> None:
    assert masked((token,)) == (MASK,)
    assert token not in " ".join(masked((f"--x={token}", "run")))


@pytest.mark.parametrize(
    "word",
    [
        "--port=8080",
        "--config=/etc/app/production.yml",
        "-jar",
        "/opt/app/service-1.2.3-SNAPSHOT.jar",
        "postgres: checkpointer",
        "--bind=0.0.0.0:8000",
        "app.main:app",
        "--workers=4",
        "-Xmx512m",
        "http://backend:8080/health",
        "--monkey=yes",
    ],
)
def test_what_is_no_secret_is_shown(word: str) -> None:
    assert masked((word,)) == (word,)


def test_there_is_an_end() -> None:
    shown = masked(["a b " * 100_000, *("x" * 50 for _ in range(100))])
    assert len(shown) == 33
    assert all(len(word) <= 201 for word in shown)
    assert masked(()) == ()


def test_hostile_arguments_do_not_take_long() -> None:
    for word in ("password" * 5000, "a" * 100_000, "=" * 50_000, "://" * 30_000, "-----" * 20_000):
        masked((word,) * 40)
