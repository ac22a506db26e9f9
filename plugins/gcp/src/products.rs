//! What permissions, APIs and products are called: three names for each part of Google Cloud.

/// The first word of a permission, the API that it is about, and the product as the status page
/// calls it (<https://status.cloud.google.com/products.json>).
const PRODUCTS: &[(&str, &str, &str)] = &[
    ("artifactregistry", "artifactregistry", "Artifact Registry"),
    ("bigquery", "bigquery", "Google BigQuery"),
    ("billing", "cloudbilling", "Google Cloud Billing"),
    ("cloudbuild", "cloudbuild", "Cloud Build"),
    ("cloudfunctions", "cloudfunctions", "Google Cloud Functions"),
    ("cloudkms", "cloudkms", "Cloud Key Management Service"),
    ("cloudsql", "sqladmin", "Google Cloud SQL"),
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
];

/// The API that a permission is about, where it is known: `compute.googleapis.com`.
pub(crate) fn api_of(permission: &str) -> Option<String> {
    let prefix = permission.split('.').next()?;
    PRODUCTS.iter().find(|(known, ..)| *known == prefix).map(|(_, api, _)| format!("{api}.googleapis.com"))
}

/// The product behind an API, where it is known.
pub(crate) fn product_of(api: &str) -> Option<&'static str> {
    let name = api.split('.').next()?;
    PRODUCTS.iter().find(|(_, known, _)| *known == name).map(|(.., product)| *product)
}
