use std::borrow::Cow;
use std::collections::BTreeMap;

use lineman_model::{CheckInfo, Level, Skip, SkipReason};

use crate::Writes;
use crate::plan::{INPUTS, PLUGIN};

/// Which checks a run is asked for. Empty, it asks for all of them.
///
/// A check is named by its id, or by a pattern in which `*` stands for anything: `aws/*`,
/// `*/reach`. What a wanted check needs runs with it, wanted or not, unless `skip` names it.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these, and what they need. Integrations to whose plugin none of these belong are left
    /// out of the run.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// Nothing above this level, but for what a check up to it needs.
    pub level: Option<Level>,
    /// What single integrations are asked for in place of `only`, by their names: ids of checks that
    /// they are known to have.
    pub only_of: BTreeMap<String, Vec<String>>,
}

/// A selection that makes no sense. Nothing ran.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A word that names no check of the plugins in use.
    #[error("no check is called `{pattern}`{}", or_nearest(nearest))]
    UnknownCheck {
        /// The word.
        pattern: String,
        /// Ids that look like it, the most alike first.
        nearest: Vec<String>,
    },
    /// A check that is not the user's to choose.
    #[error("`{pattern}` always runs; it cannot be chosen or skipped")]
    AlwaysRuns {
        /// The check's id.
        pattern: String,
    },
}

fn or_nearest(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        ids => format!("; did you mean {}?", ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" or ")),
    }
}

impl Selection {
    /// The selection as it is for one integration.
    pub(crate) fn of(&self, integration: &str) -> Cow<'_, Selection> {
        match self.only_of.get(integration) {
            Some(only) => Cow::Owned(Selection { only: only.clone(), only_of: BTreeMap::new(), ..self.clone() }),
            None => Cow::Borrowed(self),
        }
    }

    /// Refuses words that name no check. `known` are the ids of all checks; what a plugin without
    /// a description would have declared cannot be known, so `unread` providers are believed.
    pub(crate) fn validate(&self, known: &[&str], unread: &[&str]) -> Result<(), PlanError> {
        for pattern in self.only.iter().chain(&self.skip) {
            if pattern == INPUTS || pattern == PLUGIN {
                return Err(PlanError::AlwaysRuns { pattern: pattern.clone() });
            }
            let names_one = known.iter().any(|id| matches(pattern, id));
            if !names_one && !unread.iter().any(|provider| may_concern(pattern, provider)) {
                return Err(PlanError::UnknownCheck { pattern: pattern.clone(), nearest: nearest(pattern, known) });
            }
        }
        Ok(())
    }

    /// Whether the selection asks for anything of a provider whose checks are not known.
    pub(crate) fn may_want(&self, provider: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|pattern| may_concern(pattern, provider))
    }

    /// Whether the selection asks for any of these checks.
    pub(crate) fn wants_any(&self, checks: &[CheckInfo]) -> bool {
        self.only.is_empty() || checks.iter().any(|check| names(&self.only, check))
    }

    /// Whether a check is asked for by name.
    pub(crate) fn names(&self, check: &CheckInfo) -> bool {
        names(&self.only, check)
    }

    /// For each check, why it is left out, or nothing when it runs.
    pub(crate) fn apply(&self, checks: &[CheckInfo], writes: &Writes) -> Vec<Option<Skip>> {
        let barred = |check: &CheckInfo| self.barred(check, writes);
        let mut left_out: Vec<_> = checks.iter().map(|check| barred(check).or_else(|| self.unasked(check))).collect();
        let mut open: Vec<usize> = (0..checks.len()).filter(|&at| left_out[at].is_none()).collect();
        while let Some(at) = open.pop() {
            for need in checks[at].needs.iter().filter_map(|need| position(checks, need)) {
                if left_out[need].is_some() && barred(&checks[need]).is_none() {
                    left_out[need] = None;
                    open.push(need);
                }
            }
        }
        left_out
    }

    /// Why a check does not run even where another one needs it.
    fn barred(&self, check: &CheckInfo, writes: &Writes) -> Option<Skip> {
        if names(&self.skip, check) {
            return Some(not_requested("it was asked to be skipped"));
        }
        match writes {
            _ if !check.writes => None,
            Writes::Named(named) if named.contains(&check.id) => None,
            Writes::Named(_) => Some(not_requested("it writes at the provider, and `allow_writes` does not name it")),
            Writes::Denied => Some(Skip {
                reason: SkipReason::Policy,
                blocked_by: None,
                why: Some("it writes at the provider, which `policy.deny_writes` forbids".to_owned()),
            }),
        }
    }

    /// Why a check does not run unless another one needs it.
    fn unasked(&self, check: &CheckInfo) -> Option<Skip> {
        if !self.only.is_empty() && !names(&self.only, check) {
            Some(not_requested("other checks were asked for"))
        } else if self.level.is_some_and(|level| check.level > level) {
            Some(not_requested("the run was asked to stop at a lower level"))
        } else {
            None
        }
    }
}

fn not_requested(why: &str) -> Skip {
    Skip { reason: SkipReason::NotRequested, blocked_by: None, why: Some(why.to_owned()) }
}

pub(crate) fn position(checks: &[CheckInfo], id: &str) -> Option<usize> {
    checks.iter().position(|check| check.id == id)
}

fn names(patterns: &[String], check: &CheckInfo) -> bool {
    patterns.iter().any(|pattern| matches(pattern, &check.id))
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    text.strip_prefix(head).is_some_and(|text| {
        text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| matches(rest, &text[at..]))
    })
}

fn may_concern(pattern: &str, provider: &str) -> bool {
    matches(pattern.split_once('/').map_or(pattern, |(plugin, _)| plugin), provider)
}

fn nearest(pattern: &str, known: &[&str]) -> Vec<String> {
    let likeness = |id: &str| {
        let name = id.rsplit('/').next().unwrap_or(id);
        strsim::normalized_damerau_levenshtein(pattern, id).max(strsim::normalized_damerau_levenshtein(pattern, name))
    };
    let mut alike: Vec<_> =
        known.iter().map(|id| (likeness(id), *id)).filter(|(likeness, _)| *likeness >= 0.5).collect();
    alike.sort_by(|(a, a_id), (b, b_id)| b.total_cmp(a).then(a_id.cmp(b_id)));
    alike.dedup();
    alike.into_iter().take(3).map(|(_, id)| id.to_owned()).collect()
}
