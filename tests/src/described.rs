use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lineman_lab::Request;
use serde_json::Value;

use crate::place::target_dir;

/// An API as its provider describes it to machines: a request that it does not describe is one
/// that a simulation may answer and the provider does not.
#[derive(Debug)]
pub struct Described {
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    method: String,
    /// Segments of the path; one in braces stands for anything.
    path: Vec<String>,
    query: BTreeSet<String>,
    /// The properties that a JSON body may have; none where it may have any.
    body: Option<BTreeSet<String>>,
}

impl Described {
    /// GitHub's REST API, as its own description (OpenAPI 3.0, the npm package
    /// `@octokit/openapi`) has it.
    ///
    /// # Errors
    /// When the component `github-openapi` is not there, or is none.
    pub fn github() -> Result<Described> {
        let file = target_dir().join("npm/node_modules/@octokit/openapi/generated/api.github.com.json");
        let text = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        Described::openapi(&serde_json::from_slice(&text)?).context("GitHub's description has no paths")
    }

    fn openapi(document: &Value) -> Option<Described> {
        let resolve = |value: &'_ Value| -> Value {
            let at = value.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix('#'));
            at.and_then(|at| document.pointer(at)).unwrap_or(value).clone()
        };
        let mut operations = Vec::new();
        for (path, item) in document.get("paths")?.as_object()? {
            for (method, operation) in item.as_object()? {
                let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
                let parameters = parameters.map(resolve).filter(|parameter| parameter["in"] == "query");
                let schema = operation.pointer("/requestBody/content/application~1json/schema").map(resolve);
                let properties = schema.as_ref().map(|schema| schema.get("properties").and_then(Value::as_object));
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: segments(path),
                    query: parameters.filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned())).collect(),
                    body: match properties {
                        None => Some(BTreeSet::new()),
                        Some(properties) => properties.map(|properties| properties.keys().cloned().collect()),
                    },
                });
            }
        }
        Some(Described { operations })
    }

    /// Some of Google's APIs, as their discovery documents have them, which `google-api-python-client`
    /// carries: each operation below the name of its API.
    ///
    /// # Errors
    /// When the component `google-discovery` is not there, or is none.
    pub fn google(apis: &[(&str, &str)]) -> Result<Described> {
        let mut operations = Vec::new();
        for (api, version) in apis {
            let found = glob_one(&target_dir().join("venv/lib"), "python3")?;
            let file =
                found.join(format!("site-packages/googleapiclient/discovery_cache/documents/{api}.{version}.json"));
            let text = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            let document: Value = serde_json::from_slice(&text)?;
            let below = format!("{api}/{}", document["servicePath"].as_str().unwrap_or_default());
            discovered(&document, &document, &below, &mut operations);
        }
        Ok(Described { operations })
    }

    /// What is wrong with a request; nothing when it is one that the provider describes.
    pub fn objection(&self, request: &Request) -> Option<String> {
        let path = segments(request.path());
        let fits = |operation: &&Operation| {
            // What follows the brace is part of the segment: `{name}:verb`.
            let alike = |(own, asked): (&String, &String)| match own.split_once('}') {
                Some((_, rest)) => asked.len() > rest.len() && asked.ends_with(rest),
                None => own == asked,
            };
            operation.method == request.method
                && operation.path.len() == path.len()
                && operation.path.iter().zip(&path).all(alike)
        };
        let told = |what: &str| Some(format!("{request}: {what}"));
        let Some(operation) = self.operations.iter().find(fits) else { return told("there is no such operation") };
        let unknown = request.parameters().into_iter().find(|(name, _)| !operation.query.contains(name));
        if let Some((name, _)) = unknown {
            return told(&format!("it has no parameter `{name}`"));
        }
        let Some(properties) = &operation.body else { return None };
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let unknown = body.as_object().into_iter().flatten().find(|(name, _)| !properties.contains(*name));
        unknown.and_then(|(name, _)| told(&format!("its body has no `{name}`")))
    }
}

/// The methods of a part of a discovery document, and of the parts in it
/// (<https://developers.google.com/discovery/v1/reference/apis>).
fn discovered(document: &Value, part: &Value, below: &str, operations: &mut Vec<Operation>) {
    for method in part["methods"].as_object().into_iter().flat_map(|methods| methods.values()) {
        let path = method["flatPath"].as_str().or(method["path"].as_str()).unwrap_or_default();
        let parameters = method["parameters"].as_object().into_iter().flatten();
        let properties = method["request"]["$ref"].as_str().map(|name| &document["schemas"][name]["properties"]);
        let properties = properties.and_then(Value::as_object).into_iter().flatten();
        operations.push(Operation {
            method: method["httpMethod"].as_str().unwrap_or_default().to_owned(),
            path: segments(&format!("{below}/{path}")),
            query: parameters.filter(|(_, it)| it["location"] == "query").map(|(name, _)| name.clone()).collect(),
            body: Some(properties.map(|(name, _)| name.clone()).collect()),
        });
    }
    let parts = part["resources"].as_object().into_iter().flat_map(|parts| parts.values());
    parts.for_each(|part| discovered(document, part, below, operations));
}

/// The one entry of a directory whose name begins so.
fn glob_one(directory: &Path, begins: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(directory).with_context(|| format!("{} cannot be read", directory.display()))?;
    let mut found = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begins));
    found.find(named).with_context(|| format!("{} holds no {begins}", directory.display()))
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_described_is_objected_to() {
        let described = Described::openapi(&json!({
            "paths": {
                "/user": { "get": {} },
                "/keys/{key}:test": { "post": {} },
                "/repos/{owner}/{repo}": { "get": { "parameters": [{ "$ref": "#/components/parameters/page" }] } },
                "/tokens": { "post": { "requestBody": { "content": { "application/json": {
                    "schema": { "properties": { "scope": {} } } } } } } },
            },
            "components": { "parameters": { "page": { "name": "page", "in": "query" } } },
        }))
        .unwrap();
        let check = |method: &str, target: &str, body: &str, expect: Option<&str>| {
            let (method, target) = (method.to_owned(), target.to_owned());
            let request = Request { method, target, body: body.into(), ..Request::default() };
            let objection = described.objection(&request);
            assert_eq!(objection, expect.map(|what| format!("{request}: {what}")));
        };
        check("GET", "/user", "", None);
        check("POST", "/user", "", Some("there is no such operation"));
        check("GET", "/user/x", "", Some("there is no such operation"));
        check("GET", "/repos/a/b?page=2", "", None);
        check("GET", "/repos/a/", "", Some("there is no such operation"));
        check("POST", "/keys/a:test", "", None);
        check("POST", "/keys/a:try", "", Some("there is no such operation"));
        check("GET", "/repos/a/b?per_page=2", "", Some("it has no parameter `per_page`"));
        check("POST", "/tokens", r#"{"scope": "x"}"#, None);
        check("POST", "/tokens", r#"{"scopes": "x"}"#, Some("its body has no `scopes`"));
        check("GET", "/user", r#"{"scope": "x"}"#, Some("its body has no `scope`"));
    }
}
