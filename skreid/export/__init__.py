"""Fitted systems for other runtimes: one ONNX file from the pixels of frames to descriptors."""

from skreid.export._onnx import Export, to_onnx

__all__ = ["Export", "to_onnx"]
