"""What the dashboards show, a module each. Thresholds are those of the alerts in deploy/prometheus/rules."""

from __future__ import annotations

from contents.embed import EMBED
from contents.gateway import GATEWAY
from contents.generate import GENERATE
from contents.gpu import GPU
from contents.overview import OVERVIEW
from contents.qdrant import QDRANT
from contents.rerank import RERANK
from contents.retrieval import RETRIEVAL
from contents.runbook import RUNBOOK
from contents.vllm import VLLM

DASHBOARDS = (OVERVIEW, RETRIEVAL, GATEWAY, EMBED, RERANK, GENERATE, VLLM, QDRANT, GPU, RUNBOOK)
