"""Several hosts: who takes part, who does not, what goes wrong and how it ends."""

import contextlib
import dataclasses
import random
import re
import signal
import socket
import stat
import threading
import time

import pytest
from fakes import FakeGpu, FakeLauncher, protocol

from harness.errors import HarnessError
from harness.measure.group import Wish
from harness.measure.hosts import discovery as found
from harness.measure.hosts import keys
from harness.measure.hosts.about import this_host
from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.door import Door, HostsFailed
from harness.measure.hosts.estimate import Tried, expected_seconds, tried
from harness.measure.hosts.follow import follow
from harness.measure.hosts.group import GroupLauncher
from harness.measure.machine.facts import usable_cpus
from harness.measure.side import Setup
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case
from harness.records import protocol as protocols

ONE = Case("baseline", "mnist", 256, "jax", threads=2, jit=True)


SLURM = {
    "SLURM_PROCID": "1",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NODELIST": "gpu[03-05,9],login1",
    "SLURM_JOB_ID": "7",
}
MPI = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "MASTER_ADDR": "node01"}
KUBERNETES = {
    "JOB_COMPLETION_INDEX": "2",
    "WORLD_SIZE": "3",
    "JOBSET_NAME": "train",
    "REPLICATED_JOB_NAME": "workers",
}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (SLURM, (1, 4, "gpu03", 29410, "Slurm")),
        ({**SLURM, "SLURM_STEP_NODELIST": "node7"}, (1, 4, "node7", 29410, "Slurm")),
        ({**MPI, "MASTER_PORT": "5000"}, (0, 2, "node01", 5000, "Open MPI")),
        (KUBERNETES, (2, 3, "train-workers-0-0.train", 29410, "Kubernetes")),
        (
            {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1"},
            (1, 2, "10.0.0.1", 29410, "its environment"),
        ),
    ],
)
def test_what_starts_a_job_says_which_host_this_is(environ, expected):
    """The number of this one, of all, the address of the first."""
    said = found.find("auto", environ)
    assert (said.rank, said.size, said.address, said.port, said.said_by) == expected


@pytest.mark.parametrize(
    "environ", [{}, {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, {"SLURM_PROCID": "0"}]
)
def test_a_job_of_one_is_no_job(environ):
    """And whatever started pytest, hosts take part only where that is asked for."""
    assert found.find(None, SLURM) is None
    with pytest.raises(HarnessError, match="found no job of several hosts"):
        found.find("auto", environ)


def test_hosts_of_ones_own_are_found_by_name_or_place(monkeypatch):
    """And by the number after the @."""
    monkeypatch.setattr(socket, "gethostname", lambda: "node02")
    monkeypatch.setattr(socket, "getfqdn", lambda: "node02.cluster")
    by_name = found.find("node01:6000,node02", {})
    assert (by_name.rank, by_name.size, by_name.address, by_name.port) == (1, 2, "node01", 6000)
    first, second = (found.find(f"10.0.0.1,10.0.0.2@{place}", {}) for place in (0, 1))
    assert (first.rank, second.rank) == (0, 1)


@pytest.mark.parametrize(
    ("given", "environ", "message"),
    [
        ("node01", {}, "fewer than two"),
        ("a.invalid,b.invalid", {}, "add its rank"),
        ("a,b@2", {}, "@2 is out of range; use @0 or @1"),
        ("a,b,c@x", {}, "@x is out of range; use @0 to @2"),
        ("auto", {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "x"}, "which is invalid"),
        ("auto", {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, "set MASTER_ADDR"),
    ],
)
def test_hosts_that_make_no_sense_are_one_line(given, environ, message):
    """With what to do."""
    with pytest.raises(HarnessError, match=message):
        found.find(given, environ)


SECRET = "a secret of this test"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv(keys.VARIABLE, raising=False)


class Group:
    """The first host and another, on a free port of this machine and with a folder in common."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.first = Hosts(0, 2, "127.0.0.1", port, "a test")
        self.second = dataclasses.replace(self.first, rank=1)
        self.launcher = Threaded()
        self.other = Threaded()
        self.folder = folder
        self.ended = []
        self.threads = []
        self.door = None

    def follow(self, timeout=5.0, launcher=None, **versions):
        here = this_host()
        here = dataclasses.replace(here, versions={**here.versions, **versions})

        def serve():
            try:
                other = launcher or self.other
                self.ended.append(follow(self.second, self.folder, here, other, timeout))
            except HarnessError as error:
                self.ended.append(str(error))

        self.threads.append(threading.Thread(target=serve))
        self.threads[-1].start()

    def open(self, timeout=5.0):
        self.door = Door.open(self.first, self.folder, this_host(), timeout)
        return self.door

    def gather(self, timeout=5.0):
        self.open(timeout).wait(timeout)
        return self.door

    def join(self):
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


class Answering:
    """A worker whose answers are set; it may wait until it is ended."""

    pid = 0
    spawned_instead = False

    def __init__(self, launcher):
        self._launcher = launcher
        self.killed = threading.Event()
        self.asked = []

    def ask(self, command, **arguments):
        self.asked.append((command, arguments))
        answer = self._launcher.answers[command]
        if answer == "hang":
            self.killed.wait(10)
            raise WorkerFailed("killed", "the worker was ended by SIGKILL")
        if isinstance(answer, WorkerFailed):
            raise answer
        return dict(answer)

    def kill(self):
        self.killed.set()

    def log_tail(self):
        return ""


class Threaded:
    """A launcher of such workers."""

    def __init__(self):
        self.answers = {"round": {"seconds": 1.0}, "open": {"facts": {}}}
        self.workers, self.ended = [], []

    def start(self, case, timeout):
        self.workers.append(Answering(self))
        return self.workers[-1]

    def end(self, worker):
        self.ended.append(worker)

    def prepare(self, case, *, wait=False):
        pass

    def close(self):
        pass


@pytest.fixture
def group(tmp_path):
    made = Group(tmp_path)
    yield made
    if made.door is not None:
        made.door.close()
    made.join()


CASE = dataclasses.replace(ONE, replicas=2, hosts=2)


def started(group, timeout=5.0):
    launcher = GroupLauncher(group.launcher, group.first, group.gather())
    return launcher, launcher.start(CASE, timeout)


def test_all_workers_of_a_group_do_the_same(group):
    """Each gets its number and the address of the first one, whose answer counts."""
    group.follow()
    launcher, worker = started(group)
    group.other.answers["round"] = {"seconds": 2.0}
    assert worker.ask("open", case={}, cpus=[4711])["facts"]["machines"] == 1
    assert worker.ask("round", steps=3) == {"seconds": 1.0}
    ranks = []
    for one in (group.launcher, group.other):
        (opened, round_) = one.workers[0].asked
        ranks.append(opened[1]["group"]["rank"])
        assert round_ == ("round", {"steps": 3})
    assert ranks == [0, 1]
    assert [one.workers[0].asked[0][1]["cpus"] for one in (group.launcher, group.other)] == [
        [4711],
        usable_cpus(),
    ], "CPUs are numbered on each host by itself"
    addresses = {
        one.workers[0].asked[0][1]["group"]["address"] for one in (group.launcher, group.other)
    }
    assert len(addresses) == 1
    launcher.end(worker)
    launcher.close()
    group.join()
    assert group.ended == [1]
    assert len(group.launcher.ended) == len(group.other.ended) == 1


@pytest.mark.parametrize("side", ["first", "second"])
def test_a_worker_that_fails_ends_its_partners(group, side):
    """They would wait for it for ever."""
    group.follow()
    failing, hanging = (group.launcher, group.other)[:: 1 if side == "first" else -1]
    failing.answers["round"] = WorkerFailed("oom", "no memory")
    hanging.answers["round"] = "hang"
    launcher, worker = started(group)
    with pytest.raises(WorkerFailed, match="no memory"):
        worker.ask("round", steps=1)
    launcher.end(worker)
    again = launcher.start(CASE, 5.0)
    failing.answers["round"] = hanging.answers["round"] = {"seconds": 1.0}
    assert again.ask("round", steps=1) == {"seconds": 1.0}, "the next case goes on"
    launcher.end(again)
    launcher.close()


def lost(group, launcher, worker):
    """Cut the connection while both work."""
    group.launcher.answers["round"] = group.other.answers["round"] = "hang"
    (follower,) = group.door.followers(5.0)
    threading.Timer(0.3, follower._channel._socket.shutdown, [socket.SHUT_RDWR]).start()
    with pytest.raises(WorkerFailed, match=r"host 1 .* is lost") as error:
        worker.ask("round", steps=1)
    assert not error.value.final
    launcher.end(worker)


def test_a_host_that_is_lost_ends_the_case_and_all_that_follow(group, monkeypatch):
    """With its name, once it has not come back in time; it is waited for once."""
    monkeypatch.setattr("harness.measure.hosts.group.RETURN_SECONDS", 0.4)
    group.follow()
    launcher, worker = started(group)
    lost(group, launcher, worker)
    told = []
    group.door.on_wait = told.append
    for _ in range(2):
        with pytest.raises(WorkerFailed, match=r"host 1 .* is lost.* did not come back") as error:
            launcher.start(CASE, 5.0)
        assert error.value.final
    (line,) = told
    assert "is lost; it is waited for, 0.4 s at most" in line
    assert launcher.start(ONE, 5.0) is group.launcher.workers[-1], "one host goes on alone"
    launcher.close()
    group.join()
    assert "the first host is lost" in group.ended[0]


def test_a_host_that_was_lost_may_come_back(group):
    """The next block takes it in again."""
    group.follow()
    launcher, worker = started(group)
    lost(group, launcher, worker)
    anew = Threaded()
    threading.Timer(0.5, group.follow, kwargs={"launcher": anew}).start()
    again = launcher.start(CASE, 5.0)
    group.launcher.answers["round"] = {"seconds": 1.0}
    assert again.ask("round", steps=1) == {"seconds": 1.0}
    assert anew.workers
    launcher.end(again)
    launcher.close()
    group.join()
    assert "the first host is lost" in group.ended[0]
    assert group.ended[1] == 1


def test_a_host_that_comes_in_anew_takes_the_place_of_itself(group):
    """What waits for the old one ends at once, and may be tried again with the new one."""
    group.follow()
    launcher, worker = started(group)
    group.launcher.answers["round"] = group.other.answers["round"] = "hang"
    anew = Threaded()
    threading.Timer(0.3, group.follow, kwargs={"launcher": anew}).start()
    begin = time.monotonic()
    with pytest.raises(WorkerFailed, match=r"host 1 .*(come in anew|is lost)") as error:
        worker.ask("round", steps=1)
    assert time.monotonic() - begin < 8
    assert not error.value.final
    launcher.end(worker)
    again = launcher.start(CASE, 5.0)
    assert anew.workers
    launcher.end(again)
    launcher.close()


def test_an_interrupt_ends_all_workers_at_once(group):
    """None is waited for that waits for another."""
    # A shell that starts the tests in the background lets them ignore Ctrl-C.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    group.follow()
    launcher, worker = started(group)
    group.launcher.answers["round"] = group.other.answers["round"] = "hang"

    def interrupt():
        while not all(("round", {"steps": 1}) in one.asked for one in group.launcher.workers):
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        worker.ask("round", steps=1)
    signal.signal(signal.SIGINT, handler)
    launcher.end(worker)
    assert time.monotonic() - begin < 5
    launcher.close()
    group.join()
    assert len(group.other.ended) == 1


def test_a_host_that_is_silent_is_given_up_after_the_time_limit(group, monkeypatch):
    """Not waited for longer."""
    monkeypatch.setattr("harness.measure.hosts.group._MARGIN_SECONDS", 0.2)
    group.follow()
    launcher, worker = started(group, timeout=0.3)
    group.other.answers["round"] = "hang"
    group.launcher.answers["round"] = "hang"
    with pytest.raises(WorkerFailed, match=r"host 1 .* was silent for 0.5 s"):
        worker.ask("round", steps=1)
    launcher.end(worker)
    launcher.close()


def test_a_host_that_does_not_come_is_named(tmp_path):
    """Within the time allowed."""
    with (
        Door.open(
            hosts := Hosts(0, 3, "127.0.0.1", 0, "a test"), tmp_path, this_host(), 1.0
        ) as door,
        pytest.raises(HostsFailed, match=r"host 1, 2 of 3 did not connect within 0.2 s"),
    ):
        door.wait(0.2)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    second = dataclasses.replace(hosts, rank=1, port=port)
    with pytest.raises(HostsFailed, match=r"has written no .*export HARNESS_HOSTS_KEY"):
        follow(second, tmp_path, this_host(), Threaded(), 0.3)


def test_a_first_host_that_is_not_there_is_named(tmp_path, monkeypatch):
    """With where it was looked for."""
    monkeypatch.setenv(keys.VARIABLE, SECRET)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    second = Hosts(1, 2, "127.0.0.1", port, "a test")
    with pytest.raises(
        HostsFailed, match=rf"127.0.0.1, port {port}\) cannot be reached: .*refused"
    ):
        follow(second, tmp_path, this_host(), Threaded(), 0.3)


def test_a_host_that_differs_is_refused_on_both_sides(group):
    """With what differs."""
    group.follow(python="2.7")
    with pytest.raises(HostsFailed, match=r"host 1 .* differs: python 2.7 there"):
        group.gather()
    group.join()
    assert "refused this one: it differs: python 2.7" in group.ended[0]


def test_the_key_lies_in_the_output_folder_while_the_job_runs(group):
    """Readable for its user alone, and different each time."""
    with group.open():
        file = keys.path(group.folder, group.first)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        one = file.read_bytes()
    assert list(group.folder.iterdir()) == []
    with group.open():
        assert keys.path(group.folder, group.first).read_bytes() != one


def test_a_key_that_others_can_read_or_write_is_not_used(group):
    """It proves nothing."""
    file = keys.path(group.folder, group.first)
    file.write_text("a secret that everybody knows")
    file.chmod(0o644)
    with pytest.raises(HarnessError, match=r"is not private .*mode 0644.*export HARNESS_HOSTS_KEY"):
        keys.read(group.folder, group.first)
    file.unlink()
    file.symlink_to(group.folder / "elsewhere")
    with pytest.raises(HarnessError, match="cannot read"):
        keys.read(group.folder, group.first)


def test_hosts_without_a_common_folder_have_a_variable(group, monkeypatch):
    """A short one is refused."""
    monkeypatch.setenv(keys.VARIABLE, SECRET)
    group.follow()
    (follower,) = group.gather().followers(5.0)
    assert follower.rank == 1
    assert list(group.folder.iterdir()) == []
    monkeypatch.setenv(keys.VARIABLE, "short")
    with pytest.raises(HarnessError, match="fewer than 16 characters"):
        keys.given()


def test_a_port_that_is_taken_is_waited_for(group):
    """Then the line says what to set."""
    with socket.create_server(("127.0.0.1", group.first.port)) as other:
        with pytest.raises(HostsFailed, match=r"cannot listen on 127.0.0.1.*MASTER_PORT"):
            group.open(0.3)
        threading.Timer(0.3, other.close).start()
        group.open(5.0)


def test_the_first_host_listens_on_no_other_address(group):
    """A name of another host is an error."""
    group.open()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", group.first.port), 1.0)
    with pytest.raises(HostsFailed, match=r"192.0.2.1 is no address of this host.*MASTER_ADDR"):
        Door.open(Hosts(0, 2, "192.0.2.1", 0, "a test"), group.folder, this_host(), 1.0)


def stranger(port, text=b""):
    """A connection that sends something."""
    sock = socket.create_connection(("127.0.0.1", port), 5.0)
    with contextlib.suppress(OSError):
        sock.sendall(text)
    return sock


def test_two_hundred_strangers_get_nothing_and_delay_nobody(group):
    """Silent, garbling, or with a message of a host; members come in within two seconds."""
    rng = random.Random(7)
    door = group.open(30.0)
    texts = [rng.randbytes(rng.randrange(1, 300_000)) for _ in range(100)]
    texts += [b"" for _ in range(50)]
    texts += [b"\0" * 32 + b"0" * 64 + b'{"what": "join", "rank": 1}\n' for _ in range(50)]
    rng.shuffle(texts)
    socks = [stranger(group.first.port, text) for text in texts]
    group.follow()
    door.wait(4.0)  # a silent peer is given five seconds
    launcher = GroupLauncher(group.launcher, group.first, door)
    worker = launcher.start(CASE, 5.0)
    more = [stranger(group.first.port, text) for text in texts]
    assert worker.ask("round", steps=1) == {"seconds": 1.0}
    launcher.end(worker)
    assert len(group.launcher.workers) == len(group.other.workers) == 1
    launcher.close()
    for sock in socks + more:
        sock.close()
    group.join()
    assert group.ended == [1]


def test_what_a_stranger_says_does_not_end_a_host_that_waits(group):
    """It answers on the first host's port before the first host does; then that one comes."""
    heard = []
    with socket.create_server(("127.0.0.1", group.first.port)) as server:
        file = keys.path(group.folder, group.first)
        file.write_bytes(b"key of an earlier job, left behind")
        file.chmod(0o600)
        group.follow(timeout=30.0)
        for answer in (b"\0" * 32 + b"0" * 64 + b'{"what": "welcome"}\n', b"", b"\xff" * 1000):
            connection, _ = server.accept()
            connection.sendall(answer)
            with contextlib.suppress(OSError):
                heard.append(connection.recv(1000))
            connection.close()
    (follower,) = group.gather(30.0).followers(5.0)
    assert follower.rank == 1
    assert not any(b"earlier job" in text for text in heard)
    assert group.other.workers == []


def test_one_with_another_key_is_sent_away_and_counted(group, monkeypatch):
    """The host learns the likely reasons."""
    group.open()
    monkeypatch.setenv(keys.VARIABLE, SECRET)
    group.follow(timeout=0.5)
    group.join()
    assert "has another key, or another program has its port (after 0.5 s)" in group.ended[0]
    with pytest.raises(HostsFailed, match=r"connections without the job's key .*\(127.0.0.1\)"):
        group.door.wait(0.1)


class Between:
    """Hands on what two hosts send each other, and may change it or add to it."""

    def __init__(self, port, change):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._change = change
        threading.Thread(target=self._serve, args=(port,), daemon=True).start()

    def _serve(self, port):
        while True:
            try:
                host, _ = self._server.accept()
                first = socket.create_connection(("127.0.0.1", port))
            except OSError:
                return
            for one, other, down in ((host, first, False), (first, host, True)):
                arguments = (one, other, down)
                threading.Thread(target=self._hand_on, args=arguments, daemon=True).start()

    def _hand_on(self, one, other, down):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(self._change(data) if down else data)
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def started_evil(data):
    """After the real answer, a request of its own in a member's words."""
    if b"welcome" not in data:
        return data
    request = b'{"what": "start", "number": 1, "case": {}, "timeout": 1.0}'
    return data + b"0" * 64 + request + b"\n"


@pytest.mark.parametrize(
    ("change", "workers"),
    [
        pytest.param(started_evil, 0, id="adds"),
        pytest.param(lambda data: data + data, 0, id="repeats"),
        pytest.param(lambda data: data.replace(b"start", b"starT"), 0, id="changes"),
        pytest.param(lambda data: data, 1, id="hands on"),
    ],
)
def test_one_in_between_can_cut_the_connection_and_no_more(group, change, workers):
    """What it adds, repeats or changes has no valid seal."""
    door = group.open()
    between = Between(group.first.port, change)
    file = keys.path(group.folder, group.first)
    group.second = dataclasses.replace(group.second, port=between.port)
    keys.path(group.folder, group.second).write_bytes(file.read_bytes())
    keys.path(group.folder, group.second).chmod(0o600)
    group.follow(timeout=1.0)
    launcher = GroupLauncher(group.launcher, group.first, door)
    with contextlib.suppress(HarnessError, WorkerFailed):
        door.wait(1.0)
        launcher.start(CASE, 1.0)
    assert len(group.other.workers) == workers
    between._server.close()
    launcher.close()
    group.join()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"what": "run"}, "'run' is none of start, ask, end"),
        ({"what": "end", "number": "1"}, "number of end is no int"),
        ({"what": "end", "number": True}, "number of end is no int"),
        ({"what": "end"}, r"end has the fields \[\]"),
        ({"what": "_failed", "error": 1}, "is none of"),
        ({"what": "start", "number": 1, "case": {}, "timeout": 1}, "case of start"),
        ({"what": "ask", "number": 1, "command": "rm", "arguments": {}}, "no command 'rm'"),
    ],
)
def test_a_wrong_request_ends_the_host_with_a_line(group, message, reason):
    """Even from the first host."""
    group.follow()
    (follower,) = group.gather().followers(5.0)
    follower._channel.send(**message)
    group.join()
    assert "the first host sent a wrong message" in group.ended[0]
    assert re.search(reason, group.ended[0])


def test_a_wrong_answer_gives_the_host_up(group):
    """The row of the case says which host and why."""
    group.follow()
    launcher, worker = started(group)
    group.other.answers["round"] = {"what": 1}  # an answer may hold anything
    assert worker.ask("round", steps=1) == {"seconds": 1.0}
    (follower,) = group.door.followers(5.0)
    follower._channel._taken = iter([10**6])  # as if a message were missing
    with pytest.raises(WorkerFailed, match=r"host 1 .* is lost"):
        worker.ask("round", steps=1)
    launcher.end(worker)


def test_an_estimate_counts_starts_steps_and_blocks():
    """By hand, for one block of a case on two hosts and its reference, with 16 early steps."""
    found, quick = Tried(start_seconds=10.0, sample_seconds=0.01), protocols.choose("quick")
    asked = [((CASE, ONE), Wish(early_steps=16))]
    step = 2.56
    reference = 10 + (16 + 2) * step + step + 2 * step + 1.5
    shared, apart = step / 1.5, step / 2
    whole = expected_seconds(asked, found, quick, machines=1)
    assert whole == pytest.approx(reference + 17.5 + (16 + 5) * shared + shared + 1.5)
    assert expected_seconds(asked, found, quick, machines=2) == pytest.approx(
        reference + 17.5 + (16 + 5) * apart + apart + 1.5
    )
    again = [*asked, ((dataclasses.replace(CASE, batch_size=512), ONE), Wish())]
    more = expected_seconds(again, found, quick, machines=1) - whole
    assert more == pytest.approx(17.5 + 6 * 2 * shared + 1.5), "both share their reference"
    default = expected_seconds(asked, found, protocols.choose("default"), machines=1)
    assert default > 3 * whole - 2 * 16 * (step + shared), "early steps are in the first block"


def test_a_worker_is_tried_on_one_host():
    """For its start, first step and step."""
    launcher = FakeLauncher(lambda case: 1e-3)
    setup = Setup(protocol(), launcher, FakeGpu(name=None))
    found = tried(CASE, setup)
    assert (found.start_seconds, found.sample_seconds) == pytest.approx((0.6, 1e-3))
    assert launcher.running == 0
