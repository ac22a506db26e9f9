//! `lineman check` of one AWS integration at level `identity`, beside `aws sts get-caller-identity`.
//!
//! Both are new processes that know nothing of an earlier one, and ask the same simulated AWS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use lineman_lab::aws::{AccessKey, Account, Server, User};
use lineman_tests::clean_command;

use super::{Row, lineman, paired, succeed};
use crate::narration::Step;

/// The key of every integration of the bench.
pub(super) const KEY: (&str, &str) = ("AKIALINEMANBENCH0001", "bench/0000000000000000000000000000000001");
const AWSCLI: &str = "awscli==1.46.3";
const ROUNDS: usize = 9;
const FASTER: f64 = 10.0;

/// The row, or why there is none.
pub(super) fn measure(program: &Path, directory: &Path) -> Result<Result<Row, String>> {
    let mut step = Step::new("measuring the identity of an AWS integration");
    let cli = match aws_cli(&mut step, directory) {
        Ok(cli) => cli,
        Err(error) => {
            return Ok(Err(format!("AWS identity beside the AWS CLI: {AWSCLI} cannot be installed: {error:#}")));
        }
    };
    let user = User::new("bench").key(AccessKey::new(KEY.0, KEY.1));
    let server = Server::start([Account::new("111122223333").user(user)])?;
    let configuration = directory.join("identity.toml");
    fs::write(
        &configuration,
        format!(
            "version = 1\n[plugins]\nenable = [\"aws\"]\n[integration.bench]\nprovider = \"aws\"\n\
             connection.endpoint_url = \"{}\"\nsecrets.access_key_id.env = \"BENCH_ID\"\n\
             secrets.secret_access_key.env = \"BENCH_SECRET\"\n",
            server.url()
        ),
    )?;
    let ours = || {
        let mut command = lineman(program, directory);
        command.args(["check", "--level", "identity", "--config"]).arg(&configuration);
        succeed(command.env("BENCH_ID", KEY.0).env("BENCH_SECRET", KEY.1))
    };
    let peer = || {
        let mut command = clean_command(&cli);
        command.args(["sts", "get-caller-identity", "--region", "us-east-1", "--endpoint-url", &server.url()]);
        command.env("HOME", directory).env("AWS_EC2_METADATA_DISABLED", "true");
        succeed(command.env("AWS_ACCESS_KEY_ID", KEY.0).env("AWS_SECRET_ACCESS_KEY", KEY.1))
    };
    let paired = paired(&mut step, ROUNDS, ours, peer)?;
    let faster = 1.0 / paired.ratio;
    Ok(Ok(Row {
        what: "lineman check --level identity (peer: aws sts get-caller-identity)".to_owned(),
        ours: paired.ours,
        peer: Some(paired.peer),
        ratio: format!("{faster:.1} × faster"),
        budget: "≥ 10 × faster",
        ok: Some(faster >= FASTER),
    }))
}

/// AWS's own program, from PyPI, below the target directory.
fn aws_cli(step: &mut Step, directory: &Path) -> Result<PathBuf> {
    let venv = directory.join("venv");
    let cli = venv.join("bin/aws");
    if !cli.is_file() {
        step.at("installing the AWS CLI");
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        succeed(Command::new(venv.join("bin/python")).args(["-m", "pip", "install", "--quiet", AWSCLI]))?;
    }
    Ok(cli)
}
