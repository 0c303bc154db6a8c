"""The doctor: what it makes of given facts, and one look at the machine that runs this."""

import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from trivium_client import GatewayUnreachable, StageStatus, Status
from trivium_client.doctor import certificates, gpu, machine, models, ports, qdrant, servers, variables
from trivium_client.doctor.findings import Finding, Level
from trivium_client.doctor.installation import Installation, settings_files
from trivium_embed.settings import EmbedSettings

ROOT = Path(__file__).resolve().parents[3]
GB = 1_000_000_000
LOCAL = models.ChosenModel("embed", "local", "org/model")


@pytest.mark.parametrize(
    ("finding", "level", "said"),
    [
        (machine.judge_python((3, 11), "CPython"), Level.OK, "3.11"),
        (machine.judge_python((3, 10), "CPython"), Level.PROBLEM, "3.11 or newer"),
        (machine.judge_memory(machine.Memory(64 * GB, 32 * GB), stack_runs=False), Level.OK, "32.0 GB"),
        (machine.judge_memory(machine.Memory(64 * GB, 32 * GB, 2 * GB, GB), stack_runs=False), Level.PROBLEM, "cgroup"),
        (machine.judge_memory(machine.Memory(64 * GB, 2 * GB), stack_runs=False), Level.WARNING, "--without"),
        (machine.judge_memory(machine.Memory(64 * GB, GB), stack_runs=True), Level.OK, "1.0 GB"),
        (machine.judge_cores(2, 8), Level.OK, "2 usable of 8"),
        (machine.judge_cores(0.5, 8), Level.WARNING, "raise the quota"),
        (machine.judge_processor("x86_64", frozenset({"avx2", "amx_bf16"})), Level.OK, "choose bf16; int8 is refused"),
        (machine.judge_processor("x86_64", frozenset({"avx2", "avx_vnni"})), Level.OK, "choose fp32; int8 can be had"),
        (machine.judge_processor("x86_64", frozenset({"sse2"})), Level.WARNING, "AVX2"),
        (machine.judge_disk(Path("/data"), 900 * GB, writable=True), Level.OK, "/data"),
        (machine.judge_disk(Path("/data"), 3 * GB, writable=True), Level.WARNING, "make room"),
        (machine.judge_disk(Path("/data"), 3, writable=True), Level.PROBLEM, "TRIVIUM_DATA_DIR"),
        (machine.judge_disk(Path("/data"), 900 * GB, writable=False), Level.PROBLEM, "cannot be written"),
        (machine.judge_clock(0, 1.7e9), Level.PROBLEM, "set the clock"),
        (gpu.judge_gpus(gpu.Gpus(0, (), False, "")), Level.OK, "none"),
        (gpu.judge_gpus(gpu.Gpus(1, ("H200",), False, "2.13.0+cu130")), Level.OK, "H200"),
        (gpu.judge_gpus(gpu.Gpus(1, ("H200",), False, "2.13.0+cpu")), Level.WARNING, "without CUDA"),
        (gpu.judge_gpus(gpu.Gpus(1, (), False, "")), Level.WARNING, "nvidia-smi"),
        (gpu.judge_gpus(gpu.Gpus(1, ("H200",), True, "")), Level.WARNING, "CUDA_VISIBLE_DEVICES"),
        (certificates.judge_expiry(0, -1, 90 * 86_400, Path("c.pem")), Level.OK, "1970-04-01"),
        (certificates.judge_expiry(0, -1, 5 * 86_400, Path("c.pem")), Level.WARNING, "in 5 days"),
        (certificates.judge_expiry(2, 0, 1, Path("c.pem")), Level.PROBLEM, "ended"),
        (certificates.judge_expiry(0, 1, 2, Path("c.pem")), Level.PROBLEM, "clock"),
        (qdrant.judge_qdrant(qdrant.QdrantAnswer("http://q", "1.19.1"), "1.20.0"), Level.OK, "fits"),
        (qdrant.judge_qdrant(qdrant.QdrantAnswer("http://q", "1.19.0"), "1.21.0"), Level.WARNING, "1.21"),
        (qdrant.judge_qdrant(qdrant.QdrantAnswer("http://q", "1.19.0"), ""), Level.OK, "not checked"),
        (qdrant.judge_qdrant(qdrant.QdrantAnswer("http://q", "1.18.2"), ""), Level.PROBLEM, "1.19 or later"),
        (qdrant.judge_qdrant(qdrant.QdrantAnswer("http://q", "", "refused"), "1.20.0"), Level.PROBLEM, "refused"),
        (qdrant.judge_qdrant(qdrant.QdrantAnswer("http://q", "1.20.0", "", False), ""), Level.PROBLEM, "GRPC_PORT"),
    ],
)
def test_facts_are_judged(finding: Finding, level: Level, said: str) -> None:
    assert finding.level is level
    assert said in f"{finding.text} {finding.advice}"
    assert bool(finding.advice) == (level in (Level.WARNING, Level.PROBLEM))


@pytest.mark.parametrize(
    ("model", "found", "offline", "level", "said"),
    [
        (LOCAL, models.Whereabouts("is in the hub's cache"), True, Level.OK, "org/model is in the hub's cache"),
        (LOCAL, models.Whereabouts(""), False, Level.WARNING, "first start fetches it"),
        (LOCAL, models.Whereabouts(""), True, Level.PROBLEM, "HF_HUB_OFFLINE"),
        (LOCAL, models.Whereabouts("", "a file is damaged"), False, Level.PROBLEM, "damaged"),
        (models.ChosenModel("embed", "local", "/nowhere"), models.Whereabouts(""), False, Level.PROBLEM, "no folder"),
        (models.ChosenModel("embed", "openai", ""), None, False, Level.PROBLEM, "TRIVIUM_EMBED_API_KEY"),
        (models.ChosenModel("embed", "openai", "", "", True), None, False, Level.OK, "a key is set"),
        (models.ChosenModel("embed", "openai", "m", "http://x"), None, False, Level.OK, "no key is set"),
        (models.ChosenModel("generate", "anthropic", "", "", True), None, False, Level.PROBLEM, "GENERATE_MODEL"),
        (models.ChosenModel("generate", "extractive", ""), None, False, Level.OK, "sentences"),
        (models.ChosenModel("generate", "vllm", "org/llm"), models.Whereabouts("x"), False, Level.WARNING, "vLLM"),
    ],
)
def test_chosen_model_is_judged(
    model: models.ChosenModel, found: models.Whereabouts | None, offline: bool, level: Level, said: str
) -> None:
    finding = models.judge_model(model, found, offline=offline, has_vllm=False)

    assert finding.level is level
    assert said in f"{finding.text} {finding.advice}"


def test_model_is_found_in_a_folder_and_in_the_hubs_cache(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--name" / "snapshots" / "0a1b"
    snapshot.mkdir(parents=True)
    environment = {"HF_HUB_CACHE": str(tmp_path)}
    (snapshot / "config.json").write_text("{}")

    assert models.locate("org/name", environment).place == ""  # a download was interrupted
    (snapshot / "model.safetensors").write_bytes(b"")
    assert models.locate("org/name", environment).place == "is in the hub's cache"
    assert models.locate(str(snapshot), environment).place == f"is in the folder {snapshot}"
    assert "holds no model" in models.locate(str(tmp_path), environment).damage


def test_default_model_is_checked_against_its_digests() -> None:
    assert "every file as it was published" in models.locate(models.DEFAULT_ENCODER, {}).place


@pytest.mark.parametrize(
    ("files", "cores", "limit"),
    [
        ({"cpu.max": "150000 100000", "memory.max": "1000", "memory.current": "400"}, 1.5, 600),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        (
            {
                "cpu/cpu.cfs_quota_us": "50000",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "1000",
                "memory/memory.usage_in_bytes": "0",
            },
            0.5,
            1000,
        ),
    ],
)
def test_limits_of_the_cgroup_count(
    tmp_path: Path, files: dict[str, str], cores: float | None, limit: int | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 100 kB\nMemAvailable: 50 kB\n")

    assert machine.find_cores(tmp_path)[0] == (cores or len(os.sched_getaffinity(0)))
    found = machine.find_memory(meminfo, tmp_path)
    assert found is not None
    assert found.usable_bytes == (limit or 51_200)


def wanted(free: bool, holder: str, service: str = "embed") -> ports.WantedPort:
    return ports.WantedPort(service, "grpc", 50051, "TRIVIUM_EMBED_LISTEN", free, holder)


@pytest.mark.parametrize(
    ("port", "stack_runs", "level"),
    [
        (wanted(True, ""), False, Level.OK),
        (wanted(False, "pid 7 (python -m trivium_embed)"), True, Level.OK),
        (wanted(False, "pid 7 (/qdrant/qdrant)", "qdrant"), False, Level.OK),
        (wanted(False, ""), True, Level.OK),
        (wanted(False, ""), False, Level.PROBLEM),
        (wanted(False, "pid 7 (nginx)"), True, Level.PROBLEM),
    ],
)
def test_port_of_somebody_else_is_a_problem(port: ports.WantedPort, stack_runs: bool, level: Level) -> None:
    (finding,) = ports.judge_ports([port], stack_runs=stack_runs)

    assert finding.level is level


def test_ports_are_looked_at_on_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = f"127.0.0.1:{listener.getsockname()[1]}"
        (finding,) = ports.ports({"TRIVIUM_EMBED_LISTEN": taken}, Installation(("embed",)), stack_runs=False)
    (skipped,) = ports.ports({}, Installation(()), stack_runs=False)

    assert finding.level is Level.PROBLEM
    assert f"pid {os.getpid()} " in finding.text
    assert "TRIVIUM_EMBED_LISTEN" in finding.advice
    assert skipped.level is Level.SKIPPED


def test_gateway_that_was_named_must_answer() -> None:
    error = GatewayUnreachable("cannot reach it", reason="GATEWAY_UNREACHABLE")
    nobody = servers.GatewayAnswer("127.0.0.1:1", None, error)
    stages = (StageStatus("embed", True, "m", ""), StageStatus("rerank", False, "", "is loading"))
    degraded = servers.GatewayAnswer("127.0.0.1:1", Status(True, stages))

    assert [finding.level for finding in servers.judge_gateway(nobody, named=False)] == [Level.SKIPPED]
    assert [finding.level for finding in servers.judge_gateway(nobody, named=True)] == [Level.PROBLEM]
    answers, rerank = servers.judge_gateway(degraded, named=True)
    assert (answers.level, rerank.level) == (Level.OK, Level.WARNING)
    assert "rerank does not work: is loading" in rerank.text


def test_variables_of_services_are_those_that_they_read() -> None:
    files = dict(settings_files())

    read = set(variables.read_by("TRIVIUM_EMBED_", files["TRIVIUM_EMBED_"]))

    declared = {
        field.metadata["env"] or f"TRIVIUM_EMBED_{field.name.upper()}" for field in dataclasses.fields(EmbedSettings)
    }
    assert read == declared


def documented() -> Iterator[str]:
    for page in ("docs/settings.md", "docs/cli.md", ".env.example"):
        yield from re.findall(r"\bTRIVIUM_[A-Z0-9]+(?:_[A-Z0-9]+)*\b(?!_)", (ROOT / page).read_text())


def test_every_documented_variable_is_known() -> None:
    (finding,) = variables.variables(dict.fromkeys(documented(), ""))

    assert finding.level is Level.OK


def test_variable_that_nothing_reads_is_named_with_what_was_meant() -> None:
    known, prefixes = frozenset({"TRIVIUM_EMBED_MODEL", "TRIVIUM_LOG_LEVEL"}), frozenset({"TRIVIUM_EMBED_"})
    given = ["PATH", "TRIVIUM_EMBED_MODLE", "TRIVIUM_LOG_LEVEL", "TRIVIUM_RERANK_MODLE", "TRIVIUM_XYZ"]

    modle, xyz = variables.judge_variables(given, known, prefixes)  # rerank is not installed: who knows

    assert "TRIVIUM_EMBED_MODLE" in modle.text
    assert modle.advice == "did you mean TRIVIUM_EMBED_MODEL?"
    assert "docs/settings.md" in xyz.advice


def test_unusable_tls_files_are_problems(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

    for environment in (
        {"TRIVIUM_TLS_CERT": str(broken)},
        {"TRIVIUM_TLS_CERT": str(broken), "TRIVIUM_TLS_KEY": str(broken)},
        {"TRIVIUM_TLS_CA": str(broken)},
        {"TRIVIUM_TLS_CA": str(tmp_path / "nowhere")},
    ):
        (finding,) = certificates.certificates(environment)
        assert finding.level is Level.PROBLEM
        assert finding.advice


def test_doctor_looks_at_this_machine_without_loading_models_or_printing_keys(tmp_path: Path) -> None:
    environment = os.environ | {
        "TRIVIUM_DATA_DIR": str(tmp_path),
        "TRIVIUM_GATEWAY": "127.0.0.1:1",
        "TRIVIUM_GENERATE_BACKEND": "openai",
        "TRIVIUM_GENERATE_MODEL": "gpt",
        "TRIVIUM_GENERATE_API_KEY": "hunter2",
        "TRIVIUM_RERANK_MODLE": "x",
    }
    program = (
        "import sys; from trivium_client.cli.app import main; sys.argv = ['trivium', 'doctor', '--json']\n"
        "try: main()\n"
        "finally: assert not {'torch', 'transformers', 'openvino', 'trivium_embed'} & set(sys.modules)"
    )

    outcome = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )

    assert outcome.returncode == 1, outcome.stderr
    assert outcome.stderr == ""
    assert "hunter2" not in outcome.stdout
    report = json.loads(outcome.stdout)
    assert report["healthy"] is False
    by_subject = {finding["subject"]: finding for finding in report["findings"]}
    assert by_subject["gateway"]["level"] == "problem"
    assert by_subject["model of generate"]["level"] == "ok"
    assert "TRIVIUM_RERANK_MODEL" in by_subject["variables"]["advice"]
    assert str(tmp_path) in by_subject["disk"]["text"]
