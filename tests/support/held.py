"""What a tree of objects holds: how many elements there are in its dictionaries, sets and lists."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

_ATOMS = (str, bytes, int, float, complex, bool, type(None), type)
_OURS = ("agent.", "collectors.")


def held(**roots: object) -> Counter[str]:
    """Return the number of elements by where they are, such as ``scout._evidence._cache``.

    It follows attributes of the program's own objects, and elements, which are all one place:
    ``scout._evidence._cache[].mounts``. An object counts where it is met first.
    """
    sizes: Counter[str] = Counter()
    seen: dict[int, object] = {}  # the objects, so that no number is used again meanwhile
    left = deque[tuple[str, Any]](roots.items())
    while left:
        place, one = left.popleft()
        if isinstance(one, _ATOMS) or id(one) in seen:
            continue
        seen[id(one)] = one
        if isinstance(one, dict):
            sizes[place] += len(one)
            left += [(f"{place}[]", element) for pair in one.items() for element in pair]
        elif isinstance(one, list | tuple | set | frozenset | deque):
            sizes[place] += len(one)
            left += [(f"{place}[]", element) for element in one]
        elif type(one).__module__.startswith(_OURS):
            left += [(f"{place}.{name}", value) for name, value in _attributes(one)]
    return sizes


def grown(before: Counter[str], after: Counter[str], *, share: float, most: int) -> dict[str, str]:
    """Return the places that hold more than before: by that share, and that many at least."""
    return {
        place: f"{before[place]} -> {after[place]}"
        for place in after
        if after[place] > before[place] * (1 + share) + most
    }


def _attributes(one: object) -> list[tuple[str, object]]:
    slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
    pairs = [(name, getattr(one, name)) for name in slots if hasattr(one, name)]
    return [*pairs, *getattr(one, "__dict__", {}).items()]
