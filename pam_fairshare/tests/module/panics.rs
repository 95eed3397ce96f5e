//! A panic within the module, seen with a module that does nothing else.

use crate::login::{LOG_ERR, Login, SESSION_ERR, SUCCESS};

const FAULT: &str = "internal fault in the module";

#[test]
fn a_panic_ends_as_a_failure_does_and_prints_nothing() {
    for (args, user, open, consequence, messages) in [
        ("", "nobody", SUCCESS, "login goes on without limits", 0),
        (
            "on_failure=allow",
            "nobody",
            SUCCESS,
            "login goes on without limits",
            0,
        ),
        (
            "on_failure=deny",
            "nobody",
            SESSION_ERR,
            "login is refused",
            1,
        ),
        (
            "on_failure=deny",
            "root",
            SUCCESS,
            "login goes on without limits",
            0,
        ),
    ] {
        let report = Login::panicking(args).user(user).run();
        assert_eq!(report.codes("open"), [open], "{args} {user}");
        // libpam remembers a refusal and makes it the result of the close, whatever that says.
        if open == SUCCESS {
            assert_eq!(report.codes("close"), [SUCCESS], "{args} {user}");
        }
        assert_eq!(report.messages().len(), messages, "{args} {user}");
        let opened = format!("{FAULT}; {consequence}");
        let closed = format!("{FAULT}; the daemon closes the session when its leader ends");
        assert_eq!(
            report.log(),
            [(LOG_ERR, opened.as_str()), (LOG_ERR, closed.as_str())],
            "{args} {user}"
        );
    }
}

#[test]
fn panics_over_and_over_are_survived() {
    const ROUNDS: usize = 50;
    let report = Login::panicking("")
        .option(format!("rounds={ROUNDS}"))
        .run();
    assert_eq!(report.codes("open"), [SUCCESS; ROUNDS]);
    assert_eq!(report.codes("close"), [SUCCESS; ROUNDS]);
}
