//! Deadlines, interruption, how much runs at once, and the order of things.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lineman_engine::{ExitCode, FailOn, Limits, exit_code};
use lineman_model::{Event, Report, Status};

use crate::scripted::{Stage, assert_lines, tell};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn why(report: &Report, check: usize) -> String {
    let check = &report.integrations[0].checks[check];
    let finding = check.findings.first().map(|it| format!("{} {}", it.code, it.message));
    check.skip.as_ref().and_then(|skip| skip.why.clone()).or(finding).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn an_executor_that_hangs_is_left_behind() {
    let report = Stage::new([("one", "reach a/reach = hang")]).report().await;
    let expected = "
        one: error, proved config
        lineman/inputs pass
        a/reach error plugin.timed-out";
    assert_lines(&tell(&report), expected, "hang");
    let message =
        "lineman/no-answer `a/reach` was not answered within twice 30.0s, nor given up after; last it said: asking one";
    assert_eq!(why(&report, 1), message);
}

#[tokio::test(start_paused = true)]
async fn whoever_cut_the_time_short_is_named() {
    let script = "reach a/slow = 20000ms pass\nidentity a/next < a/slow = 20000ms pass\naccess a/last < a/next";
    let check = |change: fn(&mut Limits), outcome: &'static str, messages: [&'static str; 2]| async move {
        let mut stage = Stage::new([("one", script)]);
        change(&mut stage.limits);
        let report = stage.report().await;
        assert_lines(&tell(&report), outcome, script);
        assert_eq!([why(&report, 2), why(&report, 3)], messages);
        assert!(report.run.complete);
    };
    let cut_short = "
        one: unknown, proved reach
        lineman/inputs pass
        a/slow pass
        a/next unknown undetermined
        a/last skip blocked a/next";
    let run = "lineman/run-deadline the time for the run was over 10.0s after `a/next` began; last it said: asking one";
    check(|limits| limits.run = seconds(30), cut_short, [run, ""]).await;
    let integration = "lineman/integration-deadline the time for this integration was over 5.0s after `a/next` began; \
                       last it said: asking one";
    check(|limits| limits.integration = seconds(25), cut_short, [integration, ""]).await;

    let too_late = "
        one: unknown, proved reach
        lineman/inputs pass
        a/slow pass
        a/next skip cancelled
        a/last skip cancelled";
    let over = "the 20s of the run were over; the longest check was `a/slow` of one with 20.0s";
    check(|limits| limits.run = seconds(20), too_late, [over, over]).await;

    let own_fault = "
        one: error, proved config
        lineman/inputs pass
        a/slow error plugin.timed-out
        a/next skip blocked a/slow
        a/last skip blocked a/slow";
    check(|limits| limits.check = seconds(15), own_fault, ["", ""]).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_that_was_cut_short_proves_nothing_of_the_network() {
    let status = |limit: u64| async move {
        let mut stage = Stage::new([("one", "reach a/reach = 20000ms network.timeout")]);
        stage.limits = Limits { run: seconds(limit), retries: 0, ..Limits::default() };
        stage.report().await.integrations[0].checks[1].status
    };
    assert_eq!(status(25).await, Status::Unknown);
    assert_eq!(status(100).await, Status::Fail);
}

#[tokio::test(start_paused = true)]
async fn what_has_begun_is_finished_before_more_is_begun() {
    let names: Vec<String> = (0..200).map(|at| format!("i{at:03}")).collect();
    let script = "reach a/x = 100ms pass\nidentity a/y < a/x = 100ms pass\naccess a/z < a/y = 100ms pass";
    let mut stage = Stage::new(names.iter().map(|name| (name.as_str(), script)));
    stage.limits = Limits::with_jobs(5);
    let executor = Arc::clone(&stage.executor);
    stage.report().await;
    let mut open = BTreeSet::new();
    let mut most = 0;
    for line in executor.log.lock().unwrap().iter() {
        match line.split_once(' ') {
            Some((name, "closed")) => _ = open.remove(name),
            Some((name, _)) => _ = open.insert(name.to_owned()),
            None => unreachable!("every line names an integration"),
        }
        most = most.max(open.len());
    }
    assert!(open.is_empty());
    assert!(most <= 10, "{most} sessions were open at a time");
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_run_keeps_what_it_saw() {
    let script = "
        reach a/reach = network.dns
        reach a/slow = 20000ms pass
        identity a/identity < a/reach
        access a/access < a/slow
        operation a/write writes";
    let mut stage = Stage::new([("one", script), ("two", "reach b/reach")]);
    stage.cancel_after = Some(seconds(5));
    let executor = Arc::clone(&stage.executor);
    let (report, events) = stage.run().await.unwrap();
    let expected = "
        one: fail, proved config
        lineman/inputs pass
        a/reach fail network.dns
        a/slow skip cancelled
        a/identity skip blocked a/reach
        a/access skip cancelled
        a/write skip not-requested
        two: pass, proved reach
        lineman/inputs pass
        b/reach pass";
    assert_lines(&tell(&report), expected, script);
    assert_eq!(exit_code(&report, FailOn::Fail), ExitCode::Interrupted);
    assert_eq!(executor.running.load(Ordering::SeqCst), 0, "what ran is abandoned");
    assert_eq!(report.run.duration_ms, 5000);
    let ended = events.iter().filter(|event| matches!(event, Event::CheckFinished { .. })).count();
    assert_eq!(ended, report.summary.checks.total());
}

#[tokio::test(start_paused = true)]
async fn no_more_runs_at_once_than_allowed() {
    let names: Vec<String> = (0..60).map(|at| format!("i{at:02}")).collect();
    let check = |limits: Limits, max_parallel: u32, expected: usize| {
        let mut stage =
            Stage::new(names.iter().map(|name| (name.as_str(), "reach a/x = 100ms pass\nreach a/y = 100ms pass")));
        for subject in stage.subjects.iter_mut().flatten() {
            let mut description = subject.description.as_ref().clone();
            description.max_parallel = max_parallel;
            description.hosts = vec!["a.test:443".into()];
            subject.description = description.into();
        }
        stage.limits = limits;
        let executor = Arc::clone(&stage.executor);
        async move {
            let report = stage.report().await;
            assert_eq!(report.summary.checks.pass, 180);
            assert_eq!(executor.most_at_once.load(Ordering::SeqCst), expected);
            // 120 checks of 100 ms each: no place was left empty.
            assert_eq!(report.run.duration_ms, (120_u64).div_ceil(expected as u64) * 100);
        }
    };
    check(Limits { jobs: 7, ..Limits::with_jobs(100) }, 64, 7).await;
    check(Limits { per_provider: 5, ..Limits::with_jobs(100) }, 64, 5).await;
    check(Limits { per_host: 3, ..Limits::with_jobs(100) }, 64, 3).await;
    check(Limits::with_jobs(100), 2, 2).await;
    check(Limits::with_jobs(0), 64, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_host_does_not_hold_up_the_others() {
    let names: Vec<String> = (0..20).map(|at| format!("i{at:02}")).collect();
    let slow = names.iter().map(|name| (name.as_str(), "reach a/x = 10000ms pass"));
    let mut stage = Stage::new(slow.chain([("quick", "reach b/x = 100ms pass")]));
    stage.limits = Limits { jobs: 4, per_provider: 2, ..Limits::default() };
    let (_, events) = stage.run().await.unwrap();
    let first = events.iter().find_map(|event| match event {
        Event::CheckFinished { integration, check } if check.id.ends_with("/x") => Some(integration.as_str()),
        _ => None,
    });
    assert_eq!(first, Some("quick"));
}

#[tokio::test(start_paused = true)]
async fn the_report_does_not_depend_on_who_finishes_first() {
    let dead =
        "reach a/reach = network.dns@host:h\nidentity a/identity < a/reach\naccess a/role = provider.outage | pass";
    let well = "
        reach b/reach
        identity b/identity < b/reach = credential.invalid
        access b/one < b/identity
        access b/two < b/reach = permission.insufficient
        operation b/all < b/one b/two";
    let integrations = [("one", dead), ("two", well), ("three", dead), ("four", well), ("five", "config a/c")];
    let mut orders = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for seed in 1..=30 {
        let (mut report, events) = Stage::seeded(Some(seed), integrations).run().await.unwrap();
        let finished = events.iter().filter_map(|event| match event {
            Event::CheckFinished { integration, check } => Some(format!("{integration} {}", check.id)),
            _ => None,
        });
        orders.insert(finished.collect::<Vec<_>>());
        report.run = Stage::new([]).report().await.run;
        (report.run.started_at, report.run.finished_at) = Default::default();
        for check in report.integrations.iter_mut().flat_map(|it| &mut it.checks) {
            check.duration_ms = 0;
            check.attempts.iter_mut().for_each(|attempt| attempt.duration_ms = 0);
        }
        seen.insert(serde_json::to_string(&report).unwrap());
    }
    assert!(orders.len() > 10, "the seeds make a difference");
    assert_eq!(seen.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn events_tell_the_run_in_order_and_sessions_are_closed_once() {
    let script =
        "reach a/reach\nidentity a/identity < a/reach = provider.outage | pass\naccess a/no = skip not-applicable";
    let stage = Stage::new([("one", script), ("two", "reach b/x = network.dns")]);
    let executor = Arc::clone(&stage.executor);
    let (report, events) = stage.run().await.unwrap();

    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in &events {
        let (whose, what) = match event {
            Event::CheckStarted { integration, check } => (integration, format!("> {check}")),
            Event::CheckFinished { integration, check } => (integration, format!("< {}", check.id)),
            Event::IntegrationFinished { integration } => (&integration.name, "end".to_owned()),
            Event::CheckProgress { text, .. } => {
                assert!(!text.contains('\u{1b}'), "progress is foreign text");
                continue;
            }
            Event::RunStarted { .. } | Event::RunFinished { .. } => continue,
        };
        told.entry(whose.clone()).or_default().push(what);
    }
    let expected =
        ["< lineman/inputs", "> a/reach", "> a/no", "< a/reach", "> a/identity", "< a/no", "< a/identity", "end"];
    let mut sorted = told["one"].clone();
    assert_eq!(sorted.first().map(String::as_str), Some(expected[0]));
    assert_eq!(sorted.last().map(String::as_str), Some("end"));
    sorted.sort();
    let mut all = expected.map(str::to_owned);
    all.sort();
    assert_eq!(sorted, all);
    assert!(matches!(events.first(), Some(Event::RunStarted { integrations: 2, checks: 6, .. })));
    assert!(matches!(events.last(), Some(Event::RunFinished { report: last }) if last.verdict == report.verdict));

    let log = executor.log.lock().unwrap();
    let count = |what: &str| log.iter().filter(|line| *line == what).count();
    assert_eq!((count("one a/identity"), count("one closed"), count("two closed")), (2, 1, 1));
    assert_eq!(log.iter().rposition(|line| line.starts_with("one ")), log.iter().position(|line| line == "one closed"));
}
