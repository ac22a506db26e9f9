//! The stage of the demo: servers of the lab on loopback, and the files of a platform that uses
//! them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use lineman_lab::aws::{AccessKey, Account, Bucket, Role, Statement, User};
use lineman_lab::keys::{Damage, Kind};
use lineman_lab::repository::{Repository, Right};
use lineman_lab::tls::{Authority, Certificate};
use lineman_lab::{aws, http, keys, ssh};

const PROD: (&str, &str) = ("AKIALINEMANDEMO00001", "demo/prod0000000000000000000000000000001");
const STAGING: (&str, &str) = ("AKIALINEMANDEMO00002", "demo/staging0000000000000000000000000002");
const BACKUP: (&str, &str) = ("AKIALINEMANDEMO00003", "demo/backup00000000000000000000000000003");
const TOKEN: (&str, &str) = ("ci", "demo-token-4f1d9b7c2e");

/// The servers, which listen as long as this lives.
pub(super) struct Stage {
    directory: PathBuf,
    _aws: aws::Server,
    _ssh: ssh::Server,
    _https: http::Server,
    _expired: http::Server,
}

impl Stage {
    /// Starts the servers and writes `lineman.toml`, secrets and keys into a directory.
    pub(super) fn set(directory: &Path) -> Result<Stage> {
        let aws = aws::Server::start([account()])?;
        let repositories = directory.join("repositories");
        // What an earlier demo left.
        let _ = fs::remove_dir_all(&repositories);
        for name in ["team/app.git", "team/infra.git", "team/docs.git"] {
            Repository::create(&repositories, name)?;
        }
        let key = keys::generate(Kind::Ed25519)?;
        let deploy = ssh::Account::new("deploy", &key.public)?.everywhere(Right::Read);
        let ssh = ssh::Options::new(&repositories)?.account(deploy).start()?;
        let authority = Authority::new()?;
        let (user, token) = TOKEN;
        let serve = |certificate| {
            let account = http::Account::token(token).user(user).everywhere(Right::Read);
            http::Server::start(&repositories, authority.tls(certificate)?, [account])
        };
        let (https, expired) = (serve(Certificate::Good)?, serve(Certificate::Expired)?);

        fs::write(directory.join("known_hosts"), ssh.known_hosts())?;
        fs::write(directory.join("ca.pem"), authority.ca_pem())?;
        let secrets = directory.join("secrets");
        fs::create_dir_all(&secrets)?;
        for (name, value) in [
            ("prod-aws.id", PROD.0),
            ("prod-aws", PROD.1),
            ("staging-aws.id", STAGING.0),
            // The fault: the secret of another key.
            ("staging-aws", BACKUP.1),
            ("backup-aws.id", BACKUP.0),
            ("backup-aws", BACKUP.1),
            ("deploy-key", &key.private),
            ("pasted-key", &Damage::CrLf.apply(&key)?),
            ("docs-repo.user", user),
            ("docs-repo", token),
        ] {
            write_secret(&secrets.join(name), value)?;
        }
        let configuration = include_str!("lineman.toml")
            .replace("{aws}", &aws.url())
            .replace("{ssh}", ssh.url("").trim_end_matches('/'))
            .replace("{https}", https.url("").trim_end_matches('/'))
            .replace("{expired}", expired.url("").trim_end_matches('/'));
        fs::write(directory.join("lineman.toml"), configuration)?;
        Ok(Stage { directory: directory.to_owned(), _aws: aws, _ssh: ssh, _https: https, _expired: expired })
    }

    /// Stores the secret that belongs to the key of `staging-aws`; says where.
    pub(super) fn mend(&self) -> Result<PathBuf> {
        let file = self.directory.join("secrets/staging-aws");
        write_secret(&file, STAGING.1)?;
        Ok(file)
    }
}

fn account() -> Account {
    let id = "111122223333";
    let recently = Timestamp::now() - SignedDuration::from_hours(20 * 24);
    let user = |name: &str, (id, secret): (&str, &str)| {
        User::new(name)
            .key(AccessKey::new(id, secret).created(recently))
            .policy("own-key", [Statement::allow(["iam:ListAccessKeys", "iam:SimulatePrincipalPolicy"], ["*"])])
    };
    let everything = [Statement::allow(["s3:*", "iam:*"], ["*"])];
    Account::new(id)
        .user(user("prod", PROD).policy("assume", [Statement::allow(["sts:AssumeRole"], ["*"])]))
        .user(user("staging", STAGING))
        .user(user("backup", BACKUP).policy("read", [Statement::allow(["s3:Get*", "s3:List*"], ["*"])]))
        .role(Role::new("deploy").trusts(format!("arn:aws:iam::{id}:user/prod")).policy("deploy", everything))
        .role(Role::new("audit").trusts("999988887777"))
        .bucket(Bucket::new("prod-state", "eu-west-1").object("terraform.tfstate", 4096))
}

/// For its owner alone, from the moment that it exists.
fn write_secret(file: &Path, value: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let _ = fs::remove_file(file);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    Ok(file.write_all(value.as_bytes())?)
}
