"""Datagrams as they are on the wire: watching them, sending them again, and making handshake messages that only look good."""

import base64
import hashlib
import os
import socket
import struct
import threading
import time


def mac1(public, message):
    """MAC1 of a handshake message to the owner of a public key (WireGuard paper §5.4.4)."""
    key = hashlib.blake2s(b"mac1----" + base64.b64decode(public)).digest()
    return hashlib.blake2s(message, digest_size=16, key=key).digest()


def initiation(public):
    """148 bytes that pass the check of MAC1, and no other."""
    message = struct.pack("<I", 1) + os.urandom(112)
    return message + mac1(public, message) + bytes(16)


class Capture:
    """The UDP datagrams over IPv4 on a device of a namespace, as whole Ethernet frames."""

    def __init__(self, namespace, device):
        with namespace.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        self.socket.bind((device, 0))
        self.socket.settimeout(0.1)
        self.frames = []
        self._ends = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while not self._ends:
            try:
                frame = self.socket.recv(65_535)
            except TimeoutError:
                continue
            if len(frame) >= 46 and frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[14] == 0x45:
                self.frames.append(frame)

    def stop(self):
        time.sleep(0.3)
        self._ends = True
        self._thread.join()
        return self

    def to_port(self, port, kind=None):
        """Frames to a UDP port, of one type of WireGuard message if wanted."""
        return [
            frame for frame in self.frames
            if frame[36:38] == struct.pack(">H", port) and (kind is None or frame[42] == kind)
        ]

    def send(self, frame):
        """Sends a captured frame once more, with its old addresses and ports."""
        # Checksums of captured frames are not filled in yet where the device does that; over IPv4, 0 means none.
        self.socket.send(frame[:40] + b"\0\0" + frame[42:])

    def close(self):
        self.socket.close()


class Flood:
    """Sends initiations with a valid MAC1 from many ports until it is stopped."""

    def __init__(self, sockets, public, to):
        self._messages = [initiation(public) for _ in range(512)]
        self._sockets = sockets
        for each in sockets:
            each.connect(to)
            each.setblocking(False)
        self.sent = 0
        self._ends = False
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self):
        self._thread.start()
        time.sleep(0.5)
        return self

    def _send(self):
        while not self._ends:
            for number, message in enumerate(self._messages):
                try:
                    self._sockets[number % len(self._sockets)].send(message)
                    self.sent += 1
                except OSError:
                    time.sleep(0.0005)
            # Far more than is worked off, and yet time for others on a machine with few cores.
            time.sleep(0.005)

    def __exit__(self, *_):
        self._ends = True
        self._thread.join()
        for each in self._sockets:
            each.close()
