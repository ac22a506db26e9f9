//! `aws/quota`: the quotas that are required leave room for what will be needed.
//!
//! Service Quotas tells the value. What is in use is counted where a list tells it, else read from
//! the metric that the quota names; where neither does, only a value that is too small as such is
//! proved, and the rest is listed as not proved.

use lineman_sdk::prelude::*;
use lineman_sdk::{Judged, Timestamp};
use serde::de::IgnoredAny;

use crate::Aws;
use crate::credentials::{Credentials, working};
use crate::network::Items;
use crate::query::{self, Service};
use crate::requires::Quota;

/// Quotas of EC2 whose use is the number of things in a list: service, code, the action that lists
/// them. Source: Amazon VPC User Guide, "Amazon VPC quotas", and the EC2 API Reference.
const COUNTED: &[(&str, &str, &str)] = &[
    ("ec2", "L-0263D0A3", "DescribeAddresses"),
    ("vpc", "L-F678F1CE", "DescribeVpcs"),
    ("vpc", "L-A4707A72", "DescribeInternetGateways"),
    ("vpc", "L-E79EC296", "DescribeSecurityGroups"),
    ("vpc", "L-DF5E4CA3", "DescribeNetworkInterfaces"),
];
/// The most pages of a list that are counted.
const MOST_PAGES: usize = 20;
/// How far back a metric of use is looked for, seconds; they are written every five minutes.
const LOOK_BACK: u64 = 3600;

/// `aws/quota`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    let required = cx.requiring("no quota is required", |words| words.quota.as_ref())?;
    let credentials = working(&cx).await?;
    for (id, quota) in required {
        let mut judged = Judged::new(&cx, id);
        judge(&cx, &credentials, quota, &mut judged).await?;
        judged.record();
    }
    Ok(())
}

async fn judge(
    cx: &Cx<Aws>,
    credentials: &Credentials,
    quota: &Quota,
    judged: &mut Judged<'_, Aws>,
) -> Result<(), Stop> {
    let Quota { service, code, need } = quota;
    let need = f64::from(need.unwrap_or(1));
    let parameters = [("ServiceCode", service.as_str()), ("QuotaCode", code.as_str())];
    let seen: Result<Response, Stop> =
        query::call(cx, Service::Quotas, "GetServiceQuota", &parameters, Some(credentials)).await;
    let seen = match seen {
        Err(stop) if stop.finding().is_some_and(|finding| finding.cause == Cause::ResourceNotFound) => {
            let message = format!("Service Quotas knows no quota {code} of {service} in {}.", cx.settings().region);
            let list = ["aws", "service-quotas", "list-service-quotas", "--service-code", service];
            let finding = cx.finding("quota-unknown", Cause::ConfigInvalid, message).subject("quota", code);
            judged.fails(finding.command("Look the code up.", list));
            return Ok(());
        }
        seen => judged.seen(
            &format!("that the quota {code} of {service} leaves room"),
            "servicequotas:GetServiceQuota",
            seen,
        )?,
    };
    let Some(Response { quota: Value { name, value, usage } }) = seen else { return Ok(()) };
    let used = used(cx, credentials, quota, usage.as_ref(), &name, judged).await?;
    let left = value - used.unwrap_or(0.0);
    if need <= left {
        return Ok(());
    }
    let in_use = used.map(|used| format!(", {used} of it in use")).unwrap_or_default();
    let message = format!("The quota \"{name}\" of {service} is {value}{in_use}, and {need} more will be needed.");
    let wanted = (need + used.unwrap_or(0.0)).to_string();
    let ask =
        ["aws", "service-quotas", "request-service-quota-increase", "--service-code", service, "--quota-code", code];
    let ask: Vec<&str> = ask.into_iter().chain(["--desired-value", &wanted]).collect();
    let finding = cx
        .finding("quota-short", Cause::QuotaExceeded, message)
        .subject("quota", code)
        .command("Ask for a higher quota; that may take days.", ask)
        .remedy("Remove what is no longer used.");
    judged.fails(finding);
    Ok(())
}

/// How much of a quota is in use; where it cannot be told, that is said.
async fn used(
    cx: &Cx<Aws>,
    credentials: &Credentials,
    quota: &Quota,
    usage: Option<&Usage>,
    name: &str,
    judged: &mut Judged<'_, Aws>,
) -> Result<Option<f64>, Stop> {
    let what = format!("how much of the quota \"{name}\" is in use");
    let counted = COUNTED.iter().find(|(service, code, _)| *service == quota.service && *code == quota.code);
    let (told, needs, otherwise) = if let Some((_, _, action)) = counted {
        let count = count(cx, credentials, action).await;
        (count, format!("ec2:{action}"), "there is more than is counted")
    } else if let Some(usage) = usage {
        let measured = measure(cx, credentials, usage).await;
        (measured, "cloudwatch:GetMetricStatistics".to_owned(), "CloudWatch has no measurement of the last hour")
    } else {
        judged.unproved(what, "neither a list nor a metric tells it", None);
        return Ok(None);
    };
    let told = judged.seen(&what, &needs, told)?;
    if told == Some(None) {
        judged.unproved(what, otherwise, None);
    }
    Ok(told.flatten())
}

/// How many things a list of EC2 has; none where it has more pages than are read.
async fn count(cx: &Cx<Aws>, credentials: &Credentials, action: &str) -> Result<Option<f64>, Stop> {
    let mut count: u32 = 0;
    let mut next: Option<String> = None;
    for _ in 0..MOST_PAGES {
        // The one list that has no pages refuses to be asked for one.
        let mut parameters = if action == "DescribeAddresses" { vec![] } else { vec![("MaxResults", "1000")] };
        parameters.extend(next.iter().map(|token| ("NextToken", token.as_str())));
        let page: Page = query::call(cx, Service::Ec2, action, &parameters, Some(credentials)).await?;
        count = count.saturating_add(u32::try_from(page.list.items.len()).unwrap_or(u32::MAX));
        next = page.next.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(Some(count.into()));
        }
    }
    Ok(None)
}

/// The latest value of the metric that a quota names; none where there is none.
async fn measure(cx: &Cx<Aws>, credentials: &Credentials, usage: &Usage) -> Result<Option<f64>, Stop> {
    let now = Timestamp::now();
    let at = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (start, end) = (at(now - std::time::Duration::from_secs(LOOK_BACK)), at(now));
    let statistic = usage.statistic.as_deref().unwrap_or("Maximum");
    let mut parameters = vec![
        ("Namespace".to_owned(), usage.namespace.clone()),
        ("MetricName".to_owned(), usage.name.clone()),
        ("StartTime".to_owned(), start),
        ("EndTime".to_owned(), end),
        ("Period".to_owned(), "300".to_owned()),
        ("Statistics.member.1".to_owned(), statistic.to_owned()),
    ];
    for (n, (name, value)) in (1..).zip(&usage.dimensions) {
        parameters.push((format!("Dimensions.member.{n}.Name"), name.clone()));
        parameters.push((format!("Dimensions.member.{n}.Value"), value.clone()));
    }
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer: Statistics =
        query::call(cx, Service::CloudWatch, "GetMetricStatistics", &parameters, Some(credentials)).await?;
    let latest = answer.result.points.members.into_iter().max_by_key(|point| point.at);
    Ok(latest.and_then(|point| if statistic == "Sum" { point.sum } else { point.maximum }))
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "Quota")]
    quota: Value,
}

#[derive(Deserialize)]
struct Value {
    #[serde(rename = "QuotaName")]
    name: String,
    #[serde(rename = "Value")]
    value: f64,
    #[serde(rename = "UsageMetric")]
    usage: Option<Usage>,
}

/// The metric that says how much of a quota is in use.
#[derive(Deserialize)]
struct Usage {
    #[serde(rename = "MetricNamespace")]
    namespace: String,
    #[serde(rename = "MetricName")]
    name: String,
    #[serde(rename = "MetricDimensions", default)]
    dimensions: std::collections::BTreeMap<String, String>,
    #[serde(rename = "MetricStatisticRecommendation")]
    statistic: Option<String>,
}

/// A page of any of the lists that are counted.
#[derive(Deserialize)]
struct Page {
    #[serde(
        alias = "addressesSet",
        alias = "internetGatewaySet",
        alias = "networkInterfaceSet",
        alias = "securityGroupInfo",
        alias = "vpcSet"
    )]
    list: Items<IgnoredAny>,
    #[serde(rename = "nextToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(rename = "GetMetricStatisticsResult")]
    result: StatisticsResult,
}

#[derive(Deserialize)]
struct StatisticsResult {
    #[serde(rename = "Datapoints", default)]
    points: Points,
}

#[derive(Default, Deserialize)]
struct Points {
    #[serde(rename = "member", default)]
    members: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    #[serde(rename = "Timestamp")]
    at: Timestamp,
    #[serde(rename = "Maximum")]
    maximum: Option<f64>,
    #[serde(rename = "Sum")]
    sum: Option<f64>,
}
