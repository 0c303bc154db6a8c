"""Runs transformer encoders at the hardware's limit."""
