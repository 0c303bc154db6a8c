"""What computes a transformer: OpenVINO on CPUs, torch on GPUs and as the reference."""
