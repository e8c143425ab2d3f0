"""The variables of the dashboards: each narrows the next."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from dashboards.promql import HOSTS, ID, KINDS

Builder = (
    builders.QueryVariable
    | builders.DatasourceVariable
    | builders.CustomVariable
    | builders.TextBoxVariable
)
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_INFO = "tallyman_container_info"


def datasource() -> builders.DatasourceVariable:
    """Let the user choose the Prometheus that scrapes the agents."""
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _query(name: str, label: str, query: str) -> builders.QueryVariable:
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
    )


def _all(variable: builders.QueryVariable, everything: str = ".+") -> builders.QueryVariable:
    if everything:
        variable.all_value(everything)
    return (
        variable.multi(True)
        .include_all(True)
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def job() -> builders.QueryVariable:
    """Let the user choose the scrape jobs.

    All is each of them by name: a pattern for everything would count the targets of other jobs.
    """
    return _all(_query("job", "Job", "label_values(tallyman_build_info, job)"), "")


def one_job() -> builders.QueryVariable:
    """Let the user choose one scrape job: two that scrape a host would count it twice."""
    return _query("job", "Job", "label_values(tallyman_build_info, job)")


def instances() -> builders.QueryVariable:
    """Let the user choose hosts."""
    query = 'label_values(tallyman_build_info{job=~"$job"}, instance)'
    return _all(_query("instance", "Host", query))


def instance() -> builders.QueryVariable:
    """Let the user choose one host."""
    query = 'label_values(tallyman_build_info{job=~"$job"}, instance)'
    return _query("instance", "Host", query)


def engine(style_is: str = ".*") -> builders.QueryVariable:
    """Let the user choose engines, of those that the hosts have for containers of a style."""
    query = f'label_values({_INFO}{{{HOSTS},style=~"{style_is}"}}, engine)'
    return _all(_query("engine", "Engine", query))


def style() -> builders.QueryVariable:
    """Let the user choose styles."""
    return _all(_query("style", "Style", f"label_values({_INFO}{{{KINDS}}}, style)"))


def containers(style_is: str = "$style") -> builders.QueryVariable:
    """Let the user choose containers by name; All takes those without a name, too."""
    query = f'label_values({_INFO}{{{KINDS},style=~"{style_is}"}}, name)'
    return _all(_query("container", "Container", query), ".*")


def container() -> builders.QueryVariable:
    """Let the user choose one container by name."""
    query = f'label_values({_INFO}{{{KINDS},style=~"$style"}}, name)'
    return _query("container", "Container", query)


def identity() -> builders.QueryVariable:
    """Let the user choose among the containers of that name, the newest first.

    One that was removed within the time shown is among them; links set the id directly.
    """
    # One name, so that no character in it is taken for a pattern.
    named = f'last_over_time({_INFO}{{{HOSTS},name="$container"}}[$__range])'
    started = f"last_over_time(tallyman_container_started_seconds{{{HOSTS}}}[$__range])"
    # Not every container has been started.
    query = (
        f"query_result(sort_desc(max by (id) (({started} or on ({ID}) 0 * {named}) "
        f"and on ({ID}) {named})))"
    )
    return _query("id", "Id", query).regex('/id="([^"]+)"/').sort(models.VariableSort.DISABLED)


def _how_many(name: str, label: str, choices: str, default: str) -> builders.CustomVariable:
    return (
        builders.CustomVariable(name)
        .label(label)
        .values(choices)
        .current(models.VariableOption(selected=True, text=default, value=default))
    )


def lines() -> builders.CustomVariable:
    """Let the user choose how many lines a graph has."""
    return _how_many("top", "Lines", "5,10,20,50", "10")


def rows() -> builders.CustomVariable:
    """Let the user choose how many rows a table has."""
    return _how_many("rows", "Rows", "10,25,50,100,200", "25")


_GROUPS = {
    "image": "image",
    "Compose service": "compose_project, compose_service",
    "Compose project": "compose_project",
    "pod": "namespace, pod",
    "Kubernetes namespace": "namespace",
    "Swarm service": "swarm_service",
    "container": "name",
}


def grouping() -> builders.CustomVariable:
    """Let the user choose what counts as one application: label names."""
    # Grafana's custom variable: "text : value", separated by commas that are not escaped.
    values = ", ".join(f"{text} : {names}".replace(",", "\\,") for text, names in _GROUPS.items())
    return (
        builders.CustomVariable("by")
        .label("Group by")
        .values(values)
        .current(models.VariableOption(selected=True, text="image", value="image"))
    )


def application() -> builders.TextBoxVariable:
    """Let the user narrow to applications, of those that ``grouping`` makes; a regex."""
    return builders.TextBoxVariable("application").label("Application").default_value(".*")
