//! What permissions, APIs and products are called: three names for each part of Google Cloud.

/// The first word of a permission, the API that it is about, and the product as the status page
/// calls it (<https://status.cloud.google.com/products.json>); empty where no name is known.
const PRODUCTS: &[(&str, &str, &str)] = &[
    ("artifactregistry", "artifactregistry", "Artifact Registry"),
    ("bigquery", "bigquery", "Google BigQuery"),
    ("billing", "cloudbilling", "Google Cloud Billing"),
    ("cloudbuild", "cloudbuild", "Cloud Build"),
    ("cloudfunctions", "cloudfunctions", "Google Cloud Functions"),
    ("cloudkms", "cloudkms", "Cloud Key Management Service"),
    ("cloudscheduler", "cloudscheduler", ""),
    ("cloudsql", "sqladmin", "Google Cloud SQL"),
    ("cloudtasks", "cloudtasks", ""),
    ("compute", "compute", "Google Compute Engine"),
    ("container", "container", "Google Kubernetes Engine"),
    ("dns", "dns", "Google Cloud DNS"),
    ("file", "file", "Filestore"),
    ("iam", "iam", "Identity and Access Management"),
    ("logging", "logging", "Cloud Logging"),
    ("monitoring", "monitoring", "Cloud Monitoring"),
    ("pubsub", "pubsub", "Google Cloud Pub/Sub"),
    ("redis", "redis", "Cloud Memorystore"),
    ("resourcemanager", "cloudresourcemanager", "Resource Manager API"),
    ("run", "run", "Cloud Run"),
    ("secretmanager", "secretmanager", "Secret Manager"),
    ("servicenetworking", "servicenetworking", "Virtual Private Cloud (VPC)"),
    ("serviceusage", "serviceusage", "Service Infrastructure"),
    ("spanner", "spanner", "Google Cloud Spanner"),
    ("storage", "storage", "Google Cloud Storage"),
    ("vpcaccess", "vpcaccess", ""),
];

/// The API that a permission is about, where it is known: `compute.googleapis.com`.
pub(crate) fn api_of(permission: impl AsRef<str>) -> Option<String> {
    let prefix = permission.as_ref().split('.').next()?;
    PRODUCTS.iter().find(|(known, ..)| *known == prefix).map(|(_, api, _)| format!("{api}.googleapis.com"))
}

/// The product behind an API, where it is known.
pub(crate) fn product_of(api: &str) -> Option<&'static str> {
    let name = api.split('.').next()?;
    let product = PRODUCTS.iter().find(|(_, known, _)| *known == name).map(|(.., product)| *product);
    product.filter(|product| !product.is_empty())
}
