//! Whether a command that failed is run again, and when.

use std::time::Duration;

/// The longest pause that is chosen here.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest that a provider may have us wait: who asks for more is better asked tomorrow.
const MOST_ASKED: Duration = Duration::from_secs(15 * 60);

/// What is known of one cause of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// `<plugin>/<rule>`.
    pub(super) code: String,
    /// Whether the same again may succeed.
    pub(super) transient: bool,
    /// Whether the cause is more than possible.
    pub(super) sure: bool,
    /// How long the provider says to wait.
    pub(super) retry_after: Option<Duration>,
}

/// Whether to run it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// After a pause, and why.
    After(Duration, String),
    /// Not, and why, where somebody asked.
    Not(Option<String>),
}

/// How often a command is run again, and after which pauses.
pub(super) struct Patience {
    most: u32,
    made: u32,
    delay: Duration,
}

impl Patience {
    /// Up to so many times; the first pause is at most this long.
    pub(super) fn new(most: u32, delay: Duration) -> Patience {
        Patience { most, made: 0, delay }
    }

    /// Judges a failure by its causes.
    pub(super) fn judge(&mut self, causes: &[Known], interrupted: bool) -> Again {
        let obstacle = obstacle(causes);
        if self.most == 0 {
            let hint = obstacle.is_none() && !interrupted;
            return Again::Not(
                hint.then(|| "every cause found is transient: with `--retry N` it would be run again".to_owned()),
            );
        }
        let not = |why: &str| Again::Not(Some(format!("not run again: {why}")));
        if interrupted {
            return not("somebody ended it");
        }
        if let Some(obstacle) = obstacle {
            return not(&obstacle);
        }
        if self.made == self.most {
            return not(&format!("it failed {} times", self.made + 1));
        }
        let asked = causes.iter().filter_map(|cause| cause.retry_after).max();
        if let Some(asked) = asked.filter(|asked| *asked > MOST_ASKED) {
            return not(&format!("the provider asks to wait {}, which is too long", shown(asked)));
        }
        let pause = match asked {
            // Those who were sent away together are not to come back together.
            Some(asked) => asked + self.jitter().min(asked),
            None => self.jitter(),
        };
        self.made += 1;
        let mut codes: Vec<&str> = causes.iter().map(|cause| cause.code.as_str()).collect();
        codes.dedup();
        let asked = if asked.is_some() { ", as long as the provider asks" } else { "" };
        Again::After(
            pause,
            format!(
                "transient ({}), so again in {}{asked} ({} of {})",
                codes.join(", "),
                shown(pause),
                self.made,
                self.most
            ),
        )
    }

    /// Anything up to a ceiling that doubles: what is spread most evenly collides least.
    fn jitter(&self) -> Duration {
        let ceiling = self.delay.saturating_mul(1 << self.made.min(16)).min(LONGEST.max(self.delay));
        let milliseconds = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(fastrand::u64(..=milliseconds))
    }
}

/// Why running it again would be in vain, or would do harm.
fn obstacle(causes: &[Known]) -> Option<String> {
    if causes.is_empty() {
        return Some("nothing in its output is known to be transient".to_owned());
    }
    if let Some(lasting) = causes.iter().find(|cause| !cause.transient) {
        return Some(format!("{} is not transient", lasting.code));
    }
    let unsure = causes.iter().find(|cause| !cause.sure)?;
    Some(format!("{} is possible, and not sure", unsure.code))
}

fn shown(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(code: &str, transient: bool) -> Known {
        Known { code: code.to_owned(), transient, sure: true, retry_after: None }
    }

    fn after(seconds: u64) -> Known {
        Known { retry_after: Some(Duration::from_secs(seconds)), ..known("acme/throttled", true) }
    }

    /// Whether a command with these causes is run again, having been so before; why.
    fn check(causes: &[Known], made: u32, interrupted: bool, again: bool, says: &str) {
        let mut patience = Patience { most: 2, made, delay: Duration::from_secs(2) };
        let (is_again, why) = match patience.judge(causes, interrupted) {
            Again::After(_, why) => (true, why),
            Again::Not(why) => (false, why.unwrap_or_default()),
        };
        assert!(is_again == again && why.contains(says), "{causes:?}: {why}");
    }

    #[test]
    fn only_what_is_transient_throughout_is_run_again() {
        let throttled = known("acme/throttled", true);
        check(std::slice::from_ref(&throttled), 0, false, true, "(1 of 2)");
        check(&[throttled.clone(), known("acme/full", true)], 1, false, true, "acme/throttled, acme/full");
        check(std::slice::from_ref(&throttled), 2, false, false, "it failed 3 times");
        check(std::slice::from_ref(&throttled), 0, true, false, "somebody ended it");
        check(&[throttled.clone(), known("acme/denied", false)], 0, false, false, "acme/denied is not transient");
        check(&[Known { sure: false, ..throttled }], 0, false, false, "not sure");
        check(&[], 0, false, false, "nothing in its output");
    }

    #[test]
    fn a_pause_is_what_the_provider_asks_or_grows() {
        let pause = |causes: &[Known], made| {
            let mut patience = Patience { most: 100, made, delay: Duration::from_secs(2) };
            match patience.judge(causes, false) {
                Again::After(pause, _) => pause.as_secs_f64(),
                Again::Not(why) => panic!("{why:?}"),
            }
        };
        for (made, ceiling) in [(0, 2.0), (1, 4.0), (4, 32.0), (5, 60.0), (99, 60.0)] {
            let longest = (0..2000).map(|_| pause(&[known("acme/throttled", true)], made)).fold(0.0, f64::max);
            assert!(longest <= ceiling && longest > ceiling * 0.9, "{made}: {longest}");
            let asked = pause(&[after(7), after(3)], made);
            assert!((7.0..=14.0).contains(&asked), "{made}: {asked}");
        }
        check(&[after(3600)], 0, false, false, "asks to wait 60 min");
    }

    #[test]
    fn who_did_not_ask_is_told_when_it_would_help() {
        let judge = |transient, interrupted| {
            Patience::new(0, LONGEST).judge(&[known("acme/throttled", transient)], interrupted)
        };
        assert!(matches!(judge(true, false), Again::Not(Some(_))));
        assert_eq!(judge(true, true), Again::Not(None));
        assert_eq!(judge(false, false), Again::Not(None));
    }
}
