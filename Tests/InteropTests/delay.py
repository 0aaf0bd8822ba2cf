"""Holds back the packets that a router sends to a TUN device: delay.py DEVICE SECONDS. Started by path_cases.py.

Many kernels have no netem. What the router gets from outside it routes to the device; this program gives it back after that
time, in the same order and unchanged, and the router routes it on.
"""

import collections
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
# What a long queue of a slow computer may hold before packets are lost.
MOST = 20_000


def main():
    device, delay = sys.argv[1], float(sys.argv[2])
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN_NO_PI))
    print("ready", flush=True)
    held = collections.deque()
    while True:
        wait = max(0, held[0][0] - time.monotonic()) if held else None
        if wait is None or wait > 0.0002:
            select.select([tun], [], [], wait)
        now = time.monotonic()
        for _ in range(64):
            try:
                packet = os.read(tun, 65_536)
            except BlockingIOError:
                break
            if len(held) < MOST:
                held.append((now + delay, packet))
        now = time.monotonic()
        while held and held[0][0] <= now:
            try:
                os.write(tun, held.popleft()[1])
            except OSError as error:
                print(error, flush=True)


main()
