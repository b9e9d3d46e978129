"""A server that dies, hangs or lacks something, and decoders that misbehave."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from decoders import IMAGE_WORKER, ROOT, alive, program, wait_until_gone

from emo_bench.media import starting
from emo_bench.media.image import read_image


def test_a_server_that_died_is_replaced(image: Path) -> None:
    read_image(image)
    server = starting._servers[IMAGE_WORKER]._process
    server.kill()
    server.wait()
    assert read_image(image)[0, 0, 0] == 77
    assert starting._servers[IMAGE_WORKER]._process.pid != server.pid


@pytest.mark.usefixtures("sleeper")
def test_threads_that_find_the_same_dead_server_share_its_successor(image: Path) -> None:
    with image.open("rb") as stream:
        starting.start("sleeper", stream.fileno()).close()
        dead = starting._servers["sleeper"]
        dead._process.kill()
        dead._process.wait()
        with closing(starting.start("sleeper", stream.fileno())) as child:
            starting._forget(dead)
            assert alive(child.pid)
            assert starting._servers["sleeper"] is not dead


def test_a_want_of_descriptors_fails_one_request_and_no_other(sleeper: str, image: Path) -> None:
    body = f"""
        import os, resource
        from emo_bench.media import starting
        starting._PACKAGE_ROOT = {sleeper!r}
        stream = open({str(image)!r}, "rb")
        child = starting.start("sleeper", stream.fileno())
        server = starting._servers["sleeper"]
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
        taken = []
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        for free in range(8):
            before = sum(os.path.exists(f"/proc/self/fd/{{n}}") for n in range(64))
            try:
                starting.start("sleeper", stream.fileno()).close()
            except OSError as error:
                assert error.errno == 24, error
                after = sum(os.path.exists(f"/proc/self/fd/{{n}}") for n in range(64))
                assert after == before, (free, before, after)
            os.close(taken.pop())
        assert free == 7
        assert starting._servers["sleeper"] is server
        print(os.getpgid(child.pid) == server.pid)
        child.close()
    """
    done = subprocess.run(program(body), capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize(
    ("hindrance", "number"),
    [
        ("def fork(): raise OSError(errno.EAGAIN, '')\n        os.fork = fork", errno.EAGAIN),
        ("resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))", errno.EMFILE),
    ],
)
def test_a_server_that_cannot_start_a_child_says_so_and_lives_on(tmp_path: Path, hindrance: str, number: int) -> None:
    body = f"""
        import errno, os, resource, socket, sys
        from emo_bench.media import fork_server
        {hindrance}
        fork_server.serve(socket.socket(fileno=int(sys.argv[1])), lambda: None)
    """
    (tmp_path / "file").write_bytes(b"content")
    ours, theirs = socket.socketpair()
    command = [*program(body), str(theirs.fileno())]
    with theirs, subprocess.Popen(command, pass_fds=(theirs.fileno(),), cwd=ROOT) as process, ours:
        server = starting._Server.__new__(starting._Server)
        server._connection, server.module = ours, "a decoder"
        with (tmp_path / "file").open("rb") as stream:
            for _ in range(3):
                with pytest.raises(OSError, match="no process for a decoder can be started") as caught:
                    server.start(stream.fileno(), b"")
                assert caught.value.errno == number
        ours.close()
        assert process.wait(timeout=20) == 0


def test_a_stopped_server_is_killed_and_replaced(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_PATIENCE_S", 1.0)
    read_image(image)
    stopped = starting._servers[IMAGE_WORKER].pid
    os.kill(stopped, signal.SIGSTOP)
    assert read_image(image)[0, 0, 0] == 77
    assert not Path(f"/proc/{stopped}").exists()


@pytest.mark.usefixtures("sleeper")
def test_closing_a_child_of_a_stopped_server_ends_both(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_PATIENCE_S", 1.0)
    with image.open("rb") as stream:
        child = starting.start("sleeper", stream.fileno())
    server = starting._servers["sleeper"].pid
    os.kill(server, signal.SIGSTOP)
    child.close()
    assert wait_until_gone(server, child.pid)


def test_a_stopped_server_is_gone_when_its_parent_has_ended(image: Path) -> None:
    body = f"""
        import os, signal
        from pathlib import Path
        from emo_bench.media import starting
        from emo_bench.media.image import read_image
        read_image(Path({str(image)!r}))
        server = starting._servers[{IMAGE_WORKER!r}].pid
        os.kill(server, signal.SIGSTOP)
        print(server)
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", *program(body)[1:]],
        capture_output=True, text=True, cwd=ROOT, timeout=120, check=False,
    )  # fmt: skip
    assert not Path(f"/proc/{int(done.stdout)}").exists()
    assert "Warning" not in done.stderr


def test_nothing_outlives_a_killed_parent_that_had_forked(sleeper: str, image: Path) -> None:
    """The forked process holds a copy of everything that its parent had open."""
    body = f"""
        import os, time
        from emo_bench.media import starting
        starting._PACKAGE_ROOT = {sleeper!r}
        stream = open({str(image)!r}, "rb")
        child = starting.start("sleeper", stream.fileno())
        forked = os.fork()
        if forked:
            print(starting._servers["sleeper"].pid, child.pid, forked, flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen(program(body), stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    server, child, forked = map(int, parent.stdout.readline().split())
    try:
        parent.kill()
        parent.wait()
        assert wait_until_gone(server, child)
    finally:
        os.kill(forked, signal.SIGKILL)
        parent.stdout.close()


def test_a_process_forked_while_a_server_is_being_started_is_not_stuck(image: Path) -> None:
    body = f"""
        import os, threading, time
        from pathlib import Path
        from emo_bench.media import starting
        from emo_bench.media.image import read_image
        def hold():
            with starting._changing:
                held.set()
                time.sleep(0.3)
        held = threading.Event()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        pid = os.fork()
        if pid == 0:
            os._exit(int(read_image(Path({str(image)!r}))[0, 0, 0]))
        thread.join()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    done = subprocess.run(program(body), capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.stdout == "77\n", done.stderr


@pytest.mark.parametrize(
    "unusual",
    [
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1900 << 20,) * 2)",
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (40, 40))",
        "os.close(2)",
        "os.close(0); os.close(1)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])",
    ],
)
def test_unusual_parents(image: Path, tmp_path: Path, unusual: str) -> None:
    body = f"""
        import os, signal
        {unusual}
        from pathlib import Path
        from emo_bench.media.image import read_image
        Path({str(tmp_path / "said")!r}).write_text(str(read_image(Path({str(image)!r}))[0, 0, 0]))
        os._exit(0)
    """
    subprocess.run(program(body), cwd=ROOT, timeout=50, check=True)
    assert (tmp_path / "said").read_text() == "77"


def test_a_decoder_that_closes_its_pipes_and_lives_on_is_killed(
    image: Path, decoder: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder("hostile", "os.close(1); os.close(2); time.sleep(600)")
    with image.open("rb") as stream, closing(starting.start("hostile", stream.fileno())) as child:
        assert child.communicate(timeout=20, most=99) == (b"", b"")
        monkeypatch.setattr(starting, "_PATIENCE_S", 0.5)
        assert child.wait() == -signal.SIGKILL


def test_a_decoder_that_says_too_much_is_killed(image: Path, decoder: Callable[[str, str], None]) -> None:
    decoder("talker", "while True: os.write(2, bytes(9999))")
    with image.open("rb") as stream:
        child = starting.start("talker", stream.fileno())
    with closing(child), pytest.raises(BufferError, match="more than 100000 bytes"):
        child.communicate(timeout=20, most=100_000)
    assert child.wait() == -signal.SIGKILL


def test_complaints_are_read_without_waiting_for_those_who_hold_the_pipe(
    image: Path, decoder: Callable[[str, str], None]
) -> None:
    decoder("forker", "os.fork() or time.sleep(30); os.write(2, b'woe'); os.close(1)")
    with image.open("rb") as stream, closing(starting.start("forker", stream.fileno())) as child:
        child.wait()
        assert child.complaint() == b"woe"
        assert child.complaint() == b""


def test_a_decoder_that_is_missing_is_named(image: Path) -> None:
    with image.open("rb") as stream, pytest.raises(starting.ServerEndedError, match="no_such_decoder has ended"):
        starting.start("no_such_decoder", stream.fileno())
    starting._forget(starting._servers["no_such_decoder"])


def test_more_descriptors_than_select_can_take(image: Path) -> None:
    body = f"""
        import os, resource
        from pathlib import Path
        from emo_bench.media.image import read_image
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        while os.open(os.devnull, os.O_RDONLY) < 1100:
            pass
        print(int(read_image(Path({str(image)!r}))[0, 0, 0]))
    """
    done = subprocess.run(program(body), capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.stdout == "77\n", done.stderr


def test_a_child_that_dies_slowly_is_killed_once_and_waited_for_in_peace() -> None:
    body = """
        import os, socket, threading, time
        from emo_bench.media import fork_server

        kills = []

        def kill_later(pid):
            kills.append(pid)
            threading.Timer(0.5, os.kill, (pid, 9)).start()

        def ask():
            mine, control = socket.socketpair()
            nothing = os.open(os.devnull, os.O_RDWR)
            socket.send_fds(ours, [fork_server.REQUEST], [control.fileno(), *[nothing] * 4])
            fork_server.STATUS.unpack(mine.recv(fork_server.STATUS.size))
            mine.close()
            time.sleep(1.5)
            ours.close()

        ours, theirs = socket.socketpair()
        fork_server._kill = kill_later
        threading.Thread(target=ask).start()
        fork_server.serve(theirs, lambda: time.sleep(60))
        print(len(kills))
    """
    done = subprocess.run(program(body), capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.stdout == "1\n", done.stderr
