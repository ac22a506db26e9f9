use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;

use super::policy::{Grants, Statement};

/// An account with what is in it.
#[derive(Clone, Debug)]
pub struct Account {
    pub(super) id: String,
    pub(super) users: Vec<User>,
    pub(super) roles: Vec<Role>,
    pub(super) buckets: Vec<Bucket>,
    pub(super) identity_providers: Vec<(String, String)>,
    pub(super) service_control: Option<Vec<Statement>>,
    pub(super) opted_in: Vec<String>,
}

impl Account {
    /// An empty account with its twelve digits.
    pub fn new(id: impl Into<String>) -> Account {
        Account {
            id: id.into(),
            users: Vec::new(),
            roles: Vec::new(),
            buckets: Vec::new(),
            identity_providers: Vec::new(),
            service_control: None,
            opted_in: Vec::new(),
        }
    }

    /// Adds a user.
    pub fn user(mut self, user: User) -> Account {
        self.users.push(user);
        self
    }

    /// Adds a role.
    pub fn role(mut self, role: Role) -> Account {
        self.roles.push(role);
        self
    }

    /// Adds a bucket.
    pub fn bucket(mut self, bucket: Bucket) -> Account {
        self.buckets.push(bucket);
        self
    }

    /// Adds an OpenID Connect provider: its issuer's URL and the audience that it is for.
    pub fn identity_provider(mut self, issuer: impl Into<String>, audience: impl Into<String>) -> Account {
        self.identity_providers.push((issuer.into(), audience.into()));
        self
    }

    /// Puts service control policies above everything in the account; what they do not allow is
    /// denied.
    pub fn service_control(mut self, statements: impl IntoIterator<Item = Statement>) -> Account {
        self.service_control = Some(statements.into_iter().collect());
        self
    }

    /// Opts in to a region that is off by default.
    pub fn opt_in(mut self, region: impl Into<String>) -> Account {
        self.opted_in.push(region.into());
        self
    }
}

/// A user with long-lived access keys.
#[derive(Clone, Debug)]
pub struct User {
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) keys: Vec<AccessKey>,
    pub(super) grants: Grants,
}

impl User {
    /// A user without keys or permissions.
    pub fn new(name: impl Into<String>) -> User {
        User { name: name.into(), created: FOUNDED, keys: Vec::new(), grants: Grants::default() }
    }

    /// Adds an access key.
    pub fn key(mut self, key: AccessKey) -> User {
        self.keys.push(key);
        self
    }

    /// Attaches a managed policy.
    pub fn policy(mut self, name: impl Into<String>, statements: impl IntoIterator<Item = Statement>) -> User {
        self.grants.attach(name.into(), statements);
        self
    }

    /// Sets the permissions boundary.
    pub fn boundary(mut self, statements: impl IntoIterator<Item = Statement>) -> User {
        self.grants.boundary = Some(statements.into_iter().collect());
        self
    }
}

/// The age of everything that is not said to be younger: 1 January 2024.
const FOUNDED: Timestamp = Timestamp::constant(1_704_067_200, 0);

/// A long-lived access key.
#[derive(Clone, Debug)]
pub struct AccessKey {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) active: bool,
    pub(super) created: Timestamp,
    pub(super) last_used: Option<(Timestamp, String, String)>,
}

impl AccessKey {
    /// An active key, created on 1 January 2024 and never used.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> AccessKey {
        AccessKey { id: id.into(), secret: secret.into(), active: true, created: FOUNDED, last_used: None }
    }

    /// Disabled by its owner.
    pub fn inactive(mut self) -> AccessKey {
        self.active = false;
        self
    }

    /// When it was made.
    pub fn created(mut self, at: Timestamp) -> AccessKey {
        self.created = at;
        self
    }

    /// When, for which service and where it was last used.
    pub fn last_used(mut self, at: Timestamp, service: impl Into<String>, region: impl Into<String>) -> AccessKey {
        self.last_used = Some((at, service.into(), region.into()));
        self
    }
}

/// A role with those who may assume it.
#[derive(Clone, Debug)]
pub struct Role {
    pub(super) name: String,
    pub(super) trusted: Vec<String>,
    pub(super) federated: Vec<String>,
    pub(super) external_id: Option<String>,
    pub(super) max_session: i64,
    pub(super) created: Timestamp,
    pub(super) grants: Grants,
}

impl Role {
    /// A role that nobody may assume, for sessions of up to an hour.
    pub fn new(name: impl Into<String>) -> Role {
        Role {
            name: name.into(),
            trusted: Vec::new(),
            federated: Vec::new(),
            external_id: None,
            max_session: 3600,
            created: FOUNDED,
            grants: Grants::default(),
        }
    }

    /// Trusts a principal: the ARN of a user or role, an account's id or root ARN, or `*`.
    pub fn trusts(mut self, principal: impl Into<String>) -> Role {
        self.trusted.push(principal.into());
        self
    }

    /// Trusts the web identities of an issuer.
    pub fn trusts_issuer(mut self, issuer: impl Into<String>) -> Role {
        self.federated.push(issuer.into());
        self
    }

    /// Demands this external id of those who assume it.
    pub fn external_id(mut self, id: impl Into<String>) -> Role {
        self.external_id = Some(id.into());
        self
    }

    /// The longest session, in seconds (3,600 to 43,200).
    pub fn max_session(mut self, seconds: i64) -> Role {
        self.max_session = seconds;
        self
    }

    /// Attaches a managed policy.
    pub fn policy(mut self, name: impl Into<String>, statements: impl IntoIterator<Item = Statement>) -> Role {
        self.grants.attach(name.into(), statements);
        self
    }

    /// Sets the permissions boundary.
    pub fn boundary(mut self, statements: impl IntoIterator<Item = Statement>) -> Role {
        self.grants.boundary = Some(statements.into_iter().collect());
        self
    }
}

/// A bucket with objects that have a size and nothing else.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub(super) name: String,
    pub(super) region: String,
    pub(super) objects: Vec<(String, u64)>,
    pub(super) policy: Vec<Statement>,
}

impl Bucket {
    /// An empty bucket in a region.
    pub fn new(name: impl Into<String>, region: impl Into<String>) -> Bucket {
        Bucket { name: name.into(), region: region.into(), objects: Vec::new(), policy: Vec::new() }
    }

    /// Adds an object.
    pub fn object(mut self, key: impl Into<String>, size: u64) -> Bucket {
        self.objects.push((key.into(), size));
        self
    }

    /// Sets the bucket's policy; [`Statement::to`] says whom a statement is about.
    pub fn policy(mut self, statements: impl IntoIterator<Item = Statement>) -> Bucket {
        self.policy = statements.into_iter().collect();
        self
    }
}

/// A unique id as IAM gives them, the same for the same name: `AIDA…` for users, `AROA…` for roles.
pub(super) fn unique_id(prefix: &str, name: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut id = prefix.to_owned();
    for part in 0_u8..17 {
        let mut hasher = DefaultHasher::new();
        (part, name).hash(&mut hasher);
        id.push(char::from(LETTERS[usize::try_from(hasher.finish() % 32).unwrap_or_default()]));
    }
    id
}
