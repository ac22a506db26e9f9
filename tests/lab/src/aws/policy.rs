use serde::Deserialize;

/// A statement of a policy: actions and resources, with the wildcards `*` and `?`.
///
/// Conditions are not evaluated by the lab; a document that has one is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    principals: Vec<String>,
}

impl Statement {
    /// Allows these actions on these resources.
    pub fn allow<const A: usize, const R: usize>(actions: [&str; A], resources: [&str; R]) -> Statement {
        Statement::new(true, &actions, &resources)
    }

    /// Denies these actions on these resources, whatever else allows them.
    pub fn deny<const A: usize, const R: usize>(actions: [&str; A], resources: [&str; R]) -> Statement {
        Statement::new(false, &actions, &resources)
    }

    /// For a bucket's policy: about this principal (an ARN, an account's id or `*`).
    pub fn to(mut self, principal: impl Into<String>) -> Statement {
        self.principals.push(principal.into());
        self
    }

    fn new(allows: bool, actions: &[&str], resources: &[&str]) -> Statement {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Statement { allows, actions: owned(actions), resources: owned(resources), principals: Vec::new() }
    }

    fn covers(&self, action: &str, resource: &str) -> bool {
        let action = action.to_ascii_lowercase();
        self.actions.iter().any(|pattern| like(&pattern.to_ascii_lowercase(), &action))
            && self.resources.iter().any(|pattern| like(pattern, resource))
    }
}

/// Whether a text fits a pattern with `*` and `?`.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&character) if character == '?' || character == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                // Lets the last star take one more character.
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|character| *character == '*')
}

/// What a user or role has been given, and what it is kept within.
#[derive(Clone, Debug, Default)]
pub(super) struct Grants {
    pub(super) attached: Vec<(String, Vec<Statement>)>,
    pub(super) boundary: Option<Vec<Statement>>,
}

impl Grants {
    pub(super) fn attach(&mut self, name: String, statements: impl IntoIterator<Item = Statement>) {
        self.attached.push((name, statements.into_iter().collect()));
    }
}

/// The layers that say something about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    ServiceControl,
    Resource,
    Identity,
    Boundary,
    Session,
}

/// Whether a request is allowed, and which layer decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed,
    /// A statement denies it.
    Denied(Layer),
    /// Nothing there allows it.
    NotAllowed(Layer),
}

impl Decision {
    /// The end of AWS's sentence about it.
    pub(super) fn reason(self, action: &str) -> String {
        match self {
            Decision::Allowed => String::new(),
            Decision::Denied(layer) => format!(" with an explicit deny in {}", layer.named()),
            Decision::NotAllowed(Layer::Boundary) => {
                format!(" because no permissions boundary allows the {action} action")
            }
            Decision::NotAllowed(layer) => {
                format!(" because no {} allows the {action} action", layer.words())
            }
        }
    }
}

impl Layer {
    fn words(self) -> &'static str {
        match self {
            Layer::ServiceControl => "service control policy",
            Layer::Resource => "resource-based policy",
            Layer::Identity => "identity-based policy",
            Layer::Boundary => "permissions boundary",
            Layer::Session => "session policy",
        }
    }

    fn named(self) -> String {
        format!("{} {}", if self == Layer::Identity { "an" } else { "a" }, self.words())
    }
}

/// Everything that has a say. Where a layer is `None` it says nothing.
#[derive(Clone, Copy)]
pub(super) struct Layers<'a> {
    pub(super) grants: &'a Grants,
    pub(super) service_control: Option<&'a [Statement]>,
    pub(super) session: Option<&'a [Statement]>,
    /// The policy of the resource and whether it is in the caller's own account.
    pub(super) resource: Option<(&'a [Statement], bool)>,
}

impl Layers<'_> {
    /// AWS's order: an explicit deny anywhere, then what each layer must allow.
    pub(super) fn decide(&self, caller: &[&str], action: &str, resource: &str) -> Decision {
        let identity: Vec<&Statement> = self.grants.attached.iter().flat_map(|(_, statements)| statements).collect();
        let of = |list: Option<&[Statement]>, allows: bool| {
            list.is_some_and(|list| list.iter().any(|s| s.allows == allows && s.covers(action, resource)))
        };
        let by_resource = |allows: bool| {
            self.resource.is_some_and(|(list, _)| {
                list.iter().any(|statement| {
                    let about = |principal: &String| principal == "*" || caller.contains(&principal.as_str());
                    statement.allows == allows
                        && statement.principals.iter().any(about)
                        && statement.covers(action, resource)
                })
            })
        };
        let by_identity = |allows: bool| identity.iter().any(|s| s.allows == allows && s.covers(action, resource));
        let boundary = self.grants.boundary.as_deref();
        let denied = [
            (Layer::ServiceControl, of(self.service_control, false)),
            (Layer::Resource, by_resource(false)),
            (Layer::Identity, by_identity(false)),
            (Layer::Boundary, of(boundary, false)),
            (Layer::Session, of(self.session, false)),
        ];
        if let Some((layer, _)) = denied.into_iter().find(|(_, denies)| *denies) {
            return Decision::Denied(layer);
        }
        if self.service_control.is_some() && !of(self.service_control, true) {
            return Decision::NotAllowed(Layer::ServiceControl);
        }
        // In another account, both sides must allow; at home, either will do.
        match self.resource {
            Some((_, false)) if !by_resource(true) => return Decision::NotAllowed(Layer::Resource),
            Some((_, true)) if by_resource(true) => return Decision::Allowed,
            _ => {}
        }
        let needed = [
            (Layer::Identity, by_identity(true)),
            (Layer::Boundary, boundary.is_none() || of(boundary, true)),
            (Layer::Session, self.session.is_none() || of(self.session, true)),
        ];
        let missing = needed.into_iter().find(|(_, allows)| !allows);
        missing.map_or(Decision::Allowed, |(layer, _)| Decision::NotAllowed(layer))
    }
}

/// Reads a session policy, a JSON document without principals or conditions.
pub(super) fn document(text: &str) -> Result<Vec<Statement>, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        One(T),
        Many(Vec<T>),
    }
    impl<T> OneOrMany<T> {
        fn list(self) -> Vec<T> {
            match self {
                OneOrMany::One(item) => vec![item],
                OneOrMany::Many(items) => items,
            }
        }
    }
    #[derive(Deserialize)]
    enum Effect {
        Allow,
        Deny,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Written {
        #[serde(rename = "Sid", default)]
        _sid: String,
        effect: Effect,
        action: OneOrMany<String>,
        resource: OneOrMany<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Document {
        #[serde(rename = "Version", default)]
        _version: String,
        statement: OneOrMany<Written>,
    }
    let document: Document = serde_json::from_str(text)?;
    let statement = |written: Written| Statement {
        allows: matches!(written.effect, Effect::Allow),
        actions: written.action.list(),
        resources: written.resource.list(),
        principals: Vec::new(),
    };
    Ok(document.statement.list().into_iter().map(statement).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_those_of_policies() {
        #[track_caller]
        fn check(pattern: &str, text: &str, expect: bool) {
            assert_eq!(like(pattern, text), expect, "{pattern} {text}");
        }
        check("*", "", true);
        check("s3:Get*", "s3:GetObject", true);
        check("s3:*Object", "s3:GetObjectAcl", false);
        check("arn:aws:s3:::state/*/a?", "arn:aws:s3:::state/x/y/ab", true);
        check("arn:aws:s3:::state", "arn:aws:s3:::state/x", false);
    }

    #[test]
    fn an_explicit_deny_wins_and_every_layer_must_allow() {
        let own = "arn:aws:iam::111111111111:user/amy";
        let check = |layers: Layers<'_>, expect: Decision| {
            assert_eq!(layers.decide(&[own, "111111111111"], "s3:ListBucket", "arn:aws:s3:::state"), expect);
        };
        let everything = [Statement::allow(["*"], ["*"])];
        let nothing = [Statement::allow(["ec2:*"], ["*"])];
        let deny = [Statement::deny(["S3:List*"], ["*"])];
        let mut grants = Grants::default();
        grants.attach("all".to_owned(), everything.clone());
        let open = Layers { grants: &grants, service_control: None, session: None, resource: None };
        check(open, Decision::Allowed);
        check(Layers { service_control: Some(&deny), ..open }, Decision::Denied(Layer::ServiceControl));
        check(Layers { service_control: Some(&nothing), ..open }, Decision::NotAllowed(Layer::ServiceControl));
        check(Layers { session: Some(&nothing), ..open }, Decision::NotAllowed(Layer::Session));
        check(Layers { grants: &Grants::default(), ..open }, Decision::NotAllowed(Layer::Identity));
        let bounded = Grants { boundary: Some(nothing.to_vec()), ..grants.clone() };
        check(Layers { grants: &bounded, ..open }, Decision::NotAllowed(Layer::Boundary));

        let for_amy = [Statement::allow(["s3:*"], ["*"]).to(own)];
        let against_amy = [Statement::deny(["s3:*"], ["*"]).to(own)];
        check(Layers { grants: &Grants::default(), resource: Some((&for_amy, true)), ..open }, Decision::Allowed);
        check(Layers { resource: Some((&against_amy, true)), ..open }, Decision::Denied(Layer::Resource));
        check(Layers { resource: Some((&[], false)), ..open }, Decision::NotAllowed(Layer::Resource));
        check(Layers { resource: Some((&for_amy, false)), ..open }, Decision::Allowed);
    }

    #[test]
    fn a_session_policy_is_read_or_refused() {
        let read =
            document(r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":["*"]}}"#);
        assert_eq!(read.unwrap(), [Statement::allow(["s3:*"], ["*"])]);
        let with_condition = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}]}"#;
        assert!(document(with_condition).is_err());
    }
}
