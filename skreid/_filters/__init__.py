"""The method's arithmetic: smoothing (Eq. 1), pair distances (Eqs. 2-3), the choice of filters (Eq. 4)."""
