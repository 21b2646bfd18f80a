#!/usr/bin/env python3
"""Runs a program for 32-bit x86 to which the clock says a later time: clock_ahead.py SECONDS PROGRAM ARGUMENT...

Only what the kernel answers to this program differs, the machine's clock and its own: it is traced, a filter stops it
where it asks for the time, and the answer is written in the kernel's stead. The code that the kernel lends to programs,
with which they read the time by themselves, is hidden from it.
"""

import ctypes
import os
import signal
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)

# <linux/ptrace.h>
TRACEME, POKEUSER, CONT, GETREGS, SETOPTIONS = 0, 6, 7, 12, 0x4200
EVENT_EXEC, EVENT_SECCOMP = 4, 7
CLONE, EXEC, SECCOMP, EXITKILL = 1 << 3, 1 << EVENT_EXEC, 1 << EVENT_SECCOMP, 1 << 20
WALL = 0x40000000
# struct user_regs_struct of x86-64, by 8 bytes.
RBX, RAX, RCX, ORIG_RAX, RSP, REGISTERS = 5, 10, 11, 15, 19, 27
# <linux/prctl.h>, <linux/seccomp.h>, <linux/audit.h>
NO_NEW_PRIVS, SET_SECCOMP, MODE_FILTER = 38, 22, 2
ALLOW, TRACE = 0x7FFF0000, 0x7FF00000
ARCH_I386 = 0x40000003
# 32-bit x86's numbers of clock_gettime, by how it writes a time.
CALLS = {403: "<qq", 265: "<Ii"}
REALTIME = {time.CLOCK_REALTIME, 5}
AT_SYSINFO_EHDR = 33


def ptrace(request, pid, address=0, data=0):
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, pid, address, data) < 0 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


def stop_where_time_is_asked_for():
    """Installs the filter, in classic BPF: (code, jump if true, if false, value)."""
    load, equal, answer = 0x20, 0x15, 0x06
    known = [(equal, len(CALLS) - at, 0, number) for at, number in enumerate(CALLS)]
    steps = [(load, 0, 0, 4), (equal, 0, len(CALLS) + 1, ARCH_I386), (load, 0, 0, 0)]
    steps += [*known, (answer, 0, 0, ALLOW), (answer, 0, 0, TRACE)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    assert libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(SET_SECCOMP, MODE_FILTER, ctypes.c_char_p(program), 0, 0) == 0


def registers(pid):
    read = (ctypes.c_uint64 * REGISTERS)()
    ptrace(GETREGS, pid, 0, ctypes.addressof(read))
    return read


def hide_lent_code(pid):
    """Passes by arguments and environment on the stack to the auxiliary vector, pairs of 4 bytes."""
    at = registers(pid)[RSP]
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:

        def word(address):
            memory.seek(address)
            return struct.unpack("<I", memory.read(4))[0]

        at += 4 * (word(at) + 2)
        while word(at):
            at += 4
        at += 4
        while word(at) not in (0, AT_SYSINFO_EHDR):
            at += 8
        if word(at):
            memory.seek(at + 4)
            memory.write(bytes(4))


def answer(pid, ahead_seconds):
    """Answers a call for the time, unless it is for a clock that does not follow the calendar."""
    found = registers(pid)
    if found[RBX] not in REALTIME:
        return
    now = time.time_ns() + ahead_seconds * 10**9
    seconds, nanoseconds = divmod(now, 10**9)
    form = CALLS[found[ORIG_RAX]]
    if form == "<Ii":
        seconds &= 0xFFFFFFFF
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(found[RCX])
        memory.write(struct.pack(form, seconds, nanoseconds))
    # The kernel leaves out a call without a number. All registers at once it would take too, but then lose the thread's own
    # segment.
    ptrace(POKEUSER, pid, 8 * ORIG_RAX, 2**64 - 1)
    ptrace(POKEUSER, pid, 8 * RAX, 0)


def follow(main, ahead_seconds):
    """Lets the program run to its end; how it ended, as a shell would say it."""
    seen = {main}
    while True:
        pid, status = os.waitpid(-1, WALL)
        if not os.WIFSTOPPED(status):
            if pid == main:
                return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
            continue
        deliver = os.WSTOPSIG(status)
        event = status >> 16
        try:
            if event == EVENT_EXEC:
                hide_lent_code(pid)
            elif event == EVENT_SECCOMP:
                answer(pid, ahead_seconds)
            if event or (deliver == signal.SIGSTOP and pid not in seen):
                deliver = 0
            seen.add(pid)
            ptrace(CONT, pid, 0, deliver)
        except (ProcessLookupError, FileNotFoundError):
            # It was killed meanwhile.
            pass


def main():
    ahead_seconds, command = int(sys.argv[1]), sys.argv[2:]
    pid = os.fork()
    if pid == 0:
        ptrace(TRACEME, 0)
        stop_where_time_is_asked_for()
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(command[0], command)
    os.waitpid(pid, WALL)
    ptrace(SETOPTIONS, pid, 0, CLONE | EXEC | SECCOMP | EXITKILL)
    for passed_on in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(passed_on, lambda number, _: os.kill(pid, number))
    ptrace(CONT, pid)
    sys.exit(follow(pid, ahead_seconds))


if __name__ == "__main__":
    main()
