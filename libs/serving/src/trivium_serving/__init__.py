"""What every gRPC service of Trivium needs: server, errors, interceptors, settings, telemetry, admission."""
