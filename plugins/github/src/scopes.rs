//! What scopes of OAuth and classic tokens contain: "Scopes for OAuth apps".

use crate::requirement::Access;

/// Scopes, each with those that it contains.
const CONTAINED: &[(&str, &[&str])] = &[
    ("repo", &["repo:status", "repo_deployment", "public_repo", "repo:invite", "security_events", "admin:repo_hook"]),
    ("admin:repo_hook", &["write:repo_hook"]),
    ("write:repo_hook", &["read:repo_hook"]),
    ("admin:org", &["write:org", "manage_runners:org"]),
    ("write:org", &["read:org"]),
    ("admin:public_key", &["write:public_key"]),
    ("write:public_key", &["read:public_key"]),
    ("admin:ssh_signing_key", &["write:ssh_signing_key"]),
    ("write:ssh_signing_key", &["read:ssh_signing_key"]),
    ("admin:gpg_key", &["write:gpg_key"]),
    ("write:gpg_key", &["read:gpg_key"]),
    ("admin:enterprise", &["manage_runners:enterprise", "manage_billing:enterprise", "read:enterprise"]),
    ("user", &["read:user", "user:email", "user:follow"]),
    ("project", &["read:project"]),
    ("write:packages", &["read:packages"]),
    ("write:discussion", &["read:discussion"]),
    ("write:network_configurations", &["read:network_configurations"]),
    ("audit_log", &["read:audit_log"]),
    ("codespace", &["codespace:secrets"]),
];

/// Whether granted scopes hold one, by themselves or within another.
pub(crate) fn hold(granted: &[String], wanted: &str) -> bool {
    let within = CONTAINED.iter().filter(|(_, contained)| contained.contains(&wanted));
    granted.iter().any(|scope| scope == wanted) || within.into_iter().any(|(outer, _)| hold(granted, outer))
}

/// The scope that stands for a permission; none where everyone may.
pub(crate) fn standing_for(permission: &str, access: Access, private: bool) -> Option<&'static str> {
    match (permission, access) {
        ("workflows", _) => Some("workflow"),
        ("packages", Access::Read) => Some("read:packages"),
        ("packages", _) => Some("write:packages"),
        ("organization_hooks", _) => Some("admin:org_hook"),
        ("members", Access::Read) => Some("read:org"),
        ("members", _) => Some("write:org"),
        (name, _) if name.starts_with("organization_") => Some("admin:org"),
        _ if private => Some("repo"),
        (_, Access::Read) => None,
        _ => Some("public_repo"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_hold_what_is_within_them() {
        let check = |granted: &[&str], wanted: &str, expect: bool| {
            let granted: Vec<String> = granted.iter().map(|scope| (*scope).to_owned()).collect();
            assert_eq!(hold(&granted, wanted), expect, "{granted:?} {wanted}");
        };
        check(&["repo"], "public_repo", true);
        check(&["public_repo"], "repo", false);
        check(&["admin:org"], "read:org", true);
        check(&["repo"], "read:repo_hook", true);
        check(&["repo", "workflow"], "read:org", false);
        check(&[], "gist", false);
    }
}
