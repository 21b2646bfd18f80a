#!/usr/bin/env python3
"""Writes the linker script that lays what every run executes side by side: order.py BINARY MAP > start.ld

BINARY is not stripped and has fixed addresses, MAP is its linker's map (ld.lld's form); `make order` makes both.
The kernel maps 64 KiB around each page of code that is touched. What a start, a scrape and a query execute is a
quarter of the code, but lies all over it, so that most of it becomes resident; side by side it is a quarter again.
The names of functions carry no hash here, so the list survives another compiler; a function that it does not know
costs at most those 64 KiB.
"""

import bisect
import collections
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

from weigh import unhashed

READY_SECONDS = 120
# Long enough for what the storage does each minute.
SCRAPES_SECONDS = 75
# In the style in which people write it.
CONFIG = """\
global:
  scrape_interval: 2s
  scrape_timeout: 2s

scrape_configs:
  # Itself, under two names.
  - job_name: self
    static_configs:
      - targets: ['{address}']
        labels:
          group: a
  - job_name: again
    metrics_path: /metrics
    static_configs:
      - targets:
          - {address}
"""
# A type of ELF file, at byte 16: the addresses of the map are those of the run.
FIXED_ADDRESSES = 2
QUERIES = ["up", "sum by (job) (rate(prometheus_http_requests_total[1m]))"]


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def ask(address, path, **form):
    url = f"http://{address}{path}?{urllib.parse.urlencode(form)}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def wait_until_ready(address):
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            return ask(address, "/-/ready")
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def live(binary, work):
    """One short life under callgrind: start and scrapes of itself, then queries and stop; what each half executed."""
    address = f"127.0.0.1:{free_port()}"
    (work / "ferula.yml").write_text(CONFIG.format(address=address))
    out = work / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", "--dump-instr=yes", "--compress-pos=no", f"--callgrind-out-file={out}"]
    command += [binary, f"--config.file={work}/ferula.yml", f"--storage.tsdb.path={work}/data"]
    with subprocess.Popen(command + [f"--web.listen-address={address}"], stderr=subprocess.DEVNULL) as ferula:
        try:
            wait_until_ready(address)
            time.sleep(SCRAPES_SECONDS)
            subprocess.run(["callgrind_control", "--dump", str(ferula.pid)], check=True, stdout=subprocess.DEVNULL)
            now = int(time.time())
            for query in QUERIES:
                ask(address, "/api/v1/query", query=query)
                ask(address, "/api/v1/query_range", query=query, start=now - 60, end=now, step=5)
        finally:
            ferula.terminate()
    halves = [Path(f"{out}.1"), out]
    return [{int(at, 16) for at in re.findall(r"^0x([0-9a-f]+)", half.read_text(), re.M)} for half in halves]


def code_sections(map_text):
    """(address, file, section) of every piece of code that the linker placed, by address."""
    line = re.compile(r"^ *([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]+) +\d+ {9}(\S.*):\((\.text[^)]*)\)$", re.M)
    return sorted((int(at, 16), file, section) for at, size, file, section in line.findall(map_text) if int(size, 16))


def pattern(file, section):
    """What names a section in any build."""
    member = re.search(r"([^/]+\.a)\((.+)\)$", file)
    if member and not member[2].endswith(".rcgu.o"):
        return f"*{member[1]}:{member[2]}({section})"
    return f"*({unhashed(section)})"


def in_order(sections, halves):
    """The patterns, each once. One that is several functions' comes last, and before it those of them that were
    executed, by their whole names: a build whose hashes are others executes what lies together at the end."""
    starts = [at for at, _, _ in sections]
    known = collections.Counter(pattern(*section[1:]) for section in sections)
    exact, loose = {}, {}
    for executed in halves:
        inside = (at for at in executed if starts[0] <= at < starts[-1] + 4096)
        for place in sorted({bisect.bisect_right(starts, at) - 1 for at in inside}):
            _, file, section = sections[place]
            found = pattern(file, section)
            if known[found] == 1:
                exact[found] = None
            else:
                exact[f"*({section})"] = None
                loose[found] = None
    # NOTE: a bare .text is all of an assembler's or of the C compiler's output.
    return [found for found in exact | loose if found != "*(.text)"]


def main():
    binary, map_file = sys.argv[1:]
    if Path(binary).read_bytes()[16] != FIXED_ADDRESSES:
        sys.exit(f"{binary} has no fixed addresses: is there a libc.a?")
    sections = code_sections(Path(map_file).read_text(errors="replace"))
    with tempfile.TemporaryDirectory() as work:
        patterns = in_order(sections, live(binary, Path(work)))
    print("/* What every run executes, side by side. Made by `make order`: see order.py. */")
    print("SECTIONS\n{\n  .text.start :\n  {")
    for found in patterns:
        print(f"    {found}")
    print("  }\n}\nINSERT BEFORE .text;")


if __name__ == "__main__":
    main()
