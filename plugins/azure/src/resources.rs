//! `azure/resources`: a real operation, which only reads.

use lineman_sdk::prelude::*;

use crate::cloud::Api;
use crate::{Azure, api};

pub(crate) const OPERATION: &str = "GET /subscriptions/{subscriptionId}/resourcegroups";
pub(crate) const PERMISSION: &str = "Microsoft.Resources/subscriptions/resourceGroups/read";

/// `azure/resources`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    #[derive(Deserialize)]
    struct Page {
        #[serde(rename = "value")]
        _value: Vec<Group>,
    }
    #[derive(Deserialize)]
    struct Group {
        #[serde(rename = "id")]
        _id: String,
    }
    let Some(subscription) = &cx.settings().subscription_id else {
        return Err(Stop::not_applicable("no subscription is configured"));
    };
    let path = format!("/subscriptions/{subscription}/resourcegroups");
    let query = [("$top", "1"), ("api-version", "2021-04-01")];
    let answer = api::get(&cx, Api::Manager, OPERATION, &path, &query).await?;
    match api::read::<Page>(&answer) {
        Ok(_) => Ok(()),
        // A role for something else need not have it.
        Err(stop) if stop.is_denied() => {
            let why = "the application may not list resource groups";
            cx.not_proved("that something in the subscription can be read", why, Some(PERMISSION));
            Ok(())
        }
        Err(stop) => Err(stop),
    }
}
