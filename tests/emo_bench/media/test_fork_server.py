"""Decoders are forked from a server: each its own process, none outlives its parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from decoders import IMAGE_WORKER, ROOT, alive, program, wait_until, wait_until_gone
from PIL import Image

from emo_bench.media import starting
from emo_bench.media.fork_server import FILE
from emo_bench.media.image import read_image


def descriptors(pid: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def no_more_open_than(ours: int, server: int, process: int) -> bool:
    """Fewer may be: what was counted first may still have held what was about to be closed."""
    return descriptors() <= ours and descriptors(process) <= server


def test_every_file_has_a_process_of_its_own_and_leaves_nothing_open(image: Path) -> None:
    read_image(image)
    server = starting._servers[IMAGE_WORKER]._process.pid
    before = descriptors(), descriptors(server)
    pids = set()
    for _ in range(30):
        with image.open("rb") as stream, closing(starting.start(IMAGE_WORKER, stream.fileno())) as child:
            pids.add(child.pid)
            said, complained = child.communicate(timeout=20, most=1 << 20)
            assert child.wait() == 0
            assert said
            assert not complained
    assert len(pids) == 30
    # It tells the end first and closes its socket then.
    assert wait_until(lambda: no_more_open_than(*before, process=server))
    assert starting._servers[IMAGE_WORKER]._process.pid == server


def test_threads_get_their_own_answers(tmp_path: Path) -> None:
    paths = []
    for value in range(12):
        paths.append(tmp_path / f"{value}.png")
        Image.fromarray(np.full((64, 64, 3), value, np.uint8)).save(paths[-1])
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(read_image, paths * 3))
    assert [int(image[0, 0, 0]) for image in found] == list(range(12)) * 3


@pytest.mark.usefixtures("sleeper")
def test_a_child_that_is_closed_early_is_killed(image: Path) -> None:
    with image.open("rb") as stream:
        child = starting.start("sleeper", stream.fileno())
    with pytest.raises(TimeoutError, match=r"no end after 0.1 s"):
        child.communicate(timeout=0.1, most=99)
    assert alive(child.pid)
    child.close()
    assert child.wait() == -signal.SIGKILL
    assert wait_until_gone(child.pid)


def test_nothing_outlives_a_parent_that_is_killed(sleeper: str, image: Path) -> None:
    body = f"""
        import time
        from emo_bench.media import starting
        starting._PACKAGE_ROOT = {sleeper!r}
        stream = open({str(image)!r}, "rb")
        child = starting.start("sleeper", stream.fileno())
        print(starting._servers["sleeper"]._process.pid, child.pid, flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen(program(body), stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    server, child = map(int, parent.stdout.readline().split())
    assert alive(server)
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until_gone(server, child)


@pytest.mark.usefixtures("sleeper")
def test_a_decoder_ends_with_its_server(image: Path) -> None:
    with image.open("rb") as stream, closing(starting.start("sleeper", stream.fileno())) as child:
        starting._servers["sleeper"]._process.kill()
        assert wait_until_gone(child.pid)
        assert child.wait() == -signal.SIGKILL


def test_a_forked_process_asks_a_server_of_its_own(image: Path) -> None:
    body = f"""
        import os
        from pathlib import Path
        from emo_bench.media import starting
        from emo_bench.media.image import read_image
        path = Path({str(image)!r})
        read_image(path)
        before = starting._servers[{IMAGE_WORKER!r}]._process.pid
        pid = os.fork()
        value = int(read_image(path)[0, 0, 0])
        if pid == 0:
            os._exit(value if starting._servers[{IMAGE_WORKER!r}]._process.pid != before else 1)
        print(value, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    done = subprocess.run(program(body), capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.stdout == "77 77\n", done.stderr


def test_a_child_has_its_own_descriptors_and_no_others(tmp_path: Path) -> None:
    """Among the server's are the sockets over which other children are started and ended."""
    body = """
        import os, socket, sys
        from emo_bench.media import fork_server

        def decoder():
            print(sorted(int(name) for name in os.listdir("/proc/self/fd")), os.read(fork_server.FILE, 99), sys.argv)

        while os.open(os.devnull, os.O_RDONLY) < 40:
            pass
        fork_server.serve(socket.socket(fileno=int(sys.argv[1])), decoder)
    """
    (tmp_path / "file").write_bytes(b"content")
    ours, theirs = socket.socketpair()
    with (
        theirs,
        subprocess.Popen([*program(body), str(theirs.fileno())], pass_fds=(theirs.fileno(),), cwd=ROOT) as server,
    ):
        server_side = starting._Server.__new__(starting._Server)
        server_side._connection = ours
        with (tmp_path / "file").open("rb") as stream, closing(server_side.start(stream.fileno(), b"")) as child:
            said, complained = child.communicate(timeout=60, most=1 << 20)
            assert child.wait() == 0, complained
        ours.close()
        assert server.wait(timeout=20) == 0
    listed = f"[0, 1, 2, {FILE}, {FILE + 1}]"  # the last one is the folder being listed
    assert said.decode() == f"{listed} b'content' ['decoder', '{FILE}']\n"
