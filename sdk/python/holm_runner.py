# SPDX-License-Identifier: Apache-2.0
"""A client of Holm's code runner: source code in, output out.

One file, nothing but the standard library, Python 3.8 and later. Copy it into your project.

    from holm_runner import RunnerClient

    client = RunnerClient("http://localhost:8080")
    result = client.execute("python", "print(2 ** 10)")
    print(result["stdout"])     # 1024
    print(result.exit_code)     # 0; each field of an answer is an attribute too

A program that fails is a result like any other. What the daemon refuses, or cannot do, raises a
RunnerError; a daemon that cannot be reached, or an answer that is cut, a ConnectionError or another
OSError; one that is silent for too long, socket.timeout (a TimeoutError since Python 3.10).

A client holds no connection between calls: threads may share it.
"""

import base64
import contextlib
import http.client
import json
import socket
import ssl
import time
import urllib.parse
from typing import (Any, Dict, Generator, Iterator, List, Mapping, NamedTuple, Optional, Sequence,
                    Tuple, Union, overload)

__all__ = ["Event", "Result", "RunnerClient", "RunnerError"]

Text = Union[str, bytes]
Files = Mapping[str, Text]
FileList = Sequence[Mapping[str, Text]]  # each with "name" and "content"
Inputs = Union[List[str], List[bytes], List[Text], Tuple[Text, ...]]

# What a request may take beyond the program's own time. A daemon as it is configured by default
# waits 120 s for a language to be prepared and 60 s for room; the rest is for the VM's start.
PATIENCE_S = 240


class RunnerError(Exception):
    """The daemon's refusal. `status` is HTTP's; `field` names what is at fault in the request, if
    anything, and `suggestion` what was probably meant; `retry_after` is in seconds, when it is
    worth trying again. Each is None when it is not said."""

    def __init__(self, status: int, message: str, field: Optional[str] = None,
                 retry_after: Optional[int] = None, suggestion: Optional[str] = None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        self.retry_after = retry_after
        self.suggestion = suggestion


class Result(Dict[str, Any]):
    """An answer: the JSON object, whose fields are attributes too. Those that only come when they
    apply (timed_out, out_of_memory, stdout_truncated, stderr_truncated, signal, warm) are None
    without."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name)


class Event(NamedTuple):
    """What a stream yields. `kind` is "stdout" or "stderr", and `data` its bytes; or "exit", and
    `result` says how the program ended. `index` is which input of a batch it belongs to."""

    kind: str
    data: bytes = b""
    result: Optional[Result] = None
    index: Optional[int] = None  # type: ignore[assignment]  # tuple has a method of that name


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: Optional[float]):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class RunnerClient:
    """`url` is http://HOST:PORT, https://HOST or unix:/PATH. `retries`: how often a request that
    found no room (503) is made again, after as long as the daemon asks for, before it raises.
    `patience`: for how many seconds beyond the program's timeout a daemon may be silent. It should
    be more than the daemon itself waits: pool.prepare_wait_s and limits.run_wait_s together, and
    more where images are pulled when they are wanted."""

    def __init__(self, url: str = "http://localhost:8080", api_key: Optional[str] = None,
                 retries: int = 0, context: Optional[ssl.SSLContext] = None,
                 patience: float = PATIENCE_S):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https", "unix"):
            raise ValueError("url must begin with http://, https:// or unix:, not %r" % url)
        if parts.scheme != "unix" and not parts.hostname:
            raise ValueError("url has no host: %r" % url)
        self.url = url
        self.api_key = api_key
        self.retries = retries
        self.patience = patience
        self._parts = parts
        self._context = context

    # -- running programs --

    def execute(self, language: str, code: Optional[Text] = None, timeout: int = 30, *,
                args: Sequence[str] = (), stdin: Optional[Text] = None,
                env: Optional[Mapping[str, str]] = None, files: Optional[Files] = None,
                limits: Optional[Mapping[str, int]] = None, cold: bool = False,
                binary: bool = False) -> Result:
        """Runs a program and returns what it did. Without `code` one of `files` is the program.
        With `binary`, stdout and stderr are bytes. `limits`: memory_mb, processes, file_size_mb,
        output_kb. `cold`: nothing that waits is used, all is started anew."""
        body = _body(language, timeout, args, env, limits, cold)
        _put_program(body, code, files, stdin, binary)
        return _result(self._json("POST", "/api/v1/execute", body, timeout), body)

    def execute_batch(self, language: str, code: Optional[Text], inputs: Sequence[Text],
                      timeout: int = 30, *, args: Sequence[str] = (),
                      env: Optional[Mapping[str, str]] = None, files: Optional[Files] = None,
                      limits: Optional[Mapping[str, int]] = None, cold: bool = False,
                      binary: bool = False) -> List[Result]:
        """Runs a program once for each input, compiled once; `timeout` is each one's."""
        body = _body(language, timeout, args, env, limits, cold)
        _put_program(body, code, files, inputs, binary)
        answer = self._json("POST", "/api/v1/execute", body, timeout * (len(inputs) + 1))
        return [_result(one, body) for one in answer]

    def stream(self, language: str, code: Optional[Text] = None, timeout: int = 30, *,
               args: Sequence[str] = (), stdin: Union[None, Text, Sequence[Text]] = None,
               env: Optional[Mapping[str, str]] = None, files: Optional[Files] = None,
               limits: Optional[Mapping[str, int]] = None,
               cold: bool = False) -> Generator[Event, None, None]:
        """Runs a program and yields its output as it comes, then how it ended. Whoever stops
        iterating ends the program."""
        body = _body(language, timeout, args, env, limits, cold)
        _put_program(body, code, files, stdin, False)
        entries = 1 if stdin is None or isinstance(stdin, (str, bytes)) else len(stdin) + 1
        headers = {"Accept": "application/x-ndjson"}
        connection, response = self._open("POST", "/api/v1/execute", body, timeout * entries,
                                          headers)
        try:
            yield from _events(response)
        finally:
            connection.close()

    @overload
    def run(self, language: str, files: Union[Files, FileList], stdin: Optional[Text] = None,
            timeout: int = 30, limits: Optional[Mapping[str, int]] = None, *,
            args: Sequence[str] = (), env: Optional[Mapping[str, str]] = None,
            cold: bool = False, binary: bool = False) -> Result:
        ...

    @overload
    def run(self, language: str, files: Union[Files, FileList], stdin: Inputs,
            timeout: int = 30, limits: Optional[Mapping[str, int]] = None, *,
            args: Sequence[str] = (), env: Optional[Mapping[str, str]] = None,
            cold: bool = False, binary: bool = False) -> List[Result]:
        ...

    def run(self, language: str, files: Union[Files, FileList],
            stdin: Union[None, Text, Sequence[Text]] = None, timeout: int = 30,
            limits: Optional[Mapping[str, int]] = None, *, args: Sequence[str] = (),
            env: Optional[Mapping[str, str]] = None, cold: bool = False,
            binary: bool = False) -> Union[Result, List[Result]]:
        """POST /api/v1/run. A list of inputs is answered with a list of results."""
        body = _body(language, timeout, args, env, limits, cold)
        _put_program(body, None, files, stdin, binary)
        entries = 1 if stdin is None or isinstance(stdin, (str, bytes)) else len(stdin)
        answer = self._json("POST", "/api/v1/run", body, timeout * (entries + 1))
        if isinstance(answer, list):
            return [_result(one, body) for one in answer]
        return _result(answer, body)

    # -- everything else --

    def health(self) -> Result:
        return Result(self._json("GET", "/health"))

    def languages(self) -> List[Result]:
        return [Result(one) for one in self._json("GET", "/api/v1/languages")["languages"]]

    def language(self, name: str) -> Result:
        return Result(self._json("GET", "/api/v1/languages/" + urllib.parse.quote(name, safe="")))

    def rootfs(self, remote: bool = False) -> List[Result]:
        answer = self._json("GET", "/api/v1/rootfs" + ("?remote=true" if remote else ""))
        return [Result(one) for one in answer["rootfs"]]

    def create_rootfs(self, language: str, size_mb: Optional[int] = None, *,
                      force: bool = False) -> Result:
        """`force`: also when it is up to date. It goes on in the background: `last_build` of what
        rootfs() lists says what has become of the answer's `build`."""
        body: Dict[str, Any] = {"language": language}
        if force:
            body["force"] = True
        if size_mb is not None:
            body["size_mb"] = size_mb
        return Result(self._json("POST", "/api/v1/rootfs", body))

    def snapshots(self, remote: bool = False) -> List[Result]:
        answer = self._json("GET", "/api/v1/snapshots" + ("?remote=true" if remote else ""))
        return [Result(one) for one in answer["snapshots"]]

    def create_snapshot(self, language: str, mem_mb: Optional[int] = None,
                        vcpus: Optional[int] = None) -> Result:
        body: Dict[str, Any] = {"language": language}
        if mem_mb is not None:
            body["mem_mb"] = mem_mb
        if vcpus is not None:
            body["vcpus"] = vcpus
        return Result(self._json("POST", "/api/v1/snapshots", body))

    # -- HTTP --

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        parts = self._parts
        if parts.scheme == "unix":
            return _UnixConnection(urllib.parse.unquote(parts.path), timeout)
        host = parts.hostname or "localhost"
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, parts.port, timeout=timeout,
                                               context=self._context)
        return http.client.HTTPConnection(host, parts.port, timeout=timeout)

    def _open_once(self, method: str, path: str, body: Optional[Mapping[str, Any]], timeout: float,
                   headers: Mapping[str, str]) -> Any:
        prefix = "" if self._parts.scheme == "unix" else self._parts.path.rstrip("/")
        sent = dict(headers)
        if self.api_key:
            sent["X-API-Key"] = self.api_key
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection = self._connect(timeout + self.patience)
        try:
            connection.request(method, prefix + path, data, sent)
            with _cut():
                response = connection.getresponse()
                if response.status >= 400:
                    raise _error(response)
            return connection, response
        except BaseException:
            connection.close()
            raise

    def _open(self, method: str, path: str, body: Optional[Mapping[str, Any]] = None,
              timeout: float = 0, headers: Optional[Mapping[str, str]] = None) -> Any:
        attempt = 0
        while True:
            try:
                return self._open_once(method, path, body, timeout, headers or {})
            except RunnerError as e:
                if e.status != 503 or attempt >= self.retries:
                    raise
                attempt += 1
                time.sleep(e.retry_after or 1)

    def _json(self, method: str, path: str, body: Optional[Mapping[str, Any]] = None,
              timeout: float = 0) -> Any:
        connection, response = self._open(method, path, body, timeout)
        try:
            with _cut():
                return json.loads(response.read())
        finally:
            connection.close()


@contextlib.contextmanager
def _cut() -> Iterator[None]:
    """What http.client says of an answer that is not whole, as a ConnectionError."""
    try:
        yield
    except http.client.HTTPException as e:
        if isinstance(e, ConnectionError):
            raise
        raise ConnectionError("the answer was cut: %r" % e) from e


def _error(response: http.client.HTTPResponse) -> RunnerError:
    text = response.read()
    after = response.headers.get("Retry-After", "")
    retry_after = int(after) if after.isdigit() else None
    try:
        body = json.loads(text)
        return RunnerError(response.status, body["error"], body.get("field"), retry_after,
                           body.get("suggestion"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return RunnerError(response.status, "HTTP status %d" % response.status, None, retry_after)


def _base64(data: Text) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def _put_stdin(body: Dict[str, Any], stdin: Union[Text, Sequence[Text]]) -> None:
    """As text where that is all it is, else all of it as base64."""
    single = isinstance(stdin, (str, bytes))
    inputs: List[Any] = [stdin] if single else list(stdin)
    if any(isinstance(one, bytes) for one in inputs):
        body["stdin_encoding"] = "base64"
        inputs = [_base64(one) for one in inputs]
    body["stdin"] = inputs[0] if single else inputs


def _put_files(body: Dict[str, Any], files: Union[Files, FileList]) -> None:
    """Likewise. Names and contents, as one mapping or as a list of them."""
    pairs = (list(files.items()) if isinstance(files, Mapping)
             else [(str(one["name"]), one["content"]) for one in files])
    contents: List[Any] = [data for _, data in pairs]
    if any(isinstance(data, bytes) for data in contents):
        body["files_encoding"] = "base64"
        contents = [_base64(data) for data in contents]
    body["files"] = [{"name": name, "content": data} for (name, _), data in zip(pairs, contents)]


def _body(language: str, timeout: int, args: Sequence[str], env: Optional[Mapping[str, str]],
          limits: Optional[Mapping[str, int]], cold: bool) -> Dict[str, Any]:
    body: Dict[str, Any] = {"language": language, "timeout": timeout}
    if args:
        body["args"] = list(args)
    if env:
        body["env"] = dict(env)
    if limits:
        body["limits"] = dict(limits)
    if cold:
        body["cold"] = True
    return body


def _put_program(body: Dict[str, Any], code: Optional[Text],
                 files: Union[None, Files, FileList],
                 stdin: Union[None, Text, Sequence[Text]], binary: bool) -> None:
    if code is not None:
        body["code"] = code.decode() if isinstance(code, bytes) else code
    if files:
        _put_files(body, files)
    if stdin is not None:
        _put_stdin(body, stdin)
    if binary:
        body["output_encoding"] = "base64"


def _result(answer: Mapping[str, Any], body: Mapping[str, Any]) -> Result:
    """The answer to `body`, with bytes where that wanted or sent base64."""
    result = Result(answer)
    encoded = ["stdout", "stderr"] if "output_encoding" in body else []
    encoded += ["stdin"] if "stdin_encoding" in body else []
    for name in encoded:
        if result.get(name) is not None:
            result[name] = base64.b64decode(result[name])
    return result


def _exit(event: Mapping[str, Any]) -> Result:
    """The last event in the words of an answer."""
    result = Result(event)
    for name in ("t", "i", "to"):
        result.pop(name, None)
    result["exit_code"] = result.pop("c")
    result["exec_time_us"] = result.pop("ms") * 1000
    result["load_time_us"] = result.pop("load_ms") * 1000
    return result


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    with _cut():
        yield from response


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    ended = False
    for line in _lines(response):
        event = json.loads(line)
        kind, index = event["t"], event.get("i")
        if kind == "error":
            raise RunnerError(event["status"], event["error"], event.get("field"), None,
                              event.get("suggestion"))
        if kind == "x":
            ended = True
            yield Event("exit", b"", _exit(event), index)
        else:
            ended = False
            name = "stdout" if kind == "o" else "stderr"
            yield Event(name, base64.b64decode(event["d"]), None, index)
    if not ended:
        raise ConnectionError("the stream was cut before the program's end")
