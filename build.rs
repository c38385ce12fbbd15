//! Sets the commit of the build: `COMMIT` of the environment, else from `.git`, else `unknown`.
#![allow(clippy::disallowed_methods, reason = "a build script reads its environment")]

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=COMMIT");
    // Embedded by `sqlx::migrate!`.
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=build.rs");
    let given = std::env::var("COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(head).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=COMMIT={commit}");
}

/// The commit of HEAD, read without git, which may not be installed.
fn head() -> Option<String> {
    let git = directory()?;
    let head = read(&git.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref: ") else {
        return Some(head);
    };
    // A worktree has its branches in the main repository.
    let common = match read(&git.join("commondir")) {
        Some(path) => git.join(path),
        None => git,
    };
    let packed = || {
        let refs = read(&common.join("packed-refs"))?;
        let line = refs.lines().find(|line| line.split(' ').nth(1) == Some(name))?;
        line.split(' ').next().map(str::to_owned)
    };
    read(&common.join(name)).or_else(packed)
}

fn directory() -> Option<PathBuf> {
    let git = Path::new(env!("CARGO_MANIFEST_DIR")).join(".git");
    if git.is_dir() {
        return Some(git);
    }
    Some(PathBuf::from(read(&git)?.strip_prefix("gitdir: ")?))
}

fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo:rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}
