"""The configuration: all keys, and how it is read from the file and the flags.

The file is TOML, the flags are named as Prometheus names its own, and a flag wins over the file.
deploy/tallyman.toml is the commented example that documents every key.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.config.keys import BOOLEAN, ConfigError, Key, Reader, keys, show_default
from agent.config.rules import Match, StyleRule
from agent.config.sections import (
    Containers,
    Docker,
    Inventory,
    Log,
    Lxc,
    Metrics,
    Openvz,
    Paths,
    Process,
    Web,
)
from agent.config.trust import UntrustedFileError, key_warnings, program_warnings, read_trusted
from agent.metrics.groups import GROUPS
from agent.model import Style
from agent.patterns import Override
from collectors.catalogue import COLLECTORS
from collectors.contract import Options

__all__ = ["Config", "ConfigError", "Match", "StyleRule", "Web", "declared_keys", "load"]

DEFAULT_FILE = "/etc/tallyman/tallyman.toml"
"""Read if it exists and --config.file is not given."""

ENVIRONMENT = (
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "CONTAINER_HOST",
    "XDG_RUNTIME_DIR",
)
"""Environment variables that say where engines are; collectors see no others."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A collector or a group of metrics that can be switched."""

    name: str
    help: str
    default: bool = True


READERS = frozenset(collector.name for collector in COLLECTORS)
"""Names of the collectors of engines."""

SWITCHES = {
    switch.name: switch
    for switch in (
        *(Switch(collector.name, collector.about) for collector in COLLECTORS),
        *(
            Switch(group.name, f"metrics: {group.about}", group.default)
            for group in GROUPS.values()
            if group.name not in READERS
        ),
    )
}
"""All that ``--[no-]collector.NAME`` switches: collectors of engines, and groups of metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, checked. It can be pickled, to pass it to other processes."""

    web: Web = field(default_factory=Web)
    process: Process = field(default_factory=Process)
    path: Paths = field(default_factory=Paths)
    log: Log = field(default_factory=Log)
    inventory: Inventory = field(default_factory=Inventory)
    containers: Containers = field(default_factory=Containers)
    metrics: Metrics = field(default_factory=Metrics)
    docker: Docker = field(default_factory=Docker)
    openvz: Openvz = field(default_factory=Openvz)
    lxc: Lxc = field(default_factory=Lxc)
    switches: Mapping[str, bool] = field(
        default_factory=lambda: {name: switch.default for name, switch in SWITCHES.items()}
    )
    style_rules: tuple[StyleRule, ...] = ()
    file: str = ""
    """The file that was read; empty if there was none."""
    text: str | None = field(default=None, compare=False, repr=False)
    """Its content."""
    flags: Mapping[str, object] = field(default_factory=dict)
    """What the command line set, to override the file again after a reload."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """Who else may change the file, where it was read; each names it."""

    def enabled(self, name: str) -> bool:
        """Return whether a collector or group of metrics is switched on; raises KeyError."""
        return self.switches[name]

    def options(self, environment: Mapping[str, str] = os.environ) -> Options:
        """Return the part of the configuration that collectors need."""
        return Options(
            engine_sockets=self.process.engine_sockets,
            docker_hosts=self.docker.hosts,
            docker_timeout=self.docker.timeout,
            vzlist_command=self.openvz.vzlist_command,
            vzlist_file=self.openvz.vzlist_file,
            lxc_paths=self.lxc.paths,
            environment={name: environment[name] for name in ENVIRONMENT if name in environment},
        )

    def overrides(self) -> tuple[Override, ...]:
        """Return the style rules, as the classifier takes them."""
        return tuple(
            Override(
                style=Style(rule.style),
                engine=rule.engine,
                name=rule.name,
                image=rule.image,
                labels=dict(rule.labels),
            )
            for rule in self.style_rules
        )


SECTIONS: Mapping[str, type] = {
    "web": Web,
    "process": Process,
    "path": Paths,
    "log": Log,
    "inventory": Inventory,
    "containers": Containers,
    "metrics": Metrics,
}
FIXED = ("web", "process", "path")
"""Sections that only a restart of the agent changes."""

COLLECTOR_SECTIONS: Mapping[str, type] = {"docker": Docker, "openvz": Openvz, "lxc": Lxc}
"""Sections [collector.NAME] that have keys besides ``enabled``."""


def declared_keys() -> Iterator[tuple[str, Key]]:
    """Return every key with its dotted path, except style_rule."""
    for name, section in SECTIONS.items():
        for field_name, declared in keys(section).items():
            yield f"{name}.{field_name}", declared
    for switch in SWITCHES.values():
        yield (
            f"collector.{switch.name}.enabled",
            Key(
                BOOLEAN,
                switch.help,
                f"--collector.{switch.name}",
                show_default(switch.default),
            ),
        )
        for field_name, declared in keys(COLLECTOR_SECTIONS.get(switch.name, Switch)).items():
            yield f"collector.{switch.name}.{field_name}", declared


def load(
    file: str | None = None, flags: Mapping[str, object] | None = None, text: str | None = None
) -> Config:
    """Read the configuration: defaults, then the file, then the flags (dotted path to value).

    If ``file`` is None, ``DEFAULT_FILE`` is read if it exists; if it is empty, no file is read.
    ``text`` is the content of a file that has been read already. Raises ``ConfigError`` with all
    problems at once.
    """
    if file is None:
        file = DEFAULT_FILE if os.path.exists(DEFAULT_FILE) else ""
    flags = dict(flags or {})
    from_file = Reader(file)
    warnings: tuple[str, ...] = ()
    is_read = text is None
    if file and text is None:
        text, warnings = _read(file)
    config = Config(file=file, flags=flags, text=text, warnings=warnings)
    if text is not None:
        config = _apply(config, _parse(file, text), from_file)
    from_flags = _FlagReader()
    config = _apply(config, _nest(flags), from_flags)
    problems = from_file.problems + from_flags.problems
    if problems:
        raise ConfigError(problems)
    if is_read:
        warnings = (*config.warnings, *_warnings_of_what_it_names(config))
        config = dataclasses.replace(config, warnings=warnings)
    return config


def _warnings_of_what_it_names(config: Config) -> tuple[str, ...]:
    """Return who else may change or read what the configuration and the environment name."""
    folder = config.options().environment.get("DOCKER_CERT_PATH", "")
    try:
        programs = program_warnings(config.openvz.vzlist_command)
    except UntrustedFileError as error:
        raise ConfigError([f"collector.openvz.vzlist_command: {error}"]) from error
    return (*programs, *(key_warnings(folder) if folder else ()))


class _FlagReader(Reader):
    def problem(self, where: str, what: str) -> None:
        flag = next(declared.flag for path, declared in declared_keys() if path == where)
        super().problem(flag, what)


def _read(file: str) -> tuple[str, tuple[str, ...]]:
    """Return the content of the file, and the warnings about who else may change it."""
    try:
        read = read_trusted(file)
        return read.content.decode(), read.warnings
    except OSError as error:
        raise ConfigError(
            [f"{file}: {error.strerror}; give a readable file with --config.file"]
        ) from error
    except UntrustedFileError as error:
        raise ConfigError([str(error)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file}: not TOML: {error}"]) from error


def _parse(file: str, text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - only needed for a file

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{file}: not TOML: {error}"]) from error


def _nest(flags: Mapping[str, object]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, value in flags.items():
        *tables, name = path.split(".")
        table = document
        for part in tables:
            table = table.setdefault(part, {})
        table[name] = value
    return document


def _apply(config: Config, document: Mapping[str, Any], reader: Reader) -> Config:
    top = reader.table(document, "", (*SECTIONS, "collector", "style_rule"))
    changes: dict[str, Any] = {
        name: reader.section(getattr(config, name), top[name], name)
        for name in SECTIONS
        if name in top
    }
    switches = dict(config.switches)
    for name, table in reader.table(top.get("collector", {}), "collector", SWITCHES).items():
        where = f"collector.{name}"
        section = COLLECTOR_SECTIONS.get(name)
        own = keys(section) if section else {}
        values = reader.table(table, where, ("enabled", *own))
        if "enabled" in values:
            on = reader.value(Key(BOOLEAN, ""), values.pop("enabled"), f"{where}.enabled")
            switches[name] = switches[name] if on is None else on
        if section:
            changes[name] = reader.section(getattr(config, name), values, where)
    changes["switches"] = switches
    if "style_rule" in top:
        changes["style_rules"] = tuple(_style_rules(top["style_rule"], reader))
    return dataclasses.replace(config, **changes)


def _style_rules(entries: object, reader: Reader) -> Iterator[StyleRule]:
    if not isinstance(entries, list):
        reader.problem("style_rule", "must be a list of tables, each headed [[style_rule]]")
        return
    for number, entry in enumerate(entries, 1):
        where = f"style_rule {number}"
        rule = reader.section(StyleRule(), entry, where)
        if isinstance(entry, Mapping) and "style" not in entry:
            reader.problem(where, 'must say which: style = "app" or style = "system"')
        if not rule.names_something:
            reader.problem(where, "must name engine, name, image or labels")
        yield rule
