from __future__ import annotations

import base64
import hashlib
import os
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Container
from agent.web.page import CONTENT_SECURITY_POLICY, detail, front, link
from tests.support.snapshots import BAD, GONE, INNER, LEGACY, WEB, picture

VOID = {"meta"}


class Outline(HTMLParser):
    """Checks that tags are balanced, and collects names of tags, links and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_front_page() -> None:
    page = Outline(front(picture(), "/metrics", ready=True))
    assert "Tallyman on host<1>" in page.words
    assert "4 containers: 2 app, 1 system, 1 unknown" in page.words
    assert "app: mismatch" in page.words
    assert "docker_as_vm" in page.words
    assert "no_limits" not in page.words  # advice is for who asks about one container
    assert page.links[:3] == ["/metrics", "/-/healthy", "/-/ready"]
    assert link(WEB.id) in page.links


def test_a_removed_container_is_told_so() -> None:
    page = Outline(front(picture(GONE), "/metrics", ready=True))
    assert "removed" in page.words


def test_the_front_page_before_the_first_picture() -> None:
    page = Outline(front(picture(complete=False), "/metrics", ready=False))
    assert "The first scan of this host is not complete yet." in page.words


def test_a_host_without_containers() -> None:
    snapshot = picture()
    empty = type(snapshot)(host=snapshot.host, containers={}, complete=True)
    assert "no containers on this host" in Outline(front(empty, "/metrics", ready=True)).words


def test_the_detail_page() -> None:
    page = Outline(detail(LEGACY, picture()))
    for words in (
        "legacy is system-style",
        "pid 1 is systemd",
        "/proc/4712/exe",
        "The list of packages could not be read.",
        "A small server runs in docker, with sshd.",
        "nothing seen",
    ):
        assert words in page.words


def test_the_parent_is_linked() -> None:
    assert link(LEGACY.id) in Outline(detail(INNER, picture())).links


@pytest.mark.parametrize("container", [BAD, WEB])
def test_strangers_words_are_text_and_nothing_else(container: Container) -> None:
    snapshot = picture()
    for html in (front(snapshot, "/metrics", ready=True), detail(container, snapshot)):
        page = Outline(html)
        assert "script" not in page.tags
        assert "\x1b" not in html
        assert "\u202e" not in html
        html.encode("utf-8")
    assert "<script>alert('1')</script>" in page.words or container is WEB


@given(st.text(st.characters(), max_size=30))
def test_no_name_breaks_the_page(name: str) -> None:
    container = Container(id="/" + name, engine=name, name=name, image=name, hostname=name)
    snapshot = picture(container)
    for html in (front(snapshot, "/metrics", ready=True), detail(container, snapshot)):
        Outline(html)
        html.encode("utf-8")


@given(st.binary(max_size=30))
def test_links_are_plain_ascii(raw: bytes) -> None:
    path = link("/" + os.fsdecode(raw))
    assert re.fullmatch(r"/containers/[A-Za-z0-9%/._~-]*", path)


def test_the_policy_allows_the_style_of_the_page_and_nothing_else() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", front(picture(), "/m", ready=True), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
