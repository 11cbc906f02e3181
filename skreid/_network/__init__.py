"""Networks: built by name, read at their layers, on a device and in a precision."""
