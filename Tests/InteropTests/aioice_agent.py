"""An ICE agent of aioice (PyPI) that speaks on its standard input and output as `pnet ice` does."""

import argparse
import asyncio
import json
import sys

import aioice


def say(**facts):
    print(json.dumps(facts), flush=True)


def server(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--role", required=True)
    parser.add_argument("--stun")
    parser.add_argument("--turn")
    parser.add_argument("--user")
    parser.add_argument("--pass", dest="password")
    parser.add_argument("--relay-only", action="store_true")
    parser.add_argument("--v6", action="store_true")
    parser.add_argument("--secs", type=int, default=30)
    options = parser.parse_args()
    settings = {"ice_controlling": options.role == "controlling", "components": 1, "use_ipv4": not options.v6}
    if options.stun:
        settings["stun_server"] = server(options.stun)
    if options.turn:
        settings.update(
            turn_server=server(options.turn), turn_username=options.user, turn_password=options.password)
    if options.relay_only:
        settings["transport_policy"] = aioice.TransportPolicy.RELAY
    connection = aioice.Connection(**settings)
    await connection.gather_candidates()
    say(impl="aioice", ufrag=connection.local_username, pwd=connection.local_password,
        candidates=["candidate:" + one.to_sdp() for one in connection.local_candidates])
    theirs = json.loads(await asyncio.get_event_loop().run_in_executor(None, sys.stdin.readline))
    connection.remote_username, connection.remote_password = theirs["ufrag"], theirs["pwd"]
    for line in theirs["candidates"]:
        await connection.add_remote_candidate(aioice.Candidate.from_sdp(line.split(":", 1)[1]))
    await connection.add_remote_candidate(None)
    try:
        await asyncio.wait_for(connection.connect(), options.secs)
    except (ConnectionError, asyncio.TimeoutError):
        say(state="failed")
        return 4
    # aioice has no public name for the pair that was chosen.
    pair = connection._nominated[1]
    say(state="connected", local=pair.local_candidate.type, remote=pair.remote_candidate.type,
        pair="{}:{}>{}:{}".format(*pair.local_addr, *pair.remote_addr))
    heard = None
    for number in range(40):
        await connection.sendto(b"aioice %d" % number, 1)
        try:
            data, _ = await asyncio.wait_for(connection.recvfrom(), 0.15)
        except asyncio.TimeoutError:
            continue
        if heard is None:
            heard = data
            say(state="data", got=data.decode())
        # Some more, for the other side to hear.
        if number >= 8:
            break
    if heard is None:
        say(state="nodata")
    await connection.close()
    return 0 if heard else 4


sys.exit(asyncio.run(main()))
