//! What follows from what.

use crate::scripted::{Stage, assert_lines};

/// Compares the groups of a run, one line each: cause, integrations, findings.
async fn check(integrations: &[(&str, &str)], expected: &str) {
    let report = Stage::new(integrations.iter().copied()).report().await;
    let groups = report
        .causes
        .iter()
        .map(|group| format!("{}: {} <- {}\n", group.cause, group.integrations.join(" "), group.findings.join(" ")));
    assert_lines(&groups.collect::<String>(), expected, &format!("{integrations:?}"));
}

#[tokio::test(start_paused = true)]
async fn one_broken_thing_is_one_cause_however_many_suffer_from_it() {
    let dead = "reach a/reach = network.dns@host:git.internal";
    check(
        &[("one", dead), ("two", dead), ("three", "reach b/reach = network.dns@host:git.internal:22")],
        "network.dns: one three two <- one/a/reach#1 three/b/reach#1 two/a/reach#1",
    )
    .await;
    check(
        &[("one", dead), ("two", "reach a/reach = network.dns@host:other.internal")],
        "network.dns: one <- one/a/reach#1
         network.dns: two <- two/a/reach#1",
    )
    .await;

    let crash = "identity a/identity = plugin.crashed";
    check(&[("one", crash), ("two", crash)], "plugin.crashed: one two <- one/a/identity#1 two/a/identity#1").await;

    let role = "dependency a/role = dependency.missing@role:deploy";
    check(&[("one", role), ("two", role)], "dependency.missing: one two <- one/a/role#1 two/a/role#1").await;

    // Each integration has its own secret, and its own setting, of that name.
    let secret = "identity a/identity = credential.expired@secret:token";
    check(
        &[("one", secret), ("two", secret)],
        "credential.expired: one <- one/a/identity#1
         credential.expired: two <- two/a/identity#1",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_follows_from_a_lower_finding_belongs_to_it() {
    // The same network, further up.
    check(
        &[("one", "reach a/reach = network.tls-expired@host:h\noperation a/read = network.reset@host:h")],
        "network.tls-expired: one <- one/a/reach#1 one/a/read#1",
    )
    .await;
    // Another host.
    check(
        &[("one", "reach a/reach = network.tls-expired@host:h\noperation a/read = network.dns@host:i")],
        "network.tls-expired: one <- one/a/reach#1
         network.dns: one <- one/a/read#1",
    )
    .await;
    // The same, once more; and a different thing with the same cause.
    let script = "
        access a/access = permission.insufficient@action:Put
        operation a/put = permission.insufficient@action:Put
        operation a/get = permission.insufficient@action:Get";
    check(
        &[("one", script)],
        "permission.insufficient: one <- one/a/access#1 one/a/put#1
         permission.insufficient: one <- one/a/get#1",
    )
    .await;
    // The clock explains a signature that is refused, where that is what the refusal may mean.
    check(
        &[("one", "reach a/clock = clock.skew!warn\nidentity a/identity = credential.invalid?clock.skew")],
        "clock.skew: one <- one/a/clock#1 one/a/identity#1",
    )
    .await;
    check(
        &[("one", "reach a/clock = clock.skew!warn\nidentity a/identity = credential.invalid")],
        "credential.invalid: one <- one/a/identity#1
         clock.skew: one <- one/a/clock#1",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_worst_comes_first_and_then_what_most_suffer_from() {
    let fail = "config a/x = config.invalid";
    let shared = "access a/x = quota.exceeded@quota:vcpu";
    check(
        &[
            ("a", "config a/x = credential.expiring"),
            ("b", "config a/x = undetermined"),
            ("c", "config a/x = plugin.crashed"),
            ("d", fail),
            ("e", "config a/x = config.invalid!info"),
            ("f", shared),
            ("g", shared),
            ("h", "access a/x = permission.insufficient"),
        ],
        "quota.exceeded: f g <- f/a/x#1 g/a/x#1
         permission.insufficient: h <- h/a/x#1
         config.invalid: d <- d/a/x#1
         plugin.crashed: c <- c/a/x#1
         undetermined: b <- b/a/x#1
         credential.expiring: a <- a/a/x#1",
    )
    .await;
}
