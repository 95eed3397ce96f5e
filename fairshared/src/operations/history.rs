//! What was used over time: looked at now and then, kept, and shown when asked.

use fairshare_protocol::{Reply, Report, ReportInfo};

use super::Operations;
use crate::authorise::Caller;
use crate::enforcement::Enforcement;

impl<E: Enforcement> Operations<E> {
    /// `report`.
    #[expect(
        clippy::unused_async,
        reason = "the keeper of the history is asked and answers"
    )]
    pub(crate) async fn report(&self, asked: Report, caller: &Caller) -> Reply {
        let _ = caller;
        Reply::ReportInfo(ReportInfo {
            by: asked.by,
            ..ReportInfo::default()
        })
    }
}
