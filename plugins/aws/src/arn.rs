//! Names of AWS's resources. Source: the IAM User Guide, "Identify AWS resources with ARNs".

/// An ARN, taken apart: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arn<'a> {
    pub(crate) partition: &'a str,
    pub(crate) service: &'a str,
    /// Empty for what has none, such as roles and buckets.
    pub(crate) region: &'a str,
    /// Empty for what has none, such as buckets.
    pub(crate) account: &'a str,
    /// What is left, with the kind in front where the service puts one: `role/path/NAME`.
    pub(crate) resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Takes one apart; none where it is no ARN.
    pub(crate) fn parse(text: &'a str) -> Option<Arn<'a>> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &["arn", partition, service, region, account, resource] = parts.as_slice() else { return None };
        let named = !partition.is_empty() && !service.is_empty() && !resource.is_empty();
        let account_shaped = account.is_empty() || is_account(account) || account == "aws" || account == "*";
        (named && account_shaped).then_some(Arn { partition, service, region, account, resource })
    }

    /// The last part of the resource: the name of a role, the id of a subnet.
    pub(crate) fn name(&self) -> &'a str {
        self.resource.rsplit('/').next().unwrap_or_default()
    }
}

/// Twelve digits.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The id of a thing that is given by its id or its ARN.
pub(crate) fn id(text: &str) -> &str {
    Arn::parse(text).map_or(text, |arn| arn.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_told_from_other_text() {
        let role = Arn::parse("arn:aws-cn:iam::123456789012:role/path/deploy").unwrap();
        assert_eq!((role.partition, role.service, role.account), ("aws-cn", "iam", "123456789012"));
        assert_eq!(role.name(), "deploy");
        assert_eq!(id("arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-0a1b2c3d"), "subnet-0a1b2c3d");
        assert_eq!(id("subnet-0a1b2c3d"), "subnet-0a1b2c3d");
        assert!(Arn::parse("arn:aws:s3:::state/*").is_some());
        for wrong in ["", "deploy", "arn:aws:iam::123:role/x", "arn:aws:iam", "arn:aws:iam::123456789012:"] {
            assert_eq!(Arn::parse(wrong), None, "{wrong}");
        }
    }
}
