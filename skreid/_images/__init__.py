"""Pictures in: one image however it arrives, and any X as batches."""
