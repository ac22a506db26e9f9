//! The words of `[[integration.NAME.requires]]`.

use lineman_sdk::Required;
use lineman_sdk::prelude::*;

use crate::Settings;

/// An entry of `[[integration.NAME.requires]]` of a Google Cloud integration: a permission, or an
/// API.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    /// A permission of IAM: `compute.instances.create`.
    permission: Option<String>,
    /// What the permission is needed on: `project` (the integration's own, unless set),
    /// `projects/ID`, `bucket` (the state bucket) or `buckets/NAME`.
    resource: Option<String>,
    /// An API that must be enabled in the project: `compute.googleapis.com`.
    api: Option<String>,
}

/// One requirement, read.
#[derive(Debug, PartialEq)]
pub(crate) enum Wish {
    Permission { permission: String, on: Resource },
    Api(String),
}

/// What a permission is needed on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Project(String),
    Bucket(String),
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Resource::Project(id) => write!(f, "the project {id}"),
            Resource::Bucket(name) => write!(f, "the bucket {name}"),
        }
    }
}

impl Wish {
    /// Reads a requirement, or says what is wrong with it.
    pub(crate) fn read(requirement: &Required<Requirement>, settings: &Settings) -> Result<Wish, String> {
        let Required { id, words } = requirement;
        match words {
            Requirement { permission: Some(permission), resource, api: None } => {
                if !is_permission(permission) {
                    return Err(format!(
                        "The requirement `{id}` asks for `{permission}`, and permissions look like compute.instances.create."
                    ));
                }
                let on = Resource::read(resource.as_deref(), settings);
                let on = on.map_err(|what| format!("The requirement `{id}` {what}."))?;
                Ok(Wish::Permission { permission: permission.clone(), on })
            }
            Requirement { permission: None, resource: None, api: Some(api) } => match api.split_once('.') {
                None => Ok(Wish::Api(format!("{api}.googleapis.com"))),
                Some(_) => Ok(Wish::Api(api.clone())),
            },
            _ => Err(format!("The requirement `{id}` needs either `permission` or `api`.")),
        }
    }
}

impl Resource {
    fn read(text: Option<&str>, settings: &Settings) -> Result<Resource, String> {
        let (kind, name) = match text {
            None | Some("project") => {
                ("projects", settings.project_id.as_deref().ok_or("takes the setting `project_id`")?)
            }
            Some("bucket") => ("buckets", settings.state_bucket.as_deref().ok_or("takes the setting `state_bucket`")?),
            Some(text) => text.split_once('/').unwrap_or_default(),
        };
        match kind {
            "projects" if !name.is_empty() => Ok(Resource::Project(name.to_owned())),
            "buckets" if !name.is_empty() => Ok(Resource::Bucket(name.to_owned())),
            _ => Err("names a `resource` that is no project and no bucket".to_owned()),
        }
    }
}

/// `service.resource.verb`: the API takes no wildcards.
fn is_permission(text: &str) -> bool {
    text.split('.').count() >= 3
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_in_the_plugins_words() {
        let settings: Settings = serde_json::from_str(r#"{"project_id": "acme-prod"}"#).unwrap();
        let check = |json: &str, expect: Result<Wish, &str>| {
            let requirement = Required { id: "r".to_owned(), words: serde_json::from_str(json).unwrap() };
            let read = Wish::read(&requirement, &settings);
            assert_eq!(read.as_ref().map_err(String::as_str), expect.as_ref().map_err(|text| *text), "{json}");
        };
        let permission = |on: Resource| Ok(Wish::Permission { permission: "compute.instances.create".to_owned(), on });
        let project = Resource::Project("acme-prod".to_owned());
        check(r#"{"permission": "compute.instances.create"}"#, permission(project.clone()));
        check(r#"{"permission": "compute.instances.create", "resource": "project"}"#, permission(project));
        let other = Resource::Bucket("acme-state".to_owned());
        check(r#"{"permission": "compute.instances.create", "resource": "buckets/acme-state"}"#, permission(other));
        check(r#"{"api": "compute"}"#, Ok(Wish::Api("compute.googleapis.com".to_owned())));
        check(r#"{"api": "compute.googleapis.com"}"#, Ok(Wish::Api("compute.googleapis.com".to_owned())));
        check("{}", Err("The requirement `r` needs either `permission` or `api`."));
        check(
            r#"{"permission": "roles/editor"}"#,
            Err("The requirement `r` asks for `roles/editor`, and permissions look like compute.instances.create."),
        );
        check(
            r#"{"permission": "storage.objects.get", "resource": "bucket"}"#,
            Err("The requirement `r` takes the setting `state_bucket`."),
        );
        check(
            r#"{"permission": "storage.objects.get", "resource": "folders/1"}"#,
            Err("The requirement `r` names a `resource` that is no project and no bucket."),
        );
    }
}
