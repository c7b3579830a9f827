#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""look.py SECRETS ALLOWED COMMAND...: run a command, stop every process that it forks at every kind of system call and at
its end, and look for secrets in its memory.  SECRETS and ALLOWED (for children; may be "-") are lists of secret key files,
of master keys and of codes (NAME.code), separated by colons.  Ends with 0 when no child had a secret that it may not have, with 3 when one had, with 4 when the
program itself never had one, so that nothing was tried; prints how many children were looked into."""
import base64, ctypes, os, platform, signal, sys

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
CONT, SYSCALL, SEIZE, EVENTMSG, INFO, LISTEN = 7, 24, 0x4206, 0x4201, 0x420e, 0x4208
SYSGOOD, FORK, VFORK, CLONE, EXIT, EXITKILL = 1, 2, 4, 8, 0x40, 0x100000
EV_FORK, EV_VFORK, EV_CLONE, EV_EXIT, EV_STOP = 1, 2, 3, 6, 128
SETPGID = {"x86_64": 109, "aarch64": 154}.get(platform.machine())


def ptrace(request, pid, addr=0, data=0):
    return libc.ptrace(request, pid, addr, data)


def secret_of(path):
    with open(path, "rb") as f:
        text = f.read()
    if len(text) == 32:
        return text
    if path.endswith(".code"):
        return text.strip()
    return base64.b64decode(text.split(b"\n")[1])[62:94]


def memory(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            span, may = line.split()[:2]
            if may[0] != "r" or "[v" in line or (may[1] != "w" and "/" in line):
                continue
            a, b = (int(x, 16) for x in span.split("-"))
            try:
                mem.seek(a)
                yield mem.read(b - a)
            except OSError:
                pass


def found(pid, secrets):
    return {name for part in memory(pid) for name, s in secrets.items() if s in part}


def main():
    if SETPGID is None:
        print("an unknown kind of machine")
        return 77
    secrets = {p: secret_of(p) for p in sys.argv[1].split(":")}
    allowed = set(sys.argv[2].split(":"))
    root = os.fork()
    if root == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execvp(sys.argv[3], sys.argv[3:])
    os.waitpid(root, os.WUNTRACED)
    if ptrace(SEIZE, root, 0, SYSGOOD | FORK | VFORK | CLONE | EXIT | EXITKILL) != 0:
        print("cannot trace")
        return 77
    os.kill(root, signal.SIGCONT)
    child, looked, bad, confined, held, status_root = {}, set(), set(), set(), set(), 1
    info = ctypes.create_string_buffer(256)

    def look(pid):
        if pid not in looked or len(held) == 0:
            held.update(found(root, secrets))
        looked.add(pid)
        bad.update((pid, name) for name in found(pid, secrets) - allowed)
        if "Seccomp:\t2" in open(f"/proc/{pid}/status").read():
            confined.add(pid)

    while True:
        try:
            pid, status = os.waitpid(-1, 0x40000000)
        except ChildProcessError:
            break
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if pid == root:
                status_root = os.waitstatus_to_exitcode(status)
            child.pop(pid, None)
            continue
        sig, event, pass_on = os.WSTOPSIG(status), status >> 16, 0
        if event in (EV_FORK, EV_VFORK):
            told = ctypes.c_ulong()
            ptrace(EVENTMSG, pid, 0, ctypes.addressof(told))
            child[told.value] = None
        elif event == EV_EXIT:
            if child.get(pid) is not None:
                look(pid)
        elif event == 0 and sig == signal.SIGTRAP | 0x80:
            n = ptrace(INFO, pid, len(info), ctypes.addressof(info))
            nr = int.from_bytes(info[24:32], "little") if n > 0 and info[0] == b"\1" else None
            if nr is not None and pid in child:
                if child[pid] is None and nr == SETPGID:
                    child[pid] = set()  # its descriptors and its stack are its own now
                if child[pid] is not None and nr not in child[pid]:
                    child[pid].add(nr)
                    look(pid)
        elif event == 0:
            pass_on = sig
        ptrace(SYSCALL if pid in child else CONT, pid, 0, pass_on)
    print(f"looked into {len(looked)} children, {len(confined)} confined; held by the program: {sorted(held)}")
    for pid, name in sorted(bad):
        print(f"child {pid} has {name}")
    if status_root != 0:
        print(f"the command ended with {status_root}")
        return 1
    return 3 if bad else 0 if held and looked else 4


sys.exit(main())
