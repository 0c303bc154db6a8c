"""Environment variables that nothing reads: most likely misspelled."""

import ast
import difflib
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

from trivium_client.doctor.findings import Finding, ok, warning
from trivium_client.doctor.installation import settings_files

_PREFIX = "TRIVIUM_"

EVERYWHERE = frozenset(
    {
        "TRIVIUM_DATA_DIR",
        "TRIVIUM_LOG_LEVEL",
        "TRIVIUM_LOG_FORMAT",
        "TRIVIUM_TLS_CERT",
        "TRIVIUM_TLS_KEY",
        "TRIVIUM_TLS_CA",
        "TRIVIUM_API_KEY",
        "TRIVIUM_GATEWAY",
        "TRIVIUM_MCP_URL",
        "TRIVIUM_CHAT_HISTORY",
        "TRIVIUM_MOVE_FROM_KEY",
        "TRIVIUM_MOVE_TO_KEY",
        # scripts and the files of docker compose
        "TRIVIUM_BIND",
        "TRIVIUM_GPU_COUNT",
        "TRIVIUM_GRPC_PORT",
        "TRIVIUM_HTTP_PORT",
        "TRIVIUM_IMAGE_PREFIX",
        "TRIVIUM_MODELS_DIR",
        "TRIVIUM_TLS_DIR",
        "TRIVIUM_TORCH",
        "TRIVIUM_TORCH_INDEX_URL",
        "TRIVIUM_VENV",
        "TRIVIUM_VERSION",
        "TRIVIUM_EMBED_MEMORY",
        "TRIVIUM_GATEWAY_MEMORY",
        "TRIVIUM_GENERATE_MEMORY",
        "TRIVIUM_GENERATE_VARIANT",
        "TRIVIUM_RERANK_MEMORY",
    }
)
"""What is read by this command, by scripts or by several services."""

_SERVICE_PREFIXES = ("EMBED_", "RERANK_", "GENERATE_", "GATEWAY_", "QDRANT_EDGE_")


def judge_variables(variables: Iterable[str], known: frozenset[str], known_prefixes: frozenset[str]) -> list[Finding]:
    """Names the variables that nothing reads.

    Args:
        variables: Names of the environment's variables.
        known: Names that are read.
        known_prefixes: Beginnings of the names that can be judged: those of services that are installed here.
    """
    ours = sorted(name for name in variables if name.startswith(_PREFIX))
    found = []
    for name in ours:
        of_service = next((_PREFIX + prefix for prefix in _SERVICE_PREFIXES if name.startswith(_PREFIX + prefix)), None)
        if name in known or (of_service is not None and of_service not in known_prefixes):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        advice = f"did you mean {near[0]}?" if near else "docs/settings.md lists what there is; unset it"
        found.append(warning("variables", f"{name} is set, but nothing reads it", advice))
    return found or [ok("variables", f"{len(ours)} of Trivium's are set, all known" if ours else "none is set")]


def variables(environment: dict[str, str]) -> list[Finding]:
    known, prefixes = set(EVERYWHERE), set()
    for prefix, file in settings_files():
        prefixes.add(prefix)
        known.update(read_by(prefix, file))
    return judge_variables(environment, frozenset(known), frozenset(prefixes))


def read_by(prefix: str, file: Path) -> Iterator[str]:
    """The variables that a settings file declares, and those that it shares with others; it is parsed, not run.

    Args:
        prefix: Of the service's variables.
        file: Has a dataclass whose fields are `name: type = setting(..., env=...)`.
    """
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (shared := _settings_module(node)):
            yield from read_by(prefix, shared)
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "setting":
            named = [word.value for word in call.keywords if word.arg == "env"]
            own = named[0].value if named and isinstance(named[0], ast.Constant) else None
            yield str(own or prefix + node.target.id.upper())


def _settings_module(node: ast.ImportFrom) -> Path | None:
    """The file that a settings file takes fields from, if it is one of a library of Trivium's."""
    module = node.module or ""
    if not (module.startswith("trivium_") and any(name.name.endswith("Settings") for name in node.names)):
        return None
    spec = importlib.util.find_spec(module)
    return Path(spec.origin) if spec is not None and spec.origin else None
