from __future__ import annotations

import pickle
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import SWITCHES, Config, ConfigError, _apply, declared_keys, load
from agent.config.keys import Reader
from agent.config.rules import StyleRule
from agent.model import Style
from tests.support import CLONE

EXAMPLE = CLONE / "deploy" / "tallyman.toml"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "tallyman.toml"


def problems(path: Path, text: str, **flags: object) -> tuple[str, ...]:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(str(path), {name.replace("__", "."): value for name, value in flags.items()})
    return tuple(problem.removeprefix(f"{path}: ") for problem in caught.value.problems)


def test_the_example_is_valid_and_holds_the_defaults() -> None:
    # The mode that a checkout gives it depends on the umask.
    config = load(str(EXAMPLE), text=EXAMPLE.read_text())
    assert config == Config(file=str(EXAMPLE))


def test_the_example_documents_every_key() -> None:
    document = tomllib.loads(EXAMPLE.read_text())

    def has(path: str) -> bool:
        table = document
        for part in path.split("."):
            if part not in table:
                return False
            table = table[part]
        return True

    missing = [path for path, _ in declared_keys() if not has(path)]
    assert missing == []


def test_the_examples_in_the_comments_are_valid_too(written: Path) -> None:
    text = EXAMPLE.read_text()
    samples = [
        line.strip("# ").strip()
        for line in text.splitlines()
        if re.match(r"#\s+(include|exclude) = ", line)
    ]
    assert len(samples) == 2
    rule = text[text.index("# [[style_rule]]") :].replace("# ", "")
    written.write_text("[containers]\n" + "\n".join(samples) + "\n" + rule)
    config = load(str(written))
    assert len(config.containers.include) == 2
    assert len(config.containers.exclude) == 2
    assert config.style_rules == (StyleRule(engine="lxc", name="build-*", style="app"),)


def test_every_collector_can_be_switched() -> None:
    from collectors.registry import COLLECTORS  # noqa: PLC0415 - brings every engine

    assert [name for name in COLLECTORS if name not in SWITCHES] == []


def test_no_file_gives_the_defaults() -> None:
    assert load("") == Config()


def test_a_flag_wins_over_the_file(written: Path) -> None:
    written.write_text('[web]\nlisten_address = ":1"\ntelemetry_path = "/m"\n')
    config = load(str(written), {"web.listen_address": ":2"})
    assert (config.web.listen_address, config.web.telemetry_path) == (":2", "/m")


def test_what_was_read_can_be_read_again(written: Path) -> None:
    written.write_text("[web]\nmax_requests = 3\n")
    first = load(str(written), {"log.level": "debug"})
    written.write_text("[web]\nmax_requests = 4\n")
    again = load(first.file, first.flags)
    assert (again.web.max_requests, again.log.level) == (4, "debug")


def test_switches(written: Path) -> None:
    written.write_text("[collector.docker]\nenabled = false\n[collector.tcp]\nenabled = true\n")
    config = load(str(written), {"collector.lxc.enabled": False})
    assert not config.enabled("docker")
    assert not config.enabled("lxc")
    assert config.enabled("tcp")
    assert config.enabled("podman")


def test_options_for_collectors(written: Path) -> None:
    written.write_text(
        '[collector.docker]\nhosts = ["unix:///a"]\ntimeout = "500ms"\n'
        '[collector.openvz]\nvzlist_command = ["sudo", "vzlist"]\n'
    )
    options = load(str(written)).options({"DOCKER_HOST": "tcp://x", "SECRET": "y"})
    assert options.docker_hosts == ("unix:///a",)
    assert options.docker_timeout == 0.5
    assert options.vzlist_command == ("sudo", "vzlist")
    assert options.environment == {"DOCKER_HOST": "tcp://x"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[wbe]", 'wbe: unknown key; did you mean "web"?'),
        ("[web]\nlisten_adress = ''", 'web.listen_adress: unknown key; did you mean "listen_ad'),
        ("[web]\nlisten_address = 9100", "web.listen_address: must be a quoted string"),
        ("[web]\nlisten_address = 'x'", "web.listen_address: must be an address and a port"),
        ("[web]\nlisten_address = '::1:80'", "web.listen_address: must have its IPv6 address in"),
        ("[web]\ntelemetry_path = '/-/x'", "web.telemetry_path: must be a path such as"),
        ("[web]\ntelemetry_path = '/'", "web.telemetry_path: must be a path such as"),
        ("[web]\nmax_requests = 0", "web.max_requests: must be a whole number, at least 1, not 0"),
        ("[web]\nmax_requests = true", "web.max_requests: must be a whole number, at least 1"),
        ("web = 1", "web: must be a table [web], not 1"),
        ("[path]\nprocfs = 'proc'", "path.procfs: must be an absolute path"),
        ("[log]\nlevel = 'loud'", 'log.level: must be "debug" or "info" or "warning" or "error"'),
        ("[inventory]\nfull_interval = 60", "inventory.full_interval: must be a time with its"),
        ("[inventory]\nfull_interval = '1ms'", 'inventory.full_interval: must be at least "1s"'),
        ("[metrics]\ncadvisor_names = 'no'", "metrics.cadvisor_names: must be true or false"),
        (
            "[metrics]\ncontainer_labels = 'x'",
            "metrics.container_labels: must be a list of strings",
        ),
        ("[collector.dokcer]", 'collector.dokcer: unknown key; did you mean "docker"?'),
        ("[collector.docker]\nenable = true", "collector.docker.enable: unknown key; did you mean"),
        ("[collector.docker]\nenabled = 1", "collector.docker.enabled: must be true or false"),
        ("[containers]\ninclude = 'x'", "containers.include: must be a list of patterns"),
        ("[containers]\ninclude = [{}]", "containers.include: must name engine, name, image or"),
        ("[containers]\nexclude = [{nme='x'}]", "containers.exclude: pattern.nme: unknown key; di"),
        ("[containers]\nexclude = [{labels='x'}]", "containers.exclude: pattern.labels: must be "),
        ("style_rule = 1", "style_rule: must be a list of tables, each headed [[style_rule]]"),
        ("[[style_rule]]\nname = 'x'", "style_rule 1: must say which: style"),
        ("[[style_rule]]\nstyle = 'app'", "style_rule 1: must name engine, name, image or labels"),
        ("[[style_rule]]\nstyle = 'vm'\nname='x'", 'style_rule 1.style: must be "app" or "system"'),
        ("[web", "not TOML: "),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(
    written: Path, text: str, problem: str
) -> None:
    found = problems(written, text)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_everything_wrong_is_said_at_once(written: Path) -> None:
    found = problems(written, "[web]\nx = 1\ny = 2\n[foo]\n", log__level="loud")
    assert len(found) == 4
    assert found[-1].startswith("--log.level: must be")


def test_keys_of_strangers_cannot_command_a_terminal(written: Path) -> None:
    (found,) = problems(written, '"\\u001b[31m" = 1')
    assert found.startswith("\\x1b[31m: unknown key")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; give a readable file with"):
        load(str(tmp_path / "x"))


def test_a_file_that_is_no_text(written: Path) -> None:
    written.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not TOML"):
        load(str(written))


def test_it_can_be_pickled() -> None:
    rules = (StyleRule(name="x", style="app"),)
    config = Config(style_rules=rules)
    assert pickle.loads(pickle.dumps(config)) == config


def test_style_rules_become_overrides(written: Path) -> None:
    written.write_text('[[style_rule]]\nstyle = "system"\nlabels = {x = "*"}\n')
    (override,) = load(str(written)).overrides()
    assert (override.style, override.labels) == (Style.SYSTEM, {"x": "*"})


toml = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("web", "collector", "docker", "enabled", "include", "style_rule"))
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(("web", "collector", "containers", "style_rule")), toml))
def test_any_document_is_a_configuration_or_an_error(document: dict[str, object]) -> None:
    reader = Reader("file")
    config = _apply(Config(), document, reader)
    assert isinstance(config, Config)
    assert all("\n" not in problem for problem in reader.problems)
