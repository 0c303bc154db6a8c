"""Protobuf messages to domain objects and back."""
