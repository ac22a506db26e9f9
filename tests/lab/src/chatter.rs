//! A log that a platform writes all day, as long as one likes: the same for the same seed.
//!
//! It is what failures are looked for in, so nothing in it is one. About one line in fifty looks
//! like one: counters of errors, tests that expect them, documentation that names them, commands
//! that search for them.

use std::fmt::Write as _;

/// Lines that say what platforms say when all is well. `{n}` is a number, `{h}` a hexadecimal id,
/// `{w}` a name, `{t}` the time.
const CHATTER: &[&str] = &[
    "{t} INFO  [{w}-worker-{n}] c.e.platform.JobRunner - job {h} took {n} ms, queue depth {n}",
    "{t} DEBUG [{w}-worker-{n}] c.e.platform.Cache - hit for key session:{h} in {n} us",
    r#"{"time":"{t}","level":"info","logger":"reconciler","msg":"reconciled","namespace":"{w}","name":"{w}-{h}","duration_ms":{n}}"#,
    r#"{"ts":"{t}","level":"debug","caller":"controller/controller.go:{n}","msg":"requeue after","after":"{n}s","id":"{h}"}"#,
    r#"10.0.3.{n} - - [31/Jan/2026:12:00:01 +0000] "GET /api/v1/{w}/{h}?page={n} HTTP/1.1" 200 {n} "-" "Mozilla/5.0 (X11; Linux x86_64)" rt=0.{n}"#,
    r#"10.0.3.{n} - - [31/Jan/2026:12:00:01 +0000] "POST /api/v1/{w} HTTP/1.1" 201 {n} "https://console.example.com/{w}" "okhttp/4.12.0""#,
    r#"10.0.7.{n} - {w} [31/Jan/2026:12:00:02 +0000] "GET /assets/{h}.js HTTP/2.0" 304 0 "-" "curl/8.5.0""#,
    "acme_subnet.{w}[{n}]: Refreshing state... [id=subnet-{h}]",
    "acme_instance.{w}: Still creating... [{n}s elapsed]",
    "module.{w}.acme_role.{w}: Creation complete after {n}s [id={w}-{h}]",
    "\u{1b}[0m\u{1b}[1mmodule.net.acme_route.{w}: Refreshing state... [id=rtb-{h}]\u{1b}[0m",
    "      + {w}_name                 = (known after apply)",
    "      ~ tags                     = {}",
    "  # acme_security_group_rule.{w}[\"{n}\"] will be created",
    "{t} ##[group]Run npm ci --prefer-offline",
    "{t} added {n} packages, and audited {n} packages in {n}s",
    "{t}    Compiling {w} v0.{n}.{n}",
    "{t} Downloading {w}-{n}.{n}-py3-none-any.whl ({n} kB)",
    "section_start:1769860801:step_script\r\u{1b}[0K\u{1b}[0;m\u{1b}[36;1mExecuting \"step_script\" stage of the job script\u{1b}[0;m",
    "I0131 12:00:01.{n}       1 reflector.go:{n}] Watch close - *v1.ConfigMap total {n} items received",
    "I0131 12:00:01.{n}       1 trace.go:{n}] \"List\" url:/api/v1/namespaces/{w}/pods,user-agent:kubelet/v1.31.{n} ({n}ms)",
    "Jan 31 12:00:01 node-{n} kubelet[{n}]: Started container {w} in pod {w}-{h}",
    "Jan 31 12:00:01 node-{n} systemd[1]: Started session-{n}.scope - Session {n} of User deploy.",
    "Jan 31 12:00:03 node-{n} sshd[{n}]: Accepted publickey for deploy from 10.0.0.{n} port {n} ssh2: ED25519 SHA256:{h}{h}",
    "web-{n}     | {t} [notice] {n}#{n}: start worker process {n}",
    "db-1      | {t} LOG:  checkpoint complete: wrote {n} buffers ({n}.{n}%); 0 WAL file(s) added",
    "2026-01-31T12:00:01.123456789Z stdout F {\"level\":\"info\",\"msg\":\"served\",\"path\":\"/{w}/{h}\",\"status\":200,\"took\":\"{n}ms\"}",
    "time={t} level=INFO source=/src/app/main.go:{n} msg=\"lease renewed\" holder={w}-{h} epoch={n}",
    "a1{h}: Pulling fs layer",
    "Digest: sha256:{h}{h}{h}{h}",
    "remote: Counting objects: {n}% ({n}/{n})        ",
    "Receiving objects:  {n}% ({n}/{n}), {n}.{n} MiB | {n}.{n} MiB/s",
    "From https://git.example.com/{w}/{w}",
    " * [new branch]      {w}/{h} -> origin/{w}/{h}",
    "   {h}..{h}  main       -> origin/main",
    "ok  \tgithub.com/example/{w}/internal/{w}\t{n}.{n}s",
    "PASS: Test{w} ({n}.{n}s)",
    "{t} INFO  [main] o.s.boot.StartupInfoLogger - Started Application in {n}.{n} seconds",
    "{t} [info] <0.{n}.0> accepting AMQP connection 10.0.4.{n}:{n} -> 10.0.4.{n}:5672",
    "",
];

/// Lines that look like failures and are none.
const LOOKALIKES: &[&str] = &[
    "{t} INFO  metrics - AccessDenied=0 Throttling=0 ExpiredToken=0 requests={n}",
    "{t} INFO  [{w}] retry policy loaded: retry on Throttling, SlowDown, RequestTimeout and InternalError",
    "test denied::access_denied_is_reported_as_such ... ok",
    "--- PASS: TestExpiredTokenIsRefreshed (0.{n}s)",
    "{t} DEBUG [{w}] if the API answers AccessDenied the role is assumed once more",
    r#"{"time":"{t}","level":"info","msg":"error budget is fine","errors":0,"error":null,"denied":0,"timeouts":0}"#,
    r#"10.0.3.{n} - - [31/Jan/2026:12:00:01 +0000] "GET /docs/errors/AccessDenied HTTP/1.1" 200 {n} "-" "curl/8.5.0""#,
    "{t} grep -c 'Connection refused' build.log || true",
    "+ echo 'Bad credentials would be reported here'",
    "  - \u{201c}could not read Username\u{201d} appears in docs/faq.md line {n}",
    "{t} INFO  [{w}] 0 connections refused, 0 timed out, {n} served",
    "Setting timeout to {n}s; request timeout: {n}s; idle timeout: {n}s",
    "acme_role.permission_denied_alarm: Refreshing state... [id=alarm-{h}]",
    "{t} INFO  Validating credentials of {w}: valid until 2031-01-01",
    "level=info msg=\"token expired, refreshed\" component={w} took={n}ms",
    "I0131 12:00:01.{n}       1 certs.go:{n}] certificate expires in {n} days, nothing to rotate",
    "Tests: {n} passed, 0 failed, 0 errors; permissions checked: {n}",
    "{t} INFO  [{w}] user {w} has logged out: session expired",
];

const NAMES: &[&str] = &["billing", "orders", "edge", "search", "ledger", "media", "auth", "mail", "reports", "stock"];

/// Writes lines, one after the other.
#[derive(Debug)]
pub struct Chatter {
    state: u64,
    lines: u64,
    scratch: String,
}

impl Chatter {
    /// The log of a seed.
    pub fn new(seed: u64) -> Chatter {
        Chatter { state: seed | 1, lines: 0, scratch: String::new() }
    }

    /// Appends a line, with its end.
    pub fn line(&mut self, out: &mut Vec<u8>) {
        let kinds = if self.next().is_multiple_of(50) { LOOKALIKES } else { CHATTER };
        let kind = kinds[self.below(kinds.len())];
        self.lines += 1;
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        let mut rest = kind;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            rest = match after.split_at_checked(2) {
                Some(("n}", rest)) => {
                    let _ = write!(text, "{}", self.next() % 1000);
                    rest
                }
                Some(("h}", rest)) => {
                    let _ = write!(text, "{:012x}", self.next() % (1 << 48));
                    rest
                }
                Some(("w}", rest)) => {
                    text.push_str(NAMES[self.below(NAMES.len())]);
                    rest
                }
                Some(("t}", rest)) => {
                    text.push_str(&self.time());
                    rest
                }
                _ => {
                    text.push('{');
                    after
                }
            };
        }
        text.push_str(rest);
        text.push('\n');
        out.extend_from_slice(text.as_bytes());
        self.scratch = text;
    }

    /// Appends lines until there are so many bytes.
    pub fn fill(&mut self, out: &mut Vec<u8>, bytes: usize) {
        while out.len() < bytes {
            self.line(out);
        }
    }

    /// The time that the next line would tell.
    pub fn time(&self) -> String {
        let second = self.lines / 200;
        let (minute, hour) = (second / 60, second / 3600);
        format!("2026-01-31T{:02}:{:02}:{:02}.{:03}Z", hour % 24, minute % 60, second % 60, self.lines % 200 * 5)
    }

    fn below(&mut self, limit: usize) -> usize {
        // What is left fits, as the limit does.
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    /// The next number of a small generator (xorshift64*).
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}
