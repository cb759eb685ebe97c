"""Several devices and hosts: what is compared, who takes part, what goes wrong and how it ends."""

import dataclasses
import signal
import socket
import threading
import time

import pytest
from fakes import FakeLauncher, runner_of
from samples import dataframe, drawn, text_table

from harness.analyze import roles
from harness.analyze.analysis import Analysis
from harness.errors import HarnessError
from harness.measure.case_checks import check_case
from harness.measure.group import Wish
from harness.measure.hosts import discovery as found
from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.follow import follow
from harness.measure.hosts.group import GroupLauncher, HostsFailed, about, gather
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import NoGpu
from harness.measure.worker_process import WorkerFailed
from harness.records import Case
from harness.report import formats
from harness.report.sentence import sentence
from harness.tables import drawing

ONE = Case("baseline", "mnist", 256, "jax", threads=2, jit=True)


def several(size=256, **changes):
    return dataclasses.replace(ONE, batch_size=size, replicas=2, **changes)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        (several(), "strong"),
        (several(512), "weak"),
        (several(hosts=2), "strong"),
        (several(1024), None),
        (several(variant="improved"), None),
        (dataclasses.replace(ONE, batch_size=512), None),
    ],
)
def test_more_devices_are_compared_with_one_at_the_same_batch_or_one_as_much_larger(case, kind):
    """Nothing else may differ."""
    assert roles.scaling_kind(case, ONE) == kind


def test_efficiency_is_the_speedup_over_the_number_of_devices(tmp_path):
    """On logical devices it is called a functional check."""
    launcher = FakeLauncher(lambda case: 1e-3 / (1.6 if case.replicas == 2 else 1.0))
    runner = runner_of(tmp_path, launcher, 2)
    runner.measure(several(), ONE, Wish(early_steps=16))
    runner.measure(several(512), ONE)
    run = runner.save()
    rows = dataframe(run, "scaling").to_dict("records")
    assert [row["kind"] for row in rows] == ["strong", "weak"]
    assert [row["efficiency"] for row in rows] == pytest.approx([0.8, 0.8])
    assert [row["functional"] for row in rows] == [True, True]
    assert rows[0]["loss_verdict"] == "same"
    assert rows[0]["communication_share"] == pytest.approx(0.01 / (256 * 1e-3 / 1.6))
    text = formats.to_markdown(text_table(run, "scaling"))
    assert "functional check: the devices are logical ones" in text
    assert "| strong | 2 | 256 | 1 at 256 |" in text
    assert drawn(run, "scaling") is not None
    assert "2 comparisons of several devices with one, a functional check" in sentence(
        Analysis(run)
    )
    assert Analysis(run).roles.others() == []
    assert [
        r["case"] for r in dataframe(run, "measurements").to_dict("records") if not r["aside"]
    ] == [ONE.id]


def test_the_chart_of_logical_devices_shows_no_efficiency(tmp_path):
    """Communication alone; without that there is no chart."""
    runner = runner_of(tmp_path, FakeLauncher(lambda case: 1e-3), 1)
    runner.measure(several(), ONE)
    run = runner.save()
    figure = drawn(run, "scaling")
    assert drawing.title(figure).startswith("Functional check: several devices work; an all-reduce")
    assert len(figure.axes) == 1
    (outcome,) = run.outcomes
    untimed = tuple(dataclasses.replace(s, allreduce_seconds=None) for s in outcome.starts)
    outcomes = (dataclasses.replace(outcome, starts=untimed),)
    assert drawn(dataclasses.replace(run, outcomes=outcomes), "scaling") is None


def test_the_outlook_is_a_ring_of_more_devices(tmp_path):
    """From two to eight 2 (n-1)/n grows from 1 to 1.75; compute stays, or is divided."""
    launcher = FakeLauncher(lambda case: 1e-3)
    runner = runner_of(tmp_path, launcher, 2)
    for case in (several(hosts=2), several(512, hosts=2), several()):
        runner.measure(case, ONE)
    run = runner.save()
    frame = dataframe(run, "scaling_outlook")
    assert list(frame["replicas"]) == [2, 8, 64, 512] * 2, "logical devices have no link"
    rows = {(r["kind"], r["replicas"]): r for r in frame.to_dict("records")}
    eight = rows["weak", 8]
    assert eight["allreduce_s"] == pytest.approx(0.0175)
    assert eight["efficiency"] == pytest.approx(0.256 / (0.256 + 0.0175))
    assert eight["cost"] == pytest.approx(1 / eight["efficiency"])
    assert eight["device_hours_per_million"] == pytest.approx((0.256 + 0.0175) / 256 * 1e6 / 3600)
    strong = rows["strong", 64]
    assert strong["step_s"] == pytest.approx(0.256 / 64 + 0.01 * (63 / 64) / 0.5)
    assert strong["batch_size"] == 256
    text = formats.to_markdown(text_table(run, "scaling_outlook"))
    assert "a model, not a measurement" in text
    assert drawn(run, "scaling_outlook") is not None


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (several(backend="torch"), "Keras does not distribute over devices with Torch"),
        (several(backend="tensorflow", hosts=2), "keras issue 20585"),
        (several(255), "cannot be divided equally among 2"),
        (
            dataclasses.replace(ONE, replicas=3, hosts=2, batch_size=300),
            "among 2 hosts",
        ),
        (dataclasses.replace(ONE, replicas=0), "at least 1"),
    ],
)
def test_what_cannot_be_distributed_is_refused(case, message, monkeypatch):
    """Before a worker starts."""
    monkeypatch.setattr("harness.worker.backends.Backend.missing", lambda self: None)
    with pytest.raises(HarnessError, match=message):
        check_case(case, None, 2, NoGpu("none"))


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
    """All of a job have the same token, whatever their place."""
    monkeypatch.setattr(socket, "gethostname", lambda: "node02")
    monkeypatch.setattr(socket, "getfqdn", lambda: "node02.cluster")
    by_name = found.find("node01:6000,node02", {})
    assert (by_name.rank, by_name.size, by_name.address, by_name.port) == (1, 2, "node01", 6000)
    first, second = (found.find(f"10.0.0.1,10.0.0.2@{place}", {}) for place in (0, 1))
    assert (first.rank, second.rank) == (0, 1)
    assert first.token == second.token != by_name.token


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


class Group:
    """The first host and another, on a free port of this machine."""

    def __init__(self):
        with socket.create_server(("", 0)) as probe:
            port = probe.getsockname()[1]
        self.first = Hosts(0, 2, "127.0.0.1", port, "a test", "token")
        self.second = dataclasses.replace(self.first, rank=1)
        self.launcher = Threaded()
        self.other = Threaded()
        self.ended = []

    def follow(self, **changes):
        here = {**about(), **changes}

        def serve():
            try:
                self.ended.append(follow(self.second, here, self.other, 5.0))
            except HostsFailed as error:
                self.ended.append(str(error))

        self.thread = threading.Thread(target=serve)
        self.thread.start()


class Answering:
    """A worker whose answers are set; it may wait until it is ended."""

    pid = 0

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
def group():
    made = Group()
    yield made
    made.thread.join(10)
    assert not made.thread.is_alive()


CASE = several(hosts=2)


def started(group, timeout=5.0):
    launcher = GroupLauncher(group.launcher, group.first, gather(group.first, about(), 5.0))
    return launcher, launcher.start(CASE, timeout)


def test_all_workers_of_a_group_do_the_same(group):
    """Each is told its number and where the first one is; the answer is the first one's."""
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
    group.thread.join(10)
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


def test_a_host_that_is_lost_ends_the_case_and_all_that_follow(group):
    """With its name, at once."""
    group.follow()
    launcher, worker = started(group)
    group.launcher.answers["round"] = "hang"
    group.other.answers["round"] = "hang"
    (follower,) = launcher._followers
    threading.Timer(0.3, follower._channel._socket.shutdown, [socket.SHUT_RDWR]).start()
    with pytest.raises(WorkerFailed, match=r"host 1 .* is lost"):
        worker.ask("round", steps=1)
    launcher.end(worker)
    with pytest.raises(WorkerFailed, match=r"host 1 .* is lost"):
        launcher.start(CASE, 5.0)
    assert launcher.start(ONE, 5.0) is group.launcher.workers[-1], "one host goes on alone"
    launcher.close()
    group.thread.join(10)
    assert "the first host is lost" in group.ended[0]


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
    group.thread.join(10)
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


def test_a_host_that_does_not_come_is_named():
    """Within the time allowed."""
    hosts = Hosts(0, 3, "127.0.0.1", 0, "a test", "token")
    with pytest.raises(HostsFailed, match=r"host 1, 2 of 3 did not connect within 0.2 s"):
        gather(hosts, about(), 0.2)
    with socket.create_server(("", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(HostsFailed, match="did not answer within"):
        follow(Hosts(1, 2, "127.0.0.1", port, "a test", "token"), about(), Threaded(), 0.3)


def test_a_host_that_differs_is_refused_on_both_sides(group):
    """With what differs."""
    group.follow(python="2.7")
    with pytest.raises(HostsFailed, match=r"host 1 .* differs: python 2.7 there"):
        gather(group.first, about(), 5.0)
    group.thread.join(10)
    assert "refused this one: it differs: python 2.7" in group.ended[0]


def test_one_of_another_job_is_sent_away(group):
    """It knows no token; the right one is still waited for."""
    stranger = socket.socket()

    def connect():
        stranger.connect(("127.0.0.1", group.first.port))
        stranger.sendall(b'{"token": "guess", "rank": 1}\n')
        group.follow()

    threading.Timer(0.2, connect).start()
    (follower,) = gather(group.first, about(), 5.0)
    assert follower.rank == 1
    assert stranger.recv(10) == b""
    stranger.close()
    follower.close()
