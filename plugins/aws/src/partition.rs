//! Partitions and regions. Source: the AWS General Reference, "AWS regions and endpoints", and
//! the IAM User Guide, "ARN format".

/// A group of regions with its own accounts, endpoints and ARNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// The second part of its ARNs.
    pub(crate) name: &'static str,
    /// What its host names end in.
    pub(crate) suffix: &'static str,
    /// Where its global services sign.
    pub(crate) global_region: &'static str,
    /// The host of IAM, which has no regional ones.
    pub(crate) iam: &'static str,
}

const COMMERCIAL: Partition =
    Partition { name: "aws", suffix: "amazonaws.com", global_region: "us-east-1", iam: "iam.amazonaws.com" };
const CHINA: Partition = Partition {
    name: "aws-cn",
    suffix: "amazonaws.com.cn",
    global_region: "cn-north-1",
    iam: "iam.cn-north-1.amazonaws.com.cn",
};
const GOVERNMENT: Partition = Partition {
    name: "aws-us-gov",
    suffix: "amazonaws.com",
    global_region: "us-gov-west-1",
    iam: "iam.us-gov.amazonaws.com",
};

/// Regions that are known by name. A region that is not here may be newer than this list, so it
/// is doubted and not refused.
const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The partition that a region belongs to.
pub(crate) fn of_region(region: &str) -> Partition {
    match region {
        region if region.starts_with("cn-") => CHINA,
        region if region.starts_with("us-gov-") => GOVERNMENT,
        _ => COMMERCIAL,
    }
}

/// What can be said of a region's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RegionName {
    /// It is on the list.
    Known,
    /// It looks like one, and may be newer than the list.
    Plausible,
    /// It is an availability zone: the region is in front of the letter.
    Zone(String),
    /// It does not look like a region.
    Wrong,
}

/// Judges a region's name.
pub(crate) fn judge(region: &str) -> RegionName {
    if REGIONS.contains(&region) {
        return RegionName::Known;
    }
    let parts: Vec<&str> = region.split('-').collect();
    let words = parts.len().saturating_sub(1);
    let shaped = (3..=4).contains(&parts.len())
        && parts[..words].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase()));
    let Some(last) = parts.last().filter(|_| shaped) else { return RegionName::Wrong };
    let digits = last.trim_end_matches(|c: char| c.is_ascii_lowercase());
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return RegionName::Wrong;
    }
    match last.len() - digits.len() {
        0 => RegionName::Plausible,
        1 => RegionName::Zone(region[..region.len() - 1].to_owned()),
        _ => RegionName::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_told_from_zones_and_from_typing_errors() {
        let check = |region: &str, expect: RegionName| assert_eq!(judge(region), expect, "{region}");
        check("eu-west-1", RegionName::Known);
        check("us-gov-west-1", RegionName::Known);
        check("eu-west-9", RegionName::Plausible);
        check("eu-west-1a", RegionName::Zone("eu-west-1".to_owned()));
        for wrong in ["", "eu_west_1", "EU-West-1", "eu-west", "Ireland", "eu-west-1-", "-west-1"] {
            check(wrong, RegionName::Wrong);
        }
        assert_eq!(of_region("cn-north-1").name, "aws-cn");
        assert_eq!(of_region("us-gov-east-1").name, "aws-us-gov");
    }
}
