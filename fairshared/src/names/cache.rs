//! What was learnt, and how long it is good for. No I/O, no clock.

use std::collections::{BTreeMap, HashMap};

use super::lines::{Answer, Question};
use super::{NamesError, Outcome};

const SECOND: u64 = 1000;
/// How long an answer is taken as it is, in milliseconds.
pub(super) const FRESH: u64 = 300 * SECOND;
/// How long "there is no such user", or a fault, is taken as it is. It is also the time between
/// two tries to renew an old answer.
pub(super) const FRESH_WITHOUT: u64 = 10 * SECOND;
/// How long an old answer is given while no new one can be had.
pub(super) const KEPT: u64 = 24 * 3600 * SECOND;
/// Answers that are kept; the oldest goes first.
pub(super) const MAX_ANSWERS: usize = 16_384;

/// Answers by question.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Question, Entry>,
    /// Questions in the order in which their answers came.
    order: BTreeMap<u64, Question>,
    serial: u64,
}

#[derive(Debug)]
struct Entry {
    outcome: Outcome,
    /// When the name service said so.
    learnt: u64,
    /// Until when nothing is asked.
    good_until: u64,
    doubted: bool,
    serial: u64,
}

/// What the cache has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// To be taken as it is.
    Fresh(Outcome),
    /// To be taken, and asked anew.
    Old(Answer),
    /// To be asked anew, and taken where that fails.
    Doubted(Answer),
    /// Nothing.
    Nothing,
}

impl Cache {
    /// What is known at this moment.
    pub(super) fn look(&self, question: &Question, now: u64) -> Look {
        let Some(entry) = self.entries.get(question) else {
            return Look::Nothing;
        };
        let kept = entry.is_kept(now);
        match &entry.outcome {
            Ok(answer) if entry.doubted && kept => Look::Doubted(answer.clone()),
            _ if entry.doubted => Look::Nothing,
            outcome if now < entry.good_until => Look::Fresh(outcome.clone()),
            Ok(answer) if kept => Look::Old(answer.clone()),
            _ => Look::Nothing,
        }
    }

    /// Keeps what came of a question. A fault does not displace what is known. `overtaken` says
    /// that the question was put before everything was doubted.
    pub(super) fn keep(&mut self, question: Question, outcome: Outcome, now: u64, overtaken: bool) {
        if let Err(NamesError::Busy) = outcome {
            return;
        }
        if let Some(known) = self.entries.get_mut(&question)
            && known.is_kept(now)
            && (outcome.is_err() || overtaken)
        {
            if !overtaken {
                known.good_until = now.saturating_add(FRESH_WITHOUT);
                known.doubted = false;
            }
            return;
        }
        let found = outcome.as_ref().is_ok_and(Answer::is_found);
        let good_for = if found { FRESH } else { FRESH_WITHOUT };
        self.serial += 1;
        let entry = Entry {
            outcome,
            learnt: now,
            good_until: now.saturating_add(good_for),
            doubted: overtaken,
            serial: self.serial,
        };
        self.order.insert(self.serial, question.clone());
        if let Some(old) = self.entries.insert(question, entry) {
            self.order.remove(&old.serial);
        }
        if self.entries.len() > MAX_ANSWERS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }

    /// Takes nothing as it is any more.
    pub(super) fn doubt_all(&mut self) {
        for entry in self.entries.values_mut() {
            entry.doubted = true;
        }
    }
}

impl Entry {
    /// Whether it is an answer that may still be given, though old.
    fn is_kept(&self, now: u64) -> bool {
        self.outcome.as_ref().is_ok_and(Answer::is_found) && now < self.learnt.saturating_add(KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000_000;

    fn question(number: usize) -> Question {
        Question::Person(u32::try_from(number).unwrap())
    }

    fn cache_with(outcome: Outcome) -> Cache {
        let mut cache = Cache::default();
        cache.keep(question(1), outcome, START, false);
        cache
    }

    fn fault() -> Outcome {
        Err(NamesError::TimedOut)
    }

    #[test]
    fn an_answer_is_fresh_then_old_then_gone() {
        let cache = cache_with(Ok(Answer::Id(Some(7))));
        let look = |at| cache.look(&question(1), START + at);
        assert_eq!(look(FRESH - 1), Look::Fresh(Ok(Answer::Id(Some(7)))));
        assert_eq!(look(FRESH), Look::Old(Answer::Id(Some(7))));
        assert_eq!(look(KEPT - 1), Look::Old(Answer::Id(Some(7))));
        assert_eq!(look(KEPT), Look::Nothing);
        assert_eq!(cache.look(&question(2), START), Look::Nothing);
    }

    #[test]
    fn nobody_and_faults_are_asked_again_soon() {
        for outcome in [Ok(Answer::Id(None)), fault()] {
            let cache = cache_with(outcome.clone());
            let look = |at| cache.look(&question(1), START + at);
            assert_eq!(look(FRESH_WITHOUT - 1), Look::Fresh(outcome));
            assert_eq!(look(FRESH_WITHOUT), Look::Nothing);
        }
    }

    #[test]
    fn a_fault_takes_nothing_away_and_is_not_tried_at_every_look() {
        let mut cache = cache_with(Ok(Answer::Id(Some(7))));
        let tried = START + FRESH;
        cache.keep(question(1), fault(), tried, false);
        let known = Answer::Id(Some(7));
        assert_eq!(
            cache.look(&question(1), tried + FRESH_WITHOUT - 1),
            Look::Fresh(Ok(known.clone()))
        );
        assert_eq!(
            cache.look(&question(1), tried + FRESH_WITHOUT),
            Look::Old(known)
        );
        // A day after it was learnt, not after it was last tried.
        cache.keep(question(1), fault(), START + KEPT - 1, false);
        cache.keep(question(1), fault(), START + KEPT, false);
        assert_eq!(cache.look(&question(1), START + KEPT), Look::Fresh(fault()));
    }

    #[test]
    fn a_new_answer_displaces_the_old_one() {
        let mut cache = cache_with(Ok(Answer::Id(Some(7))));
        for new in [Ok(Answer::Id(Some(8))), Ok(Answer::Id(None))] {
            cache.keep(question(1), new.clone(), START + FRESH, false);
            assert_eq!(cache.look(&question(1), START + FRESH), Look::Fresh(new));
        }
    }

    #[test]
    fn what_is_doubted_is_asked_anew_and_kept_for_a_fault() {
        let mut cache = cache_with(Ok(Answer::Id(Some(7))));
        cache.keep(question(2), fault(), START, false);
        cache.doubt_all();
        let known = Answer::Id(Some(7));
        assert_eq!(
            cache.look(&question(1), START),
            Look::Doubted(known.clone())
        );
        assert_eq!(cache.look(&question(2), START), Look::Nothing);

        // The answer to a question from before settles no doubt.
        cache.keep(question(1), Ok(Answer::Id(Some(8))), START, true);
        assert_eq!(
            cache.look(&question(1), START),
            Look::Doubted(known.clone())
        );
        cache.keep(question(3), Ok(Answer::Id(Some(9))), START, true);
        assert_eq!(
            cache.look(&question(3), START),
            Look::Doubted(Answer::Id(Some(9)))
        );

        cache.keep(question(1), fault(), START, false);
        assert_eq!(cache.look(&question(1), START), Look::Fresh(Ok(known)));
    }

    #[test]
    fn the_oldest_answer_goes_first() {
        let mut cache = Cache::default();
        for number in 0..MAX_ANSWERS {
            cache.keep(question(number), Ok(Answer::Id(Some(1))), START, false);
        }
        // Asked anew, so no longer the oldest.
        cache.keep(question(0), Ok(Answer::Id(Some(2))), START, false);
        cache.keep(question(MAX_ANSWERS), Ok(Answer::Id(Some(1))), START, false);
        assert_eq!(cache.entries.len(), MAX_ANSWERS);
        assert_eq!(cache.order.len(), MAX_ANSWERS);
        assert_ne!(cache.look(&question(0), START), Look::Nothing);
        assert_eq!(cache.look(&question(1), START), Look::Nothing);
    }
}
