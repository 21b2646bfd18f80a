#!/usr/bin/env python3
"""A program for 32-bit x86 lives in 2040, beyond what 32 bits of seconds can say: in_2040.py PROGRAM

It reads files of that year, scrapes, answers, reloads, is killed, starts again and stops. A std that keeps time in 32
bits panics at the start.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from program import Ferula, Page, eventually, serve

# 2040-01-01T00:00:00Z
START_OF_2040 = 2208988800
AHEAD_SECONDS = START_OF_2040 + 86_400 - int(time.time())


def is_2040(seconds):
    return START_OF_2040 < seconds < START_OF_2040 + 366 * 86_400


def configure(work, address, *jobs):
    lines = ["global: {scrape_interval: 1s, scrape_timeout: 1s}", "scrape_configs:"]
    lines += [f"- {{job_name: {job}, file_sd_configs: [{{files: [targets.json]}}]}}" for job in jobs]
    (work / "ferula.yml").write_text("\n".join(lines) + "\n")
    (work / "targets.json").write_text(f'[{{"targets": ["{address}"]}}]')
    for name in ("ferula.yml", "targets.json"):
        os.utime(work / name, (START_OF_2040, START_OF_2040))
        assert os.stat(work / name).st_mtime == START_OF_2040, "this file system keeps no dates of 2040"


def live(work, program):
    command = [sys.executable, str(Path(__file__).with_name("clock_ahead.py")), str(AHEAD_SECONDS), program]
    address = serve(Page)
    configure(work, address, "page")
    with Ferula(command, work) as ferula:
        assert is_2040(ferula.values("time()")[0])
        begin = ferula.expect('timestamp(one{job="page"})', is_2040)
        assert f"prometheus_sd_file_mtime_seconds{{filename=\"{work}/targets.json\"}} {START_OF_2040 / 1e9}e+09" in (
            ferula.ask("/metrics")
        )
        configure(work, address, "page", "other")
        ferula.reload()
        ferula.expect('timestamp(one{job="other"})', is_2040)
        ferula.kill()
    with Ferula(command, work) as ferula:
        assert ferula.values('one{job="page"}', time=begin) == [1]
        before = ferula.expect('timestamp(one{job="other"})', lambda seconds: seconds > begin)
        ferula.stop()
    listed = subprocess.run([*command, "tsdb", "dump", work / "data"], check=True, capture_output=True, text=True)
    times = [int(line.rsplit(" ", 1)[1]) / 1000 for line in listed.stdout.splitlines() if '"one"' in line]
    assert min(times) <= begin and max(times) >= before and all(is_2040(seconds) for seconds in times), times
    print(f"{len(times)} samples of 2040: 1 passed, 0 failed")


def main():
    with tempfile.TemporaryDirectory() as work:
        live(Path(work), os.path.abspath(sys.argv[1]))


if __name__ == "__main__":
    main()
