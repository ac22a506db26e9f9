//! Tells the crate which target it is built for: manifests name libraries by target.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=LINEMAN_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
