"""The dashboard of GPUs."""

from __future__ import annotations

from panels import Dashboard, lines

GPU = Dashboard(
    "gpu",
    "GPUs",
    "By NVIDIA's dcgm-exporter, where there is one.",
    (
        lines("Busy", "percent", "Share of time.", ("DCGM_FI_DEV_GPU_UTIL", "{{Hostname}} {{gpu}}"), most=100),
        lines(
            "Memory",
            "percentunit",
            "Share in use; vLLM takes its part at the start.",
            (
                "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)",
                "{{Hostname}} {{gpu}}",
            ),
            most=1,
        ),
        lines("Temperature", "celsius", "Of the chip.", ("DCGM_FI_DEV_GPU_TEMP", "{{Hostname}} {{gpu}}")),
        lines("Power", "watt", "Drawn.", ("DCGM_FI_DEV_POWER_USAGE", "{{Hostname}} {{gpu}}")),
        lines("Clock", "suffix: MHz", "Of the multiprocessors.", ("DCGM_FI_DEV_SM_CLOCK", "{{Hostname}} {{gpu}}")),
        lines(
            "XID errors",
            "short",
            "Number of the last one; 0 is none.",
            ("DCGM_FI_DEV_XID_ERRORS", "{{Hostname}} {{gpu}}"),
            thresholds=((1, "red"),),
        ),
    ),
)
