"""Runs the interop cases: run.py [--long] [--list] [NAME…]. Started by scripts/interop."""

import argparse
import concurrent.futures
import fnmatch
import os
import signal
import sys
import time
import traceback

import ice_cases  # noqa: F401  (adds its cases)
import nat_cases  # noqa: F401  (adds its cases)
import path_cases  # noqa: F401  (adds its cases)
from cases import CASES
from namespaces import Failed, Lab, Skipped


def run(function):
    """Runs one case in a lab of its own. Returns the verdict and what there is to say about it."""
    lab = Lab()
    try:
        function(lab)
        return "PASS", ""
    except Skipped as reason:
        return "SKIP", str(reason)
    except Failed as reason:
        return "FAIL", f"{reason}\n{lab.logs()}"
    except Exception:
        return "FAIL", f"{traceback.format_exc()}\n{lab.logs()}"
    finally:
        lab.close()


def report(name, claim, verdict, reason, seconds):
    print(f"{verdict} {name}: {claim} ({seconds:.1f} s)" + (f"\n     {reason}" if reason else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="scripts/interop", description="Shows our node at work with wireguard-go.")
    parser.add_argument("--long", action="store_true", help="also cases that take minutes")
    parser.add_argument("--list", action="store_true", help="list the cases")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these cases; * and ? are wildcards")
    arguments = parser.parse_args()
    if arguments.list:
        for name, claim, long, _ in CASES:
            print(f"{name}{' (long)' if long else ''}: {claim}")
        return 0

    def is_named(name):
        return any(fnmatch.fnmatch(name, pattern) for pattern in arguments.names)

    unknown = [pattern for pattern in arguments.names if not any(fnmatch.fnmatch(case[0], pattern) for case in CASES)]
    if unknown:
        print(f"interop: no case is called {', '.join(unknown)}; --list lists them", file=sys.stderr)
        return 64

    def stop(*_):
        Lab.close_all()
        os._exit(130)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)

    counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    chosen = [case for case in CASES if (is_named(case[0]) if arguments.names else True)]

    def timed(function):
        start = time.monotonic()
        verdict, reason = run(function)
        return verdict, reason, time.monotonic() - start

    # One at a time, since some are about time; the long ones spend theirs waiting and do that together.
    short = [case for case in chosen if not case[2]]
    long = [case for case in chosen if case[2] and (arguments.long or is_named(case[0]))]
    for name, claim, _, function in short:
        verdict, reason, seconds = timed(function)
        counts[verdict] += 1
        report(name, claim, verdict, reason, seconds)
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(long))) as pool:
        waiting = {pool.submit(timed, case[3]): case for case in long}
        for done in concurrent.futures.as_completed(waiting):
            name, claim, _, _ = waiting[done]
            verdict, reason, seconds = done.result()
            counts[verdict] += 1
            report(name, claim, verdict, reason, seconds)
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped")
    strict = os.environ.get("INTEROP_STRICT") == "1"
    return 1 if counts["FAIL"] or (strict and counts["SKIP"]) else 0


sys.exit(main())
