"""Conformance: the networks in which initializers are judged, and what is measured there."""
