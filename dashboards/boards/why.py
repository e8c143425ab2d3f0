"""The verdict on one container, axis by axis, with what it rests on and how it came."""

from __future__ import annotations

from dashboards.columns import share
from dashboards.layout import line, row
from dashboards.panels import Steps, bars, graph, now, query
from dashboards.tables import Column, Key, rows
from dashboards.theme import BLUE, GREEN, GREY, ORANGE, PURPLE
from dashboards.this_container import this

_LEAN: Steps = ((None, BLUE), (0, PURPLE))
"""Below zero it leans to app, above to system."""
_AXES = this("tallyman_container_axis_score")
_SCORE = this("tallyman_container_style_score")


WHY = row(
    "The verdict, and why",
    line(
        10,
        (
            7,
            bars(
                "Axis by axis",
                "How far each leans to app (blue) or to system (purple), from 0 to 1; only axes "
                "with evidence.",
                now(f"sort_desc(-({_AXES} < 0))", "{{axis}}"),
                now(f"sort_desc({_AXES} >= 0)", "{{axis}}"),
                now(f"-({_SCORE} < 0)", "all together"),
                now(f"{_SCORE} >= 0", "all together"),
                high=1,
                colours={"A": BLUE, "B": PURPLE, "C": BLUE, "D": PURPLE},
                decimals=2,
                empty="no evidence: too little could be seen",
            ),
        ),
        (
            10,
            rows(
                "Evidence",
                "Evidence for app (below zero) or system (above zero), and its weight. Needs the "
                "agent's --collector.verdict_detail; docs/verdict.md explains each rule, and "
                "tallyman explain NAME on the host shows the facts.",
                (Key("axis", "Axis", width=95), Key("rule", "Rule")),
                (
                    Column(
                        "Weight",
                        f"sum by (axis, rule) ({this('tallyman_container_evidence')})",
                        decimals=2,
                        steps=_LEAN,
                        width=80,
                    ),
                ),
                sort="Weight",
                empty="see tallyman explain, or start the agent with --collector.verdict_detail",
            ),
        ),
        rows(
            "Findings",
            "Findings, and for what share of the time shown they applied. tallyman explain NAME "
            "says what each means and what to do.",
            (
                Key("finding", "Finding", width=120, grows=True),
                Key("severity", "Severity", width=80),
            ),
            (
                share(
                    "Of the time",
                    "sum by (finding, severity) (count_over_time("
                    f"{this('tallyman_container_finding')}[$__range])) / "
                    "scalar(max(count_over_time("
                    f"{this('tallyman_container_style_confidence')}[$__range])))",
                    100,
                    ((None, ORANGE),),
                ),
            ),
            empty="no findings",
        ),
    ),
    line(
        8,
        (
            8,
            graph(
                "Verdict over time",
                "Score from -1 (app) to +1 (system), and its confidence from 0 to 1.",
                query(this("tallyman_container_style_score"), "score"),
                query(this("tallyman_container_style_confidence"), "confidence"),
                low=-1,
                high=1,
                colours={"score": PURPLE, "confidence": GREY},
                dashed=("confidence",),
                empty="no verdict",
            ),
        ),
        graph(
            "Axes over time",
            "From -1 (app) to +1 (system).",
            query(this("tallyman_container_axis_score"), "{{axis}}"),
            low=-1,
            high=1,
            fill=0,
            empty="no verdict",
        ),
        graph(
            "What it was judged from",
            "Unrelated services that run in it, users that own processes, people who are logged "
            "in, and listening sockets.",
            query(this("tallyman_container_services"), "services"),
            query(this("tallyman_container_users"), "users"),
            query(this("tallyman_container_sessions"), "people"),
            query(this("tallyman_container_listening_sockets"), "sockets"),
            decimals=0,
            colours={"services": PURPLE, "users": GREEN, "people": ORANGE, "sockets": GREY},
            fill=0,
            empty="no data",
        ),
    ),
)
