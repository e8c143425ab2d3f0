"""Run by the one file's own Python when it was built: imports all that it may ever need.

Its modules are compiled from a list (Setup.local); what that forgets shows only when it is used.
"""

import importlib
import pkgutil
import sqlite3
import ssl
import sys
import zlib
from pathlib import Path

PACKAGES = ("agent", "collectors")
MODULES = (
    *("_elementtree", "bcrypt", "cheroot.ssl.builtin", "cheroot.wsgi", "docker", "inotify_simple"),
    *("isal.igzip", "prometheus_client", "psutil", "pyroute2", "yaml.cyaml"),
)

if __name__ == "__main__":
    site = Path(sys.prefix, "lib/python3.11/site-packages")
    for package in PACKAGES:
        names = [each.name for each in pkgutil.walk_packages([str(site / package)], f"{package}.")]
        for name in (package, *names):
            if not name.endswith("__main__"):
                importlib.import_module(name)
    for name in MODULES:
        importlib.import_module(name)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # As the collector of podman reads its database.
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE containers (name TEXT)")
    database.deserialize(database.serialize())
    print(sys.version, ssl.OPENSSL_VERSION, sqlite3.sqlite_version, zlib.ZLIB_VERSION, sep="; ")  # noqa: T201
