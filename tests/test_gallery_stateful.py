"""Any sequence of changes, saves and searches of a Gallery, against plain lists of what it holds."""

import pickle
import shutil
import tempfile

import numpy as np
import reference
import strategies as own
from hypothesis import settings as tries
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from skreid.gallery import Gallery

N_FEATURES = 3


class GalleryMachine(RuleBasedStateMachine):
    """The gallery, and beside it lists of its rows, identities and cameras, changed one entry at a time."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.mkdtemp()

    def teardown(self):
        shutil.rmtree(self.folder)

    @initialize(data=st.data(), count=st.integers(1, 5), named=st.booleans(), seen=st.booleans())
    def start(self, data, count, named, seen):
        self.rows, self.ids, self.cams = [], [] if named else None, [] if seen else None
        self.saved = None
        self.gallery = Gallery(**self._more(data, count))

    def _more(self, data, count):
        """Draw images, append them to the lists, and return them as arguments."""
        more = {"descriptors": data.draw(own.descriptors(count, N_FEATURES))}
        self.rows.extend(more["descriptors"].tolist())
        for name, draw in (("ids", st.sampled_from(["ann", "bo", "cleo"])), ("cams", st.integers(0, 2))):
            kept = getattr(self, name)
            if kept is not None:
                more[name] = data.draw(st.lists(draw, min_size=count, max_size=count))
                kept.extend(more[name])
        return more

    @rule(data=st.data(), count=st.integers(1, 4))
    def add(self, data, count):
        self.gallery.add(**self._more(data, count))

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), masked=st.booleans())
    def remove(self, data, masked):
        gone = data.draw(st.sets(st.integers(0, len(self.rows) - 1)))
        mask = np.isin(np.arange(len(self.rows)), list(gone))
        self.gallery.remove(mask if masked else np.array(sorted(gone), dtype=int))
        for kept in (self.rows, self.ids, self.cams):
            if kept is not None:
                for place in sorted(gone, reverse=True):
                    del kept[place]

    @rule()
    def save(self):
        self.gallery.save(self.folder)
        self.saved = [None if kept is None else list(kept) for kept in (self.rows, self.ids, self.cams)]

    @precondition(lambda self: self.saved)
    @rule()
    def open(self):
        self.gallery = Gallery.open(self.folder)
        self.rows, self.ids, self.cams = (None if kept is None else list(kept) for kept in self.saved)

    @rule()
    def pickle(self):
        self.gallery = pickle.loads(pickle.dumps(self.gallery))

    @precondition(lambda self: self.rows)
    @rule(
        data=st.data(), probe=own.descriptors(1, N_FEATURES), hide=st.sampled_from(["nothing", "cams", "ids in cams"])
    )
    def search(self, data, probe, hide):
        """Nearest first, ties in the gallery's order, hidden images left out."""
        if (hide != "nothing" and self.cams is None) or (hide == "ids in cams" and self.ids is None):
            return
        k = data.draw(st.integers(1, len(self.rows)))
        person, camera = data.draw(st.sampled_from(["ann", "bo", "nobody"])), data.draw(st.integers(0, 3))
        given = {} if hide == "nothing" else {"cams": [camera]} | ({"ids": [person]} if hide != "cams" else {})
        hidden = np.zeros((1, len(self.rows)), dtype=bool) if hide == "nothing" else np.equal([self.cams], camera)
        if hide == "ids in cams":
            hidden &= np.equal([self.ids], person)
        expected = reference.nearest(probe, self.rows, k, hidden)
        distances, indices = self.gallery.kneighbors(probe, k, **given)
        np.testing.assert_array_equal(indices, expected[1])
        np.testing.assert_allclose(distances, expected[0], atol=1e-9)

    @invariant()
    def holds_the_same(self):
        if hasattr(self, "rows"):
            assert self.gallery.shape == (len(self.rows), N_FEATURES)
            np.testing.assert_array_equal(np.asarray(self.gallery.descriptors), np.reshape(self.rows, (-1, N_FEATURES)))
            for name in ("ids", "cams"):
                kept = getattr(self, name)
                assert (getattr(self.gallery, name) is None) == (kept is None)
                assert kept is None or getattr(self.gallery, name).tolist() == kept


TestGallery = GalleryMachine.TestCase
TestGallery.settings = tries(max_examples=tries.default.max_examples // 4, stateful_step_count=20)
