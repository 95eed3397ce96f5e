# Contenders for the machine's CPUs, each a user of its own. Run by root; prints, for each number of
# contenders and each contender, how many there are, its weight, its quota in microseconds per
# 100 ms, and the CPU time in microseconds that it got while all of them wanted all they could get.
import os, signal, subprocess, sys, time

FIRST_UID, WINDOW, SETTLE = 2000, 4, 0.5
ROUNDS = [2, 3, 4, 8, 16]
# The allocations of the first ones; the others have the default.
LARGER = [2, 1.3, 1.05]
# Waits for its start, and then keeps two CPUs busy.
SPIN = "kill -STOP $$; (while :; do :; done) & while :; do :; done"


def read(uid, file):
    with open(f"/sys/fs/cgroup/user.slice/user-{uid}.slice/{file}") as opened:
        return opened.read()


def usage(uid):
    return int(read(uid, "cpu.stat").split()[1])


def as_user(uid, *command):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *command]


contenders = {}
try:
    for uid in range(FIRST_UID, FIRST_UID + ROUNDS[-1]):
        process = subprocess.Popen(as_user(uid, "sh", "-c", SPIN), start_new_session=True)
        contenders[uid] = process
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        opened = ["--uid", str(uid), "--pid", str(process.pid)]
        subprocess.run(["fairshare", "session", "open", *opened], check=True, stdout=sys.stderr)
    for uid, cpus in zip(contenders, LARGER):
        resize = as_user(uid, "fairshare", "resize", "--cpu", str(cpus))
        subprocess.run(resize, check=True, stdout=sys.stderr)
    running = 0
    for count in ROUNDS:
        uids = list(contenders)[:count]
        for uid in uids[running:]:
            os.killpg(contenders[uid].pid, signal.SIGCONT)
        running = count
        time.sleep(SETTLE)
        before = [usage(uid) for uid in uids]
        time.sleep(WINDOW)
        after = [usage(uid) for uid in uids]
        for uid, begin, end in zip(uids, before, after):
            weight, quota = read(uid, "cpu.weight").strip(), read(uid, "cpu.max").split()[0]
            print(count, weight, quota, end - begin)
finally:
    for process in contenders.values():
        os.killpg(process.pid, signal.SIGKILL)
