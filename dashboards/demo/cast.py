"""Who is in the demo: three hosts, sixty containers, and what happens to them."""

from __future__ import annotations

from dataclasses import replace

from dashboards.demo.roster import GIB, HOUR, LONG_AGO, MIB, Actor, Machine, Openvz


def _shop(service: str, image: str) -> Actor:
    return Actor(
        name=f"shop-{service}-1",
        engine="docker",
        image=image,
        compose=("shop", service),
        restart_policy="unless-stopped",
        memory_limit=512 * MIB,
        quota=1.0,
    )


def _server(name: str, engine: str) -> Actor:
    return Actor(
        name=name,
        engine=engine,
        style="system",
        services=6,
        processes=38,
        memory=420 * MIB,
        memory_limit=2 * GIB,
        traffic=60_000,
        cores=0.12,
    )


_SUFFIXES = ("x7k2p", "b9zqt", "m4lhd", "t8wvn")
"""Of the pods of a deployment."""


def _pod(deployment: str, number: int, image: str, namespace: str = "prod") -> Actor:
    pod = f"{deployment}-7c9f5d6b84-{_SUFFIXES[number]}"
    return Actor(
        name=f"{namespace}/{pod}/{deployment}",
        engine="containerd",
        image=image,
        namespace=namespace,
        pod=pod,
        memory_limit=256 * MIB,
        quota=0.5,
        created=-9 * 86400.0,
    )


_HARBOUR_1 = (
    replace(_shop("web", "nginx:1.27"), cores=0.2, traffic=2e6, processes=9, memory=60 * MIB),
    replace(
        _shop("api", "registry.example/shop/api:4.12"), cores=0.6, traffic=1e6, memory=310 * MIB
    ),
    replace(
        _shop("worker", "registry.example/shop/worker:4.12"),
        cores=0.3,
        memory=180 * MIB,
        leaks=True,
    ),
    replace(_shop("db", "postgres:16"), cores=0.35, memory=400 * MIB, processes=14),
    replace(_shop("cache", "redis:7.4"), cores=0.06, memory=120 * MIB),
    replace(_shop("mailer", "registry.example/shop/mailer:4.12"), restarts_since=-0.6 * HOUR),
    replace(
        _shop("search", "registry.example/shop/search:2.1"),
        quota=0.5,
        cores=0.3,
        demand=(-2 * HOUR, 0.9),
    ),
    replace(_shop("checkout", "registry.example/shop/checkout:4.12"), unhealthy_since=-0.4 * HOUR),
    Actor(
        name="grafana",
        engine="docker",
        image="grafana/grafana:11.6.0",
        memory=160 * MIB,
        findings={"no_limits": LONG_AGO},
    ),
    Actor(
        name="traefik",
        engine="docker",
        image="traefik:3.3",
        cores=0.15,
        traffic=3e6,
        findings={"engine_socket_inside": LONG_AGO, "no_limits": LONG_AGO},
    ),
    Actor(
        name="reporting",
        engine="docker",
        image="registry.example/reporting:0.9",
        memory=700 * MIB,
        sessions=2,
        findings={"logged_into": -HOUR, "drifted": -0.8 * HOUR, "bloated_image": LONG_AGO},
    ),
    replace(
        _server("legacy-erp", "docker"),
        image="registry.example/erp:2019",
        memory=900 * MIB,
        turns_system=-3 * HOUR,
        memory_limit=0,
        findings={"docker_as_vm": -3 * HOUR, "stale_image": LONG_AGO},
    ),
    replace(
        _server("jump-box", "docker"),
        image="debian:12",
        created=-0.6 * HOUR,
        memory_limit=0,
        sessions=3,
        findings={"privileged": -0.6 * HOUR, "docker_as_vm": -0.6 * HOUR},
    ),
    Actor(
        name="backup-nightly",
        engine="docker",
        image="restic/restic:0.17",
        state="exited",
        exit_code=0,
        gone=-5.5 * HOUR,
    ),
    Actor(
        name="import-2024",
        engine="docker",
        image="registry.example/import:1",
        state="exited",
        exit_code=137,
        gone=-4.2 * HOUR,
    ),
    Actor(name="pihole", engine="podman", image="docker.io/pihole/pihole:2025.03", processes=6),
    Actor(name="vault", engine="podman", image="docker.io/hashicorp/vault:1.19", memory=200 * MIB),
    Actor(
        name="minecraft",
        engine="podman",
        image="docker.io/itzg/minecraft-server:java21",
        cores=0.9,
        memory=3 * GIB,
        memory_limit=int(3.3 * GIB),
    ),
    replace(_server("mail", "lxc"), memory=760 * MIB, services=9, sessions=1),
    replace(_server("dns1", "lxc"), memory_limit=512 * MIB, memory=180 * MIB, services=4),
    replace(
        _server("gitlab", "lxc"),
        memory=5 * GIB,
        memory_limit=int(5.4 * GIB),
        cores=0.8,
        services=11,
        findings={"no_user_namespace": LONG_AGO},
    ),
    Actor(
        name="redis-ct",
        engine="lxc",
        memory=300 * MIB,
        memory_limit=GIB,
        findings={"single_app_in_system_container": LONG_AGO},
    ),
)

_HARBOUR_2 = (
    *(
        replace(_pod("web", n, "registry.example/site:88"), cores=0.15, traffic=8e5)
        for n in range(4)
    ),
    *(replace(_pod("orders", n, "registry.example/orders:31"), cores=0.25) for n in range(3)),
    *(
        replace(_pod("payments", n, "registry.example/payments:12"), memory=205 * MIB)
        for n in range(2)
    ),
    *(
        replace(
            _pod("web", n, "registry.k8s.io/pause:3.9"),
            name=f"prod/web-7c9f5d6b84-{_SUFFIXES[n]}",
            role="infra",
            cores=0.0,
            memory=MIB // 2,
            processes=1,
            services=0,
            traffic=0,
        )
        for n in range(4)
    ),
    replace(
        _pod("metrics-agent", 1, "registry.example/agent:3", "kube-system"),
        findings={"shared_host_namespaces": LONG_AGO},
        traffic=0,
    ),
    replace(_server("build-deb", "nspawn"), memory_limit=0, cores=0.5),
    replace(_server("build-rpm", "nspawn"), memory_limit=0, cores=0.3),
    Actor(name="scratch", engine="nspawn", style="unknown", state="exited"),
    Actor(name="", engine="none", style="unknown", processes=1, memory=20 * MIB),
)

_BUSY = 109
"""The server that wants more than its CPUs."""
_QUAY_1 = (
    *(
        replace(
            _server(f"vps{n}.example", "openvz"),
            image="debian-12-x86_64",
            openvz=Openvz(ctid=str(n), disk_used=0.2 + (n * 7 % 50) / 100),
            memory_limit=4 * GIB,
            memory=(600 + n * 37 % 900) * MIB,
            quota=2.0,
            created=-200 * 86400.0 + n * 86400,
            sessions=n % 2,
            demand=(-1.2 * HOUR, 6.5) if n == _BUSY else None,
        )
        for n in range(101, 116)
    ),
    replace(
        _server("db01.example", "openvz"),
        image="centos-7-x86_64",
        memory_limit=8 * GIB,
        memory=6 * GIB,
        cores=1.1,
        quota=4.0,
        openvz=Openvz(ctid="120", failing=("privvmpages", "numproc")),
    ),
    replace(
        _server("files.example", "openvz"),
        image="debian-11-x86_64",
        memory_limit=4 * GIB,
        openvz=Openvz(ctid="121", disk_bytes=100 * GIB, disk_used=0.965, disk_grows=True),
    ),
    replace(
        _server("old.example", "openvz"),
        image="centos-6-x86_64",
        state="exited",
        openvz=Openvz(ctid="130"),
    ),
    Actor(
        name="nodeapp.example",
        engine="openvz",
        image="debian-12-x86_64",
        memory_limit=2 * GIB,
        quota=1.0,
        openvz=Openvz(ctid="140"),
        findings={"single_app_in_system_container": LONG_AGO},
    ),
    replace(
        _server("shared-hosting", "openvz"),
        image="almalinux-8-x86_64",
        services=14,
        processes=210,
        memory=9 * GIB,
        memory_limit=16 * GIB,
        cores=1.8,
        quota=6.0,
        traffic=4e6,
        sessions=4,
        openvz=Openvz(ctid="150", disk_bytes=400 * GIB, disk_used=0.71),
    ),
)

EVERYWHERE = ("processes", "evidence")
"""Collectors that see every container, whoever made it."""

MACHINES = (
    Machine(
        instance="harbour-1:10060",
        cores=16,
        memory=32 * GIB,
        actors=_HARBOUR_1,
        collectors=(*EVERYWHERE, "docker", "podman", "lxc"),
    ),
    Machine(
        instance="harbour-2:10060",
        cores=8,
        memory=16 * GIB,
        actors=_HARBOUR_2,
        collectors=(*EVERYWHERE, "containerd", "docker", "nspawn"),
        virtualization="kvm",
        down=(-4 * HOUR, -3.6 * HOUR),
        collector_failing=("docker", -2 * HOUR, -1.7 * HOUR),
    ),
    Machine(
        instance="quay-1:10060",
        cores=24,
        memory=48 * GIB,
        actors=_QUAY_1,
        collectors=(*EVERYWHERE, "openvz"),
        kernel="3.10.0-1160.90.1.vz7.200.7",
        cgroup_mode="v1",
        pressure=False,
        denied_since=-1.2 * HOUR,
    ),
)
"""The hosts."""
