"""Networks: built by name or by callable, read at their layers, on a device and in a precision."""
