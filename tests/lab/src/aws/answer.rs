use std::fmt::Write as _;

use quick_xml::escape::escape;

use super::Service;
use crate::api::Response;

/// Something that AWS refuses or cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    /// Elements beside code and message, which S3 alone has.
    pub(super) extra: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(String, String)>,
}

impl Failure {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Failure {
        let (code, message) = (code.to_owned(), message.into());
        Failure { status, code, message, extra: Vec::new(), headers: Vec::new() }
    }

    pub(super) fn with(mut self, element: &'static str, text: impl Into<String>) -> Failure {
        self.extra.push((element, text.into()));
        self
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Failure {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The failure in the envelope of a service.
    pub(super) fn response(&self, service: Service, request_id: &str) -> Response {
        let mut inner = Xml::default();
        if !matches!(service, Service::S3 | Service::Ec2) {
            inner.text("Type", if self.status < 500 { "Sender" } else { "Receiver" });
        }
        inner.text("Code", &self.code).text("Message", &self.message);
        for (name, text) in &self.extra {
            inner.text(name, text);
        }
        let body = match service {
            Service::S3 => {
                inner.text("RequestId", &short_id(request_id)).text("HostId", &host_id(request_id));
                let error = Xml::default().element("Error", &inner).compact();
                format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{error}")
            }
            Service::Kms | Service::Quotas => {
                serde_json::json!({ "__type": self.code, "Message": self.message }).to_string()
            }
            Service::Ec2 => {
                let (mut errors, mut outer) = (Xml::default(), Xml::default());
                errors.element("Error", &inner);
                outer.element("Errors", &errors).text("RequestID", request_id);
                let response = Xml::default().element("Response", &outer).compact();
                format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{response}")
            }
            Service::Sts | Service::Iam | Service::Monitoring => {
                let mut outer = Xml::default();
                outer.element("Error", &inner).text("RequestId", request_id);
                format!("<ErrorResponse xmlns=\"{}\">\n{}</ErrorResponse>\n", service.namespace(), outer.indented())
            }
        };
        let mut response = Response::new(self.status).body(body);
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        headed(response, service, request_id)
    }
}

/// A result in the envelope of a query service.
pub(super) fn result(service: Service, operation: &str, inner: &Xml, request_id: &str) -> Response {
    let mut outer = Xml::default();
    let mut metadata = Xml::default();
    metadata.text("RequestId", request_id);
    outer.element(&format!("{operation}Result"), inner).element("ResponseMetadata", &metadata);
    let name = format!("{operation}Response");
    let body = format!("<{name} xmlns=\"{}\">\n{}</{name}>\n", service.namespace(), outer.indented());
    headed(Response::new(200).body(body), service, request_id)
}

/// The headers that a service sends with everything.
pub(super) fn headed(mut response: Response, service: Service, request_id: &str) -> Response {
    let typed = response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    match service {
        Service::S3 => {
            response = response
                .header("x-amz-request-id", short_id(request_id))
                .header("x-amz-id-2", host_id(request_id))
                .header("server", "AmazonS3");
            if !typed {
                response = response.header("content-type", "application/xml");
            }
        }
        _ => {
            let json = matches!(service, Service::Kms | Service::Quotas);
            response = response.header("x-amzn-requestid", request_id);
            if !typed {
                response =
                    response.header("content-type", if json { "application/x-amz-json-1.1" } else { "text/xml" });
            }
        }
    }
    response
}

/// Sixteen characters, as S3 identifies requests.
fn short_id(request_id: &str) -> String {
    let digits: String = request_id.chars().filter(char::is_ascii_hexdigit).collect();
    digits[digits.len().saturating_sub(16)..].to_ascii_uppercase()
}

fn host_id(request_id: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("lab host {request_id}"))
}

/// Elements, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Xml(Vec<(String, Content)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Text(String),
    Elements(Xml),
}

impl Xml {
    pub(super) fn text(&mut self, name: &str, text: &str) -> &mut Xml {
        self.0.push((name.to_owned(), Content::Text(text.to_owned())));
        self
    }

    pub(super) fn element(&mut self, name: &str, inner: &Xml) -> &mut Xml {
        self.0.push((name.to_owned(), Content::Elements(inner.clone())));
        self
    }

    /// A list as query services write them: `<name><member>…</member></name>`.
    pub(super) fn members(&mut self, name: &str, members: impl IntoIterator<Item = Xml>) -> &mut Xml {
        let list = members.into_iter().map(|member| ("member".to_owned(), Content::Elements(member))).collect();
        self.element(name, &Xml(list))
    }

    /// Without white space, as S3 writes.
    pub(super) fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, None);
        out
    }

    /// Two spaces for each level below the root, as query services write.
    fn indented(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, Some(1));
        out
    }

    fn write(&self, out: &mut String, depth: Option<usize>) {
        let indent = "  ".repeat(depth.unwrap_or_default());
        let end = if depth.is_some() { "\n" } else { "" };
        for (name, content) in &self.0 {
            // Writing to a string does not fail.
            let _ = match content {
                Content::Text(text) => write!(out, "{indent}<{name}>{}</{name}>{end}", escape(text.as_str())),
                Content::Elements(inner) if inner.0.is_empty() => write!(out, "{indent}<{name}/>{end}"),
                Content::Elements(inner) => {
                    let _ = write!(out, "{indent}<{name}>{end}");
                    inner.write(out, depth.map(|depth| depth + 1));
                    write!(out, "{indent}</{name}>{end}")
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_bytes_that_aws_documents() {
        let text = |response: Response| String::from_utf8(response.body).unwrap();
        let failure = Failure::new(403, "AccessDenied", "a < b");
        assert_eq!(
            text(failure.response(Service::Sts, "0000-1")),
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
             <Code>AccessDenied</Code>\n    <Message>a &lt; b</Message>\n  </Error>\n  <RequestId>0000-1</RequestId>\n\
             </ErrorResponse>\n"
        );
        let s3 = failure.with("BucketName", "state").response(Service::S3, "00000000-0000-4000-8000-000000000001");
        assert!(text(s3).starts_with(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>a &lt; b</Message>\
             <BucketName>state</BucketName><RequestId>8000000000000001</RequestId><HostId>"
        ));
    }
}
