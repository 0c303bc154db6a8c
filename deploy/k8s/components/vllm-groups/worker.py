"""Another node of a group: its GPUs compute with those of the leader.

vLLM must be told here what the generation service tells it on the leader, so its engine arguments become flags.
"""

import json
import os
import socket
import time


def flags(arguments: dict[str, object]) -> list[str]:
    """Engine arguments as vLLM's command takes them."""
    found = []
    for name, value in arguments.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            found += [f"--{flag}", value if isinstance(value, str) else json.dumps(value)]
    return found


def main() -> None:
    """Waits until the leader has a name, and becomes vLLM without a front of its own."""
    leader, group = os.environ["LWS_LEADER_ADDRESS"], os.environ["LWS_GROUP_SIZE"]
    arguments = json.loads(os.environ["TRIVIUM_GENERATE_ENGINE_ARGS"])
    if os.environ.get("TRIVIUM_GENERATE_ADAPTERS"):
        arguments = {"enable_lora": True, **arguments}
    while True:
        try:
            socket.getaddrinfo(leader, None)
            break
        except OSError:
            time.sleep(2)
    node = ["--headless", "--nnodes", group, "--node-rank", os.environ["LWS_WORKER_INDEX"], "--master-addr", leader]
    os.execvp("vllm", ["vllm", "serve", os.environ["TRIVIUM_GENERATE_MODEL"], *flags(arguments), *node])


if __name__ == "__main__":
    main()
