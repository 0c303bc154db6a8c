"""Measures a running stack on questions whose answers are known."""
