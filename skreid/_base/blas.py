"""Matrix products on the cores there are: one product a thread, instead of threads within a product; and locks.

Threads within a product wait for each other, badly so on a busy machine; a thread a piece of work does not.
"""

import os
from contextlib import contextmanager
from functools import cache
from threading import Lock
from weakref import WeakSet

from threadpoolctl import ThreadpoolController

_locks = WeakSet()


class FreshLock:
    """A lock that is free in a forked process, whatever thread held it before: a fork copies locks, not threads."""

    def __init__(self, kind=Lock):
        self._kind, self._lock = kind, kind()
        _locks.add(self)

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()

    def renew(self):
        """Forget who holds it."""
        self._lock = self._kind()


_users = []  # the limit of the first of those at work: it is for the whole process
_lock = FreshLock()


def _after_fork():
    _users.clear()
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def one_product_a_thread():
    """Keep the threads of numpy's matrix products to one, and give the number they were."""
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
    """Return the libraries of matrix products; looking for them takes milliseconds."""
    return ThreadpoolController().select(user_api="blas")
