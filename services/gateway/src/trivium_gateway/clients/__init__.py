"""The gateway's clients of the model services. Protobuf messages do not leave these modules."""

__all__: list[str] = []
