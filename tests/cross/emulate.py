#!/usr/bin/env python3
"""A program for another processor does what the native one does: emulate.py NATIVE PROGRAM TARGET

Both scrape the same page, reload, are killed, start again, make a snapshot and stop. Each reads what the other wrote,
and finds the same samples in it. Blocks that both make of one text are the same to the byte.
"""

import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from program import Ferula, Page, serve

SERIES = 300
NOW_MS = int(time.time() * 1000)
# LIMIT: identity and checksums at the end of a block are 40 bytes in 20,000.
DIFFERENT_BYTES_MAX = 64
# What a scrape dates itself differs between the two; what the page dates does not.
STAMPED = '{__name__=~"stamped.*"}'


class Stamped(Page):
    """Counters, fractions and what is no number, half of it with times of its own."""

    lines = [f'live{{i="{i}"}} {i}' for i in range(SERIES)]
    lines += [f'stamped{{i="{i}"}} {i / 7!r} {NOW_MS - i}' for i in range(SERIES)]
    lines += [f"stamped_{name.strip('+-').lower()}{i} {name} {NOW_MS}" for i, name in enumerate(["NaN", "+Inf", "-Inf"])]


def emulator(processor):
    """What runs programs for `processor`, nothing where this machine's own does."""
    here = platform.machine()
    if processor == here or (here, processor) == ("x86_64", "i686"):
        return []
    name = {"armv7": "arm", "i686": "i386", "powerpc": "ppc", "riscv64gc": "riscv64"}.get(processor, processor)
    return [f"qemu-{name}-static"]


def run(command, *arguments):
    arguments = [str(argument) for argument in arguments]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"{command} {arguments}: {done.returncode} {done.stderr}"
    return done.stdout


def live(command, work, address):
    """A life with a reload, a death and an ordered end; leaves data/ and the path of a snapshot."""

    def configure(*jobs):
        lines = ["global: {scrape_interval: 1s, scrape_timeout: 1s}", "scrape_configs:"]
        lines += [f"- {{job_name: {job}, static_configs: [{{targets: ['{address}']}}]}}" for job in jobs]
        (work / "ferula.yml").write_text("\n".join(lines) + "\n")

    work.mkdir()
    configure("page")
    with Ferula(command, work) as ferula:
        ferula.expect("count(live)", lambda count: count == SERIES)
        configure("page", "other")
        ferula.reload()
        ferula.expect("count(live)", lambda count: count == 2 * SERIES)
        ferula.kill()
    with Ferula(command, work, "--web.enable-admin-api") as ferula:
        assert ferula.values('count(stamped{job="page"})', time=NOW_MS / 1000) == [SERIES]
        ferula.expect('count_over_time(live{i="0",job="other"}[1h])', lambda count: count > 2)
        ferula.ask("/api/v1/admin/tsdb/snapshot", post=b"")
        ferula.stop()
    return work / "data", next((work / "data" / "snapshots").iterdir())


def text(work):
    """Samples of three hours in OpenMetrics, to make blocks of."""
    path = work / "text"
    begin = 1_700_000_000
    lines = ["# TYPE made gauge"]
    for i in range(40):
        lines += [f'made{{i="{i}"}} {(i + 1) * (at % 97) / 13!r} {begin + at}' for at in range(0, 3 * 3600, 60)]
    path.write_text("\n".join([*lines, "# EOF", ""]))
    return path


def files(directory):
    """The contents of all files, in the order of their names, which say when they were made."""
    return [path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()]


def alike(one, other):
    """Equal, but for the time when it was made and its checksums."""
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other)) <= DIFFERENT_BYTES_MAX


def compare(work, native, other):
    address = serve(Stamped)
    commands = {"native": native, "other": other}
    stamped = []
    for writer, command in commands.items():
        for directory in live(command, work / writer, address):
            dumps = [run(reader, "tsdb", "dump", directory) for reader in commands.values()]
            assert dumps[0] == dumps[1] and dumps[0], f"{directory}: what is read differs"
            stamped.append(sorted(run(native, "tsdb", "dump", f"--match={STAMPED}", directory).splitlines()))
            print(f"{writer} {directory.name}: {dumps[0].count(chr(10))} samples, read alike by both")
    assert all(found == stamped[0] for found in stamped), "samples differ"
    assert len(stamped[0]) == 2 * (SERIES + 3), len(stamped[0])
    for writer, command in commands.items():
        run(command, "tsdb", "create-blocks-from", "openmetrics", text(work), work / f"{writer}-blocks")
        run(command, "tsdb", "import", work / f"{writer}-blocks", work / f"{writer}-imported")
    for made in ("blocks", "imported"):
        natives, others = (files(work / f"{writer}-{made}") for writer in commands)
        assert natives and len(natives) == len(others), f"{made}: {len(natives)} and {len(others)} files"
        assert all(map(alike, natives, others)), f"{made} differ"
        print(f"{made}: {len(natives)} files alike")


def main():
    with tempfile.TemporaryDirectory() as work:
        native, program, target = sys.argv[1:]
        compare(Path(work), [native], [*emulator(target.split("-")[0]), program])
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
