"""Limit each of numpy's matrix products to one thread, so that several products can run in threads of their own.

The threads within one product wait for each other, which is slow on a busy machine.
"""

import os
from contextlib import contextmanager
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController

_users = []  # the limit holds for the whole process: the first user sets it, the last one lifts it
_lock = Lock()


def _start_anew():
    global _lock
    _lock = Lock()
    _users.clear()


if hasattr(os, "register_at_fork"):
    # held for an instant by every search: a process forked at that instant would wait forever for another's thread
    os.register_at_fork(after_in_child=_start_anew)


@contextmanager
def single_threaded_blas():
    """Limit numpy's matrix products to one thread each, and yield the number of threads they had before."""
    with _lock:
        if not _users:
            pools = _blas()
            n_threads = max((pool["num_threads"] for pool in pools.info()), default=1)
            _users.append((n_threads, pools.limit(limits=1)))
        else:
            _users.append(_users[0])
    try:
        yield _users[0][0]
    finally:
        with _lock:
            limit = _users.pop()[1]
            if not _users:
                limit.restore_original_limits()


@cache
def _blas():
    """Return the controller of the BLAS libraries; finding them takes milliseconds."""
    return ThreadpoolController().select(user_api="blas")
