"""From X to pixels: `sequence` (X in any form), `decode` (one image), `batches` (tensors), `source` (X as batches)."""
