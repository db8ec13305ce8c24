# SPDX-License-Identifier: Apache-2.0
"""The Python client against a daemon on the fake engine: sdk.test.mjs starts both. HOLM_URL is the daemon's, HOLM_SOCKET its
Unix socket, HOLM_FULL_URL that of one that has no room, HOLM_KEY_URL and HOLM_KEY those of one that needs a key, HOLM_ODD_URL
that of a server that keeps silent or cuts its answers."""

import os
import socket
import threading
import time
import unittest

from holm_runner import RunnerClient, RunnerError

client = RunnerClient(os.environ["HOLM_URL"])


def odd(way, patience=60.0):
    return RunnerClient(os.environ["HOLM_ODD_URL"] + "/" + way, patience=patience)


def until(ask, is_so):
    while True:
        got = ask()
        if is_so(got):
            return got
        time.sleep(0.01)


def one_of(rows, language):
    return next((r for r in rows if r.language == language), None)


class Execute(unittest.TestCase):
    def test_as_in_the_specification(self):
        result = client.execute("python", "print 1024", 30)
        self.assertEqual(result["stdout"], "1024\n")
        self.assertEqual(result.exit_code, 0)
        self.assertIsNone(result.timed_out)
        self.assertRegex(result["load_time"], r"^\d+ms$")

    def test_everything_that_a_program_gets(self):
        code = "args\nenv MARK\nfile d/f\ncat"
        result = client.execute("bash", code, args=["a b"], env={"MARK": "m"}, files={"d/f": "in file\n"}, stdin="in")
        self.assertEqual(result.stdout, "a b\nm\nin file\nin")

    def test_bytes(self):
        data = bytes(range(256))
        result = client.execute("bash", "file f\ncat", stdin=data, files={"f": data}, binary=True)
        self.assertEqual(result.stdout, data + data)
        self.assertEqual(result.stderr, b"")

    def test_cold(self):
        self.assertIs(client.execute("python", "print x").warm, True)
        self.assertIsNone(client.execute("python", "print x", cold=True).warm)

    def test_files_without_code(self):
        self.assertEqual(client.execute("python", files={"main.py": "print x"}).stdout, "x\n")

    def test_a_program_that_fails_is_a_result(self):
        result = client.execute("bash", "eprint oops\nexit 3")
        self.assertEqual((result.exit_code, result.stderr), (3, "oops\n"))
        late = client.execute("bash", "hang", timeout=1)
        self.assertEqual((late.exit_code, late.timed_out), (124, True))
        starved = client.execute("bash", "memory 9", limits={"memory_mb": 8})
        self.assertEqual((starved.signal, starved.out_of_memory), ("SIGKILL", True))

    def test_batch(self):
        results = client.execute_batch("c", "cat", ["a", b"\xff", ""], binary=True)
        self.assertEqual([r.stdout for r in results], [b"a", b"\xff", b""])

    def test_run(self):
        one = client.run("python", [{"name": "x.py", "content": "cat"}], "in")
        self.assertEqual((one.stdout, one.exception, one["status"]), ("in", None, "success"))
        broken = client.run("c", {"main.c": "syntax error"}, ["1", "2"])
        self.assertEqual([r.exception for r in broken], ["Compilation failed"] * 2)

    def test_run_with_everything(self):
        results = client.run("python", {"x": b"args\nenv MARK\ncat"}, [b"\xff"], args=["a b"], env={"MARK": "m"}, cold=True, binary=True)
        self.assertEqual([(r.stdout, r.stdin, r.stderr, r.warm) for r in results], [(b"a b\nm\n\xff", b"\xff", None, None)])
        failing = client.run("bash", [{"name": "x", "content": "eprint oops"}], binary=True)
        self.assertEqual((failing.stderr, failing.stdout), (b"oops\n", b""))

    def test_threads_share_a_client(self):
        got = {}

        def ask(i):
            got[i] = client.execute("bash", "print %d" % i).stdout

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(got, {i: "%d\n" % i for i in range(8)})


class Stream(unittest.TestCase):
    def test_events(self):
        events = list(client.stream("bash", "print one\neprint two\nexit 7"))
        self.assertEqual([(e.kind, e.data) for e in events], [("stdout", b"one\n"), ("stderr", b"two\n"), ("exit", b"")])
        self.assertEqual(events[-1].result.exit_code, 7)
        self.assertGreaterEqual(events[-1].result.exec_time_us, 0)

    def test_batch(self):
        events = list(client.stream("bash", "cat", stdin=["a", "b"]))
        self.assertEqual([(e.kind, e.index) for e in events], [("stdout", 0), ("exit", 0), ("stdout", 1), ("exit", 1)])

    def test_who_stops_iterating_ends_the_program(self):
        stream = client.stream("bash", "print up\nhang", timeout=300)
        self.assertEqual(next(stream).data, b"up\n")
        stream.close()  # its end is seen by sdk.test.mjs

    def test_a_cut_one(self):
        for way in ["cut", "short"]:
            stream = odd(way).stream("bash", "x")
            self.assertEqual(next(stream).data, b"up\n")
            with self.assertRaisesRegex(ConnectionError, "cut"):
                next(stream)

    def test_a_silent_one(self):
        with self.assertRaises(socket.timeout):
            next(odd("silent", 0.1).stream("bash", "x", timeout=0))
        stream = odd("mute", 0.1).stream("bash", "x", timeout=0)
        self.assertEqual(next(stream).data, b"up\n")
        with self.assertRaises(socket.timeout):
            next(stream)

    def test_an_error_after_output(self):
        stream = client.stream("bash", "print up\nsleep 300\ndie")
        self.assertEqual(next(stream).data, b"up\n")
        with self.assertRaises(RunnerError) as caught:
            next(stream)
        self.assertEqual(caught.exception.status, 502)


class Errors(unittest.TestCase):
    def test_a_refusal_names_the_field(self):
        with self.assertRaises(RunnerError) as caught:
            client.execute("zzzz", "x")
        e = caught.exception
        self.assertEqual((e.status, e.field, e.message, e.suggestion), (404, "language", "language not found: zzzz", None))
        with self.assertRaises(RunnerError) as caught:
            client.language("pyhton")
        self.assertEqual((str(caught.exception), caught.exception.suggestion), ("language not found: pyhton", "python"))
        with self.assertRaises(RunnerError) as caught:
            client.execute("python", "x", timeout=301)
        self.assertEqual((caught.exception.status, caught.exception.field), (400, "timeout"))
        with self.assertRaises(RunnerError) as caught:
            client.execute("python")
        self.assertEqual(str(caught.exception), "either 'code' or 'files' must be provided")

    def test_no_room_is_tried_again_and_then_told(self):
        with self.assertRaises(RunnerError) as caught:
            RunnerClient(os.environ["HOLM_FULL_URL"], retries=1).execute("bash", "print x")
        self.assertEqual(caught.exception.status, 503)
        self.assertGreaterEqual(caught.exception.retry_after, 1)

    def test_a_daemon_that_is_silent(self):
        for way in ["silent", "mute"]:
            with self.assertRaises(socket.timeout):
                odd(way, 0.1).health()
            with self.assertRaises(socket.timeout):
                odd(way, 0.1).execute("bash", "x", timeout=0)

    def test_an_answer_that_is_cut(self):
        with self.assertRaisesRegex(ConnectionError, "the answer was cut"):
            odd("cut").execute("bash", "x")

    def test_nobody_there(self):
        with self.assertRaises(OSError):
            RunnerClient("http://127.0.0.1:1").health()

    def test_no_url(self):
        for url in ["localhost:8080", "ftp://x", "http://", ""]:
            with self.assertRaises(ValueError):
                RunnerClient(url)


class Rest(unittest.TestCase):
    def test_health_and_languages(self):
        self.assertEqual(client.health().status, "healthy")
        self.assertIn("python", [l.name for l in client.languages()])
        self.assertEqual(client.language("py").extension, ".py")
        with self.assertRaises(RunnerError):
            client.language("a/b")

    def test_rootfs(self):
        self.assertIsNone(one_of(client.rootfs(), "php"))
        started = client.create_rootfs("php", 512, force=True)
        self.assertEqual((started.message, started.language), ("rootfs creation started", "php"))
        made = until(lambda: one_of(client.rootfs(), "php"), lambda r: r.status == "ready")
        self.assertEqual(made.last_build, {"id": started.build, "kind": "image", "status": "done"})
        with open(made.path, encoding="utf-8") as f:
            words = f.read()
        self.assertIn("--force", words)
        self.assertIn("--size 512", words)
        with self.assertRaises(RunnerError) as caught:
            client.rootfs(remote=True)
        self.assertEqual((caught.exception.status, caught.exception.field), (400, "remote"))

    def test_snapshots(self):
        least = client.language("typescript").memory_mib
        started = client.create_snapshot("typescript", mem_mb=least + 64, vcpus=1)
        self.assertEqual(started, {"message": "snapshot creation started", "language": "typescript"})
        made = (least + 64) * 2**20
        until(lambda: one_of(client.snapshots(), "typescript"), lambda s: s and s.mem_size == made and s.vcpus == 1)
        with self.assertRaises(RunnerError) as caught:
            client.create_snapshot("typescript", mem_mb=least - 1)
        self.assertEqual((caught.exception.status, caught.exception.field), (400, "mem_mb"))
        with self.assertRaises(RunnerError) as caught:
            client.snapshots(remote=True)
        self.assertEqual(caught.exception.field, "remote")

    def test_unix_socket(self):
        self.assertEqual(RunnerClient("unix:" + os.environ["HOLM_SOCKET"]).execute("bash", "print x").stdout, "x\n")

    def test_key(self):
        url = os.environ["HOLM_KEY_URL"]
        with self.assertRaises(RunnerError) as caught:
            RunnerClient(url).languages()
        self.assertEqual(caught.exception.status, 401)
        self.assertTrue(RunnerClient(url, os.environ["HOLM_KEY"]).languages())


if __name__ == "__main__":
    unittest.main()
