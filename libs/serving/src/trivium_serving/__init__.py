"""What every gRPC service of Trivium needs: server, errors, interceptors, settings, telemetry, admission.

Import from the modules; the package itself exports nothing.
"""

__all__: list[str] = []
