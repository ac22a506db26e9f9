//! The frames that platforms put around what programs say.

use lineman_lab::Chatter;
use serde_json::json;

use crate::planted::Transcript;

type Dress = fn(&Transcript, &mut Chatter, &mut Vec<u8>);

/// Every frame, by name.
pub(crate) const DRESSES: &[(&str, Dress)] = &[
    ("plain", plain),
    ("in colours", coloured),
    ("as JSON", json_line),
    ("as JSON in JSON", json_in_json),
    ("by a runner", runner),
    ("by kubectl", kubectl),
    ("in a box", boxed),
    ("in a box in JSON", boxed_json),
    ("between the lines of another process", interleaved),
    ("by journald", journald),
];

fn push(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
}

fn plain(failure: &Transcript, _: &mut Chatter, out: &mut Vec<u8>) {
    push(out, "");
    failure.body.lines().for_each(|line| push(out, line));
    push(out, "");
}

/// A change of colour within every word.
fn coloured(failure: &Transcript, _: &mut Chatter, out: &mut Vec<u8>) {
    push(out, "");
    for line in failure.body.lines() {
        let mut painted = String::from("\u{1b}[0m\u{1b}[1m\u{1b}[31m");
        for (n, c) in line.chars().enumerate() {
            painted.push(c);
            if n % 5 == 2 {
                painted.push_str(if n % 2 == 0 { "\u{1b}[1;31m" } else { "\u{1b}[0m" });
            }
        }
        push(out, &(painted + "\u{1b}[0m\u{1b}[K"));
    }
    push(out, "");
}

fn json_line(failure: &Transcript, chatter: &mut Chatter, out: &mut Vec<u8>) {
    let line =
        json!({ "time": chatter.time(), "level": "error", "logger": "deploy", "msg": failure.body, "attempt": 3 });
    push(out, &line.to_string());
}

fn json_in_json(failure: &Transcript, chatter: &mut Chatter, out: &mut Vec<u8>) {
    let inner = json!({ "severity": "ERROR", "message": "step failed", "detail": json!({ "stderr": failure.body }).to_string() });
    let line = json!({ "log": format!("{inner}\n"), "stream": "stderr", "time": chatter.time() });
    push(out, &line.to_string());
}

fn runner(failure: &Transcript, chatter: &mut Chatter, out: &mut Vec<u8>) {
    let time = chatter.time().replace('Z', "4567Z");
    push(out, &format!("{time} ##[endgroup]"));
    failure.body.lines().for_each(|line| push(out, &format!("{time} {line}")));
    push(out, &format!("{time} ##[error]Process completed with exit code 1."));
}

fn kubectl(failure: &Transcript, chatter: &mut Chatter, out: &mut Vec<u8>) {
    for (n, line) in failure.body.lines().enumerate() {
        let time = chatter.time();
        let front = if n == 0 { format!("{time} ERROR ") } else { String::new() };
        push(out, &format!("[pod/worker-7d9f/app] {front}{line}"));
    }
}

/// Folded at forty columns, as a provisioning tool does.
fn boxed(failure: &Transcript, _: &mut Chatter, out: &mut Vec<u8>) {
    lines_of_box(failure).iter().for_each(|line| push(out, line));
}

fn boxed_json(failure: &Transcript, chatter: &mut Chatter, out: &mut Vec<u8>) {
    let line = json!({ "ts": chatter.time(), "level": "warn", "output": lines_of_box(failure).join("\n") });
    push(out, &line.to_string());
}

fn lines_of_box(failure: &Transcript) -> Vec<String> {
    let mut lines = vec!["\u{1b}[31m╷\u{1b}[0m".to_owned()];
    let body = failure.body.trim_start_matches(['│', ' ']).trim_start_matches("Error: ");
    let mut line = "\u{1b}[31m│\u{1b}[0m \u{1b}[1mError:".to_owned();
    let mut width = 8;
    for word in body.lines().map(|line| line.trim_start_matches(['│', '╷', '╵'])).flat_map(str::split_whitespace)
    {
        if width + word.len() > 40 {
            lines.push(std::mem::replace(&mut line, "\u{1b}[31m│\u{1b}[0m".to_owned()));
            width = 2;
        }
        line.push(' ');
        line.push_str(word);
        width += word.len() + 1;
    }
    lines.push(line);
    lines.push("\u{1b}[31m╵\u{1b}[0m".to_owned());
    lines
}

fn interleaved(failure: &Transcript, chatter: &mut Chatter, out: &mut Vec<u8>) {
    for line in lines_of_box(failure) {
        push(out, &format!("deploy-1  | {line}"));
        let time = chatter.time();
        push(out, &format!("web-1     | {time} [notice] 12#12: start worker process 34"));
    }
}

fn journald(failure: &Transcript, _: &mut Chatter, out: &mut Vec<u8>) {
    let line = json!({
        "_HOSTNAME": "node-1", "_PID": "77", "_SYSTEMD_UNIT": "deploy.service", "PRIORITY": "3",
        "MESSAGE": failure.body, "__REALTIME_TIMESTAMP": "1769860801000000",
    });
    push(out, &line.to_string());
}
