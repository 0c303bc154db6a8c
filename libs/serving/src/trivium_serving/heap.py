"""Keeps the garbage collector from holding up a service."""

import gc

_NEW_OBJECTS = 10_000
"""So many new ones before the collector looks at them: Python's own 700 are gone through many times in one answer."""


def freeze_heap() -> None:
    """Spares the collector what is loaded by now: going through all of it stops everything for a tenth of a second.

    To be called when a service has started, and again when it has loaded anything large.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
