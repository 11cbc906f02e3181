"""What `benchmarks.reranking` runs in a process of its own, without torch, whose memory would hide the rest."""

import time

import numpy as np

from skreid.metrics import k_reciprocal_blocks, ranking_metrics

N_FEATURES = 64


def people(n_probe, n_gallery):
    """Draw descriptors around the means of identities with 30 images each; return rows and identities of both sides."""
    rng = np.random.default_rng(0)
    n = n_probe + n_gallery
    y = rng.integers(max(2, n // 30), size=n)
    means = rng.standard_normal((y.max() + 1, N_FEATURES), dtype=np.float32)
    rows = means[y] + np.float32(1.3) * rng.standard_normal((n, N_FEATURES), dtype=np.float32)
    return rows[:n_probe], rows[n_probe:], y[:n_probe], y[n_probe:]


def rerank(n_probe, n_gallery, block_size=None):
    """Re-rank; print rank-1, mAP and processor seconds."""
    probes, gallery, y_probe, y_gallery = people(n_probe, n_gallery)
    started = time.process_time()
    blocks = k_reciprocal_blocks(probes, gallery)
    result = ranking_metrics(y_probe, y_gallery, blocks, ranks=1, block_size=block_size)
    print(result.ranks[1], result.mean_average_precision, time.process_time() - started)
