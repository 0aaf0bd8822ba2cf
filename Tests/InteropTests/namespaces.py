"""Network namespaces of our own, what runs in them, and their end.

Everything is made under a Lab and goes with it: processes are ended by their id, namespaces take their links and
firewall rules along. Nothing outside of these namespaces is changed.
"""

import contextlib
import ctypes
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)


class Failed(Exception):
    """What a case expected did not come true."""


class Skipped(Exception):
    """What a case needs is not here."""


def run(*command, stdin=None, check=True, timeout=60):
    """Runs a command to its end and returns what it printed."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def until(what, seconds, condition, interval=0.05):
    """Waits until `condition` gives something true and returns it."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(interval)


class Namespace:
    """A network namespace with its loopback up."""

    def __init__(self, label):
        self.name = f"pnet-{label}-{os.getpid()}-{next(_numbers)}"
        run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *command):
        return ("ip", "netns", "exec", self.name) + command

    def run(self, *command, **options):
        return run(*self.command(*command), **options)

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes here belong to the namespace, and stay in it."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        other = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            self._enter(other)
            try:
                yield
            finally:
                self._enter(own)
        finally:
            os.close(own)
            os.close(other)

    @staticmethod
    def _enter(descriptor):
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def nft(self, rules):
        """Adds rules to the table `t` of this namespace, which has the chains `in` and `out`."""
        base = """
            table inet t {
              chain in { type filter hook input priority 0; }
              chain out { type filter hook output priority 0; }
            }
        """
        self.run("nft", "-f", "-", stdin=base + rules)

    def count(self, counter):
        """Packets that a named counter of the table `t` has seen."""
        listing = json.loads(self.run("nft", "-j", "list", "counter", "inet", "t", counter))
        return next(item["counter"]["packets"] for item in listing["nftables"] if "counter" in item)

    def clear(self):
        self.run("nft", "delete", "table", "inet", "t")

    def remove(self):
        run("ip", "netns", "del", self.name, check=False)


class Lab:
    """What one case uses."""

    _open = set()
    _lock = threading.Lock()

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="pnet-interop-")
        self.namespaces = []
        self.processes = []
        self._links = itertools.count(1)
        with Lab._lock:
            Lab._open.add(self)

    def namespace(self, label):
        namespace = Namespace(label)
        self.namespaces.append(namespace)
        return namespace

    def link(self, left, right):
        """A cable between two namespaces. Returns its IPv4 and IPv6 addresses: of the left end, of the right end."""
        number = next(self._links)
        device = f"eth{number}"
        run("ip", "-n", left.name, "link", "add", device, "type", "veth", "peer", "name", device, "netns", right.name)
        ends = []
        for namespace, host in ((left, 1), (right, 2)):
            v4, v6 = f"10.213.{number}.{host}", f"fd13:{number}::{host}"
            run("ip", "-n", namespace.name, "addr", "add", f"{v4}/24", "dev", device)
            run("ip", "-n", namespace.name, "addr", "add", f"{v6}/64", "dev", device, "nodad")
            run("ip", "-n", namespace.name, "link", "set", device, "up")
            ends.append((v4, v6))
        return ends

    def start(self, namespace, *command, env=None):
        """Starts a process in a namespace; its output goes to a file of the lab."""
        log = os.path.join(self.directory, f"{os.path.basename(command[0])}-{len(self.processes)}.log")
        with open(log, "w") as output:
            process = subprocess.Popen(
                namespace.command(*command), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, start_new_session=True)
        process.log = log
        self.processes.append(process)
        return process

    def logs(self):
        """The last lines of all output, for whoever looks into a failure."""
        lines = []
        for process in self.processes:
            with open(process.log, errors="replace") as log:
                lines += [f"    {os.path.basename(process.log)}: {line.rstrip()}" for line in log.readlines()[-12:]]
        return "\n".join(lines)

    def close(self):
        with Lab._lock:
            if self not in Lab._open:
                return
            Lab._open.discard(self)
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for namespace in self.namespaces:
            namespace.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    @classmethod
    def close_all(cls):
        for lab in list(cls._open):
            lab.close()


def udp_socket(namespace, address, port=0):
    """A UDP socket inside a namespace."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with namespace.entered():
        made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((address, port))
    return made
