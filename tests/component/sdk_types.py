# SPDX-License-Identifier: Apache-2.0
"""Checked by mypy and never run: what the hints of sdk/python/holm_runner.py have to allow, and what they must not."""

from typing import Generator, List, Optional

from holm_runner import Event, Result, RunnerClient, RunnerError

client = RunnerClient("http://localhost:8080", api_key="k", retries=3, patience=300)


def execute() -> List[Result]:
    one: Result = client.execute("python", "print(1)", 30, args=["a"], env={"A": "1"}, stdin=b"x", cold=True)
    client.execute("python", files={"x.py": b"x"}, limits={"output_kb": 1}, binary=True)
    client.execute("python", "x", colt=True)  # type: ignore[call-arg]
    return [one] + client.execute_batch("c", "x", ["1", b"2"])


def run() -> List[Result]:
    one: Result = client.run("python", {"x.py": "x"}, "in", args=["a"], env={}, cold=True, binary=True)
    many: List[Result] = client.run("python", [{"name": "x.py", "content": b"x"}], ["1", "2"])
    single: Result = client.run("python", {"x.py": "x"}, ["1"])  # type: ignore[assignment]
    return [one, single] + many


def stream() -> Optional[Result]:
    events: Generator[Event, None, None] = client.stream("bash", "echo", stdin=["a"], cold=True)
    for event in events:
        if event.kind == "exit":
            return event.result
        data: bytes = event.data
        print(data)
    events.close()
    return None


def rest() -> List[Optional[str]]:
    e = RunnerError(404, "no", "language", 1, "ruby")
    rows: List[Result] = client.rootfs(remote=True) + client.snapshots() + client.languages()
    started: Result = client.create_rootfs("ruby", 512, force=True)
    client.create_snapshot("ruby", mem_mb=512, vcpus=1)
    return [e.field, e.suggestion, started.build] + [row.language for row in rows]
