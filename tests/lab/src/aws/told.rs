//! Services that are not simulated: what they answer is data, `worlds/aws.toml`. Who may ask is
//! decided by the policies of the account all the same.

use std::sync::LazyLock;

use serde::Deserialize;

use super::account::Account;
use super::answer::{Failure, headed};
use super::policy::Decision;
use super::{Call, Caller, Service, no_such_operation};
use crate::api::Response;

static ANSWERS: LazyLock<Vec<Answer>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct World {
        answer: Vec<Answer>,
    }
    let world: World = toml::from_str(include_str!("../../worlds/aws.toml")).expect("worlds/aws.toml is tested");
    world.answer
});

/// What a service answers to an operation, as its API reference gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    service: String,
    operation: String,
    /// What one of the request's parameters must be; any request unless set.
    when: Option<String>,
    #[serde(default = "good")]
    status: u16,
    body: String,
    /// Where the shape is documented.
    #[serde(rename = "source")]
    _source: String,
}

fn good() -> u16 {
    200
}

/// The first answer that fits.
pub(super) fn serve(accounts: &[Account], call: &Call<'_>, caller: &Caller) -> Result<Response, Failure> {
    let prefix = if call.service == Service::Monitoring { "cloudwatch" } else { call.service.scope() };
    let action = format!("{prefix}:{}", call.operation);
    let decision = caller.may(accounts, &action, "*", None);
    if decision != Decision::Allowed {
        let message =
            format!("User: {} is not authorized to perform: {action}{}", caller.arn, decision.reason(&action));
        return Err(match call.service {
            Service::Ec2 => Failure::new(
                403,
                "UnauthorizedOperation",
                format!("You are not authorized to perform this operation. {message}"),
            ),
            Service::Monitoring => Failure::new(403, "AccessDenied", message),
            _ => Failure::new(400, "AccessDeniedException", message),
        });
    }
    let text = String::from_utf8_lossy(&call.request.body);
    let fits = |answer: &&Answer| {
        let value = |when: &String| {
            call.parameters.iter().any(|(_, value)| value == when) || text.contains(&format!("\"{when}\""))
        };
        answer.service == call.service.scope()
            && answer.operation == call.operation
            && answer.when.as_ref().is_none_or(value)
    };
    let answer = ANSWERS.iter().find(fits).ok_or_else(|| no_such_operation(call))?;
    Ok(headed(Response::new(answer.status).body(answer.body.clone()), call.service, &call.request_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_of_a_service_that_is_told() {
        assert!(ANSWERS.iter().all(|answer| Service::TOLD.iter().any(|service| service.scope() == answer.service)));
        assert!(ANSWERS.iter().all(|answer| answer._source.starts_with("https://docs.aws.amazon.com/")));
    }
}
