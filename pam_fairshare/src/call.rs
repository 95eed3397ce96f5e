//! What libpam passed to an entry point, and what that may do with it.

use std::ffi::{CStr, CString, c_int};
use std::fmt;
use std::io::Write;

use fairshare_protocol::printable;
use pam::constants::{
    PAM_ERROR_MSG, PAM_SILENT, PAM_TEXT_INFO, PamFlag, PamMessageStyle, PamResultCode,
};
use pam::conv::Conv;
use pam::items::{Service, User};
use pam::module::PamHandle;

use crate::ffi::{self, Args, Received};

/// The user who is let through before anything is asked. Other names of UID 0 are recognised too,
/// but only behind a lookup.
const ROOT: &CStr = c"root";

/// The longest line for the log, in characters. What a daemon or a user's name brings in beyond it
/// is cut.
const LONGEST_LINE: usize = 512;

/// The longest line that the user is shown, in characters. It may break on a terminal, once or
/// twice.
const LONGEST_NOTICE: usize = 256;

/// The longest line about a fault, in bytes.
const SHORT_LINE: usize = 160;

/// How much a line in the log matters, as `syslog(3)` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    Error,
    Warning,
    Notice,
    Debug,
}

impl Priority {
    fn number(self) -> c_int {
        libc::LOG_AUTHPRIV
            | match self {
                Self::Error => libc::LOG_ERR,
                Self::Warning => libc::LOG_WARNING,
                Self::Notice => libc::LOG_NOTICE,
                Self::Debug => libc::LOG_DEBUG,
            }
    }
}

/// One call of an entry point.
pub(crate) struct Call<'a> {
    handle: &'a mut PamHandle,
    flags: PamFlag,
    args: Args<'a>,
}

impl<'a> Call<'a> {
    /// A call with these flags, as libpam passes them.
    pub(crate) fn new(received: Received<'a>, flags: c_int) -> Self {
        let Received { handle, args } = received;
        Self {
            handle,
            flags: flags.cast_unsigned(),
            args,
        }
    }

    /// The arguments of the module's line.
    pub(crate) fn args(&self) -> impl Iterator<Item = &'a CStr> + use<'a> {
        self.args.iter()
    }

    /// The user who logs in, where the host has said so. Never asks for a name.
    pub(crate) fn user(&self) -> Option<&CStr> {
        let user: Option<User<'_>> = self.handle.get_item().ok().flatten();
        user.map(|user| user.0)
    }

    /// Whether the user is `root` by name. Allocates nothing and asks nobody.
    pub(crate) fn user_is_root(&self) -> bool {
        self.user() == Some(ROOT)
    }

    /// The service that opens the session.
    pub(crate) fn service(&self) -> Option<&CStr> {
        let service: Option<Service<'_>> = self.handle.get_item().ok().flatten();
        service.map(|service| service.0)
    }

    /// Writes a line to the system log, cut and without control characters. libpam puts the
    /// module's and the service's name before it.
    pub(crate) fn log(&self, priority: Priority, line: &str) {
        let line: String = printable(line).chars().take(LONGEST_LINE).collect();
        // No NUL is left in it.
        if let Ok(line) = CString::new(line) {
            ffi::syslog(self.handle, priority.number(), &line);
        }
    }

    /// As [`Call::log`], for when something is wrong with the process itself: allocates nothing on
    /// this side of libpam, and takes only words of the module's own, which need no cleaning. What
    /// is longer than [`SHORT_LINE`] is cut.
    pub(crate) fn log_fault(&self, priority: Priority, line: fmt::Arguments<'_>) {
        let mut bytes = [0_u8; SHORT_LINE + 1];
        if let Some((_, mut room)) = bytes.split_last_mut() {
            // An error says that it was cut.
            let _ = room.write_fmt(line);
        }
        if let Ok(line) = CStr::from_bytes_until_nul(&bytes) {
            ffi::syslog(self.handle, priority.number(), line);
        }
    }

    /// Sets a variable in the environment that the host hands to the session.
    pub(crate) fn put_env(&mut self, name: &str, value: &str) -> Result<(), PamResultCode> {
        let pair = CString::new(format!("{name}={value}"));
        let pair = pair.map_err(|_| PamResultCode::PAM_BUF_ERR)?;
        match PamResultCode::try_from(ffi::put_env(self.handle, &pair)) {
            Ok(PamResultCode::PAM_SUCCESS) => Ok(()),
            Ok(code) => Err(code),
            Err(_) => Err(PamResultCode::PAM_SYSTEM_ERR),
        }
    }

    /// Whether the session's environment has the variable already. A name that can be none counts as
    /// one that is there: it is left alone.
    pub(crate) fn has_env(&mut self, name: &str) -> bool {
        CString::new(name).map_or(true, |name| ffi::has_env(self.handle, &name))
    }

    /// Keeps a session's number in the handle, for the close.
    pub(crate) fn remember(&mut self, session: u64) -> Result<(), PamResultCode> {
        ffi::remember(self.handle, session)
    }

    /// The session that was remembered, once: where the line stands twice in a stack, the session
    /// is closed by the first.
    pub(crate) fn take_remembered(&mut self) -> Option<u64> {
        ffi::take_remembered(self.handle)
    }

    /// Whether the host lets its modules speak to the user.
    pub(crate) fn may_inform(&self) -> bool {
        self.flags & PAM_SILENT == 0
    }

    /// Tells the user why they are refused, by the host's conversation.
    pub(crate) fn tell(&self, sentence: &str) {
        self.show(PAM_ERROR_MSG, sentence);
    }

    /// Tells the user something by the host's conversation: one line, cut and without control
    /// characters.
    pub(crate) fn inform(&self, line: &str) {
        let line: String = printable(line).chars().take(LONGEST_NOTICE).collect();
        self.show(PAM_TEXT_INFO, &line);
    }

    /// Shows the user a sentence, unless the host asked for silence. A host that has no conversation,
    /// or fails at it, shows nothing.
    fn show(&self, style: PamMessageStyle, sentence: &str) {
        if !self.may_inform() {
            return;
        }
        let conversation: Option<Conv<'_>> = self.handle.get_item().ok().flatten();
        if let Some(conversation) = conversation {
            let _ = conversation.send(style, sentence);
        }
    }
}
