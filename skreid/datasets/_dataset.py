"""What loaders return: Bunches that print in a few lines, where scikit-learn's print every value."""

from sklearn.utils import Bunch

from skreid.datasets._sentences import count, counts, summary


class Report(Bunch):
    """Counts and possible problems of a dataset; it prints as three lines and one for each problem."""

    def __repr__(self):
        return summary(self)


class Dataset(Bunch):
    """Images or their paths, identities and cameras; it prints as its report, or in three lines."""

    def __repr__(self):
        if "report" in self:
            return repr(self.report)
        n_identities, n_cameras = len(set(self.target.tolist())), len(set(self.cams.tolist()))
        return "\n".join(
            [
                f"{self.DESCR.partition(chr(10))[0]}: {counts(len(self.target), n_identities, n_cameras)}",
                f"images of {self.images.shape[1]} x {self.images.shape[2]} pixels",
                f"{count(len(self), 'key')}: {', '.join(self)}",
            ]
        )
