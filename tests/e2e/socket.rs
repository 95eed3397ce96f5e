//! Wrong input on the socket: a clear error or a closed connection, never a crash, and the next
//! client is served.

use std::time::Duration;

use fairshare_tests::Machine;

use crate::harness::Outcome;
use crate::kernel::{POLICY, put_policy};

/// Sends each faulty input on a connection of its own, prints what came back, and asks for the
/// status on another connection after each.
const FAULTS: &str = r#"
import json, os, socket
def connect():
    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect("/run/fairshare.sock")
    return s
def talk(data, end=False):
    s = connect()
    try:
        s.sendall(data)
        if end: s.shutdown(socket.SHUT_WR)
        return s.makefile("rb").readline()
    except (BrokenPipeError, ConnectionResetError):
        return b""
faults = {
    "too long": (b"x" * 200_000 + b"\n", "line_too_long"),
    "no newline": (b'{"type": "status"}', "bad_request"),
    "not UTF-8": (b'{"type": "\xff\xfe"}\n', "bad_request"),
    "nested": (b"[" * 10_000 + b"]" * 10_000 + b"\n", "bad_request"),
    "nested objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n", "bad_request"),
    "unknown type": (b'{"type": "reboot"}\n', "unknown_type"),
    "no type": (b'{"cpu": 1}\n', "bad_request"),
    "empty": (b"\n", "bad_request"),
    "NaN": (b'{"type": "resize", "cpu": NaN}\n', "bad_request"),
    "infinite": (b'{"type": "resize", "cpu": 1e999}\n', "bad_request"),
    "huge": (b'{"type": "resize", "cpu": 1e300}\n', "invalid_value"),
    "negative": (b'{"type": "resize", "cpu": -1}\n', "invalid_value"),
    "zero": (b'{"type": "resize", "mem": "0"}\n', "below_default"),
    "many tasks": (b'{"type": "resize", "tasks": 99999999999999999999}\n', "invalid_value"),
    "much memory": (b'{"type": "resize", "mem": "20000000T"}\n', "invalid_value"),
    "open for bob": (b'{"type": "open_session", "uid": 1001, "pid": %d}\n' % os.getpid(),
                     "not_permitted"),
    "close": (b'{"type": "close_session", "session": 1}\n', "not_permitted"),
}
for name, (data, code) in faults.items():
    reply = talk(data, end=name == "no newline")
    answer = json.loads(reply) if reply else {}
    ok = answer.get("type") == "error" and answer.get("code") == code
    # A line that is too long may find the connection closed instead.
    ok = ok or (name == "too long" and not reply)
    after = json.loads(talk(b'{"type": "status"}\n'))
    ok = ok and after.get("type") == "status_info"
    print("ok" if ok else "WRONG", name, reply[:200], "" if ok else after)
# On one connection, after a fault, the connection goes on.
s = connect(); f = s.makefile("rwb")
f.write(b'nonsense\n{"type": "status"}\n'); f.flush()
print("ok" if b"error" in f.readline() and b"status_info" in f.readline() else "WRONG", "goes on")
"#;

/// Floods as a user may: many connections, many requests, half lines.
const FLOOD: &str = r#"
import json, socket
def connect():
    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect("/run/fairshare.sock")
    return s
held = [connect() for _ in range(200)]
codes = set()
for s in held:
    s.setblocking(False)
    try: codes.add(json.loads(s.recv(4096) or b'{"code": "closed"}').get("code"))
    except (BlockingIOError, ConnectionResetError): pass
print("connections", sorted(codes))
for s in held: s.close()
"#;

const TOO_FAST: &str = r#"
import json, socket, time
time.sleep(6)
s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect("/run/fairshare.sock")
f = s.makefile("rwb")
for _ in range(600): f.write(b'{"type": "status"}\n')
f.flush()
codes = [json.loads(f.readline()).get("code") for _ in range(600)]
print("requests", codes.count("rate_limited") > 0, codes.count(None) >= 200)
"#;

/// Each fault gets its error, and the daemon is the same process afterwards.
pub(crate) fn faulty_input_gets_an_error(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let before = machine.daemon_pid()?;
    let mut session = machine
        .ssh("alice")
        .bound(Duration::from_secs(120))
        .open()?;
    let output = session
        .run(&format!("python3 - <<'END'{FAULTS}END"))?
        .ok()?;
    assert!(!output.stdout.contains("WRONG"), "{output}");
    assert_eq!(
        output
            .stdout
            .lines()
            .filter(|line| line.starts_with("ok "))
            .count(),
        18,
        "{output}"
    );
    assert_eq!(machine.daemon_pid()?, before, "the daemon was restarted");
    session.close()?;
    Ok(())
}

/// What one user takes of the daemon has an end, and others are served meanwhile.
pub(crate) fn a_flood_shuts_nobody_out(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let before = machine.daemon_pid()?;
    let mut alice = machine
        .ssh("alice")
        .bound(Duration::from_secs(120))
        .open()?;
    let output = alice.run(&format!("python3 - <<'END'{FLOOD}END"))?.ok()?;
    assert!(output.stdout.contains("busy"), "{output}");
    let output = alice
        .run(&format!("python3 - <<'END'{TOO_FAST}END"))?
        .ok()?;
    assert_eq!(output.text(), "requests True True", "{output}");
    alice.type_line(
        "python3 -c 'import socket, time\n\
         held = []\n\
         for _ in range(500):\n\
         \x20   s = socket.socket(socket.AF_UNIX); s.connect(\"/run/fairshare.sock\")\n\
         \x20   s.sendall(b\"half a line\"); held.append(s)\n\
         print(\"flooding\", flush=True); time.sleep(300)' 2>&1",
    )?;
    alice.read_until("\n")?;
    let bob = machine
        .ssh("bob")
        .ok("fairshare status --json && echo $FAIRSHARE_MEMORY")?;
    assert!(bob.stdout.ends_with("300M\n"), "{bob}");
    assert_eq!(machine.daemon_pid()?, before, "the daemon was restarted");
    Ok(())
}
