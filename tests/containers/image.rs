//! The image contains every program, and no other executable.

use crate::demo::*;
use std::collections::BTreeSet;
use std::path::Path;

const PROGRAMS: [&str; 10] =
    ["web", "worker", "migrate", "seed", "reset", "doctor", "config", "account", "jobs", "console"];
const SHELLS_AND_INSTALLERS: [&str; 12] =
    ["sh", "bash", "dash", "ash", "busybox", "apt", "apt-get", "dpkg", "apk", "rpm", "cargo", "rustc"];

fn image() -> String {
    var("DEMO_IMAGE")
}

fn inspected() -> Value {
    let all: Value = serde_json::from_str(&docker(&["image", "inspect", &image()])).expect("JSON");
    all[0].clone()
}

/// The image's files: permissions, and the path.
fn files() -> Vec<(String, String)> {
    let container = docker(&["create", &image()]);
    let listed = run("sh", &["-c", &format!("docker export {container} | tar -tvf -")], &[]);
    docker(&["rm", &container]);
    let file = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.nth(4)?.to_owned()))
    };
    listed.out.lines().filter_map(file).collect()
}

#[test]
fn it_contains_every_program_within_100_megabytes() {
    let size = inspected()["Size"].as_u64().expect("a size");
    println!("the image has {:.1} MB", size as f64 / 1e6);
    assert!(size <= 100_000_000, "{size} bytes");
    for program in PROGRAMS {
        let exit = run("docker", &["run", "--rm", &image(), program, "--version"], &[]);
        assert_eq!(exit.code, 0, "{program}: {exit:?}");
    }
}

#[test]
fn it_contains_no_shell_installer_or_setuid_file() {
    let files = files();
    let programs: BTreeSet<_> = files.iter().filter_map(|(_, path)| path.strip_prefix("usr/local/bin/")).collect();
    assert_eq!(programs.into_iter().filter(|name| !name.is_empty()).collect::<BTreeSet<_>>(), PROGRAMS.into());
    for (permissions, path) in &files {
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        let folder = permissions.starts_with('d');
        assert!(folder || !SHELLS_AND_INSTALLERS.contains(&name.as_ref()), "{path}");
        assert!(folder || !permissions[..7].contains(['s', 'S']), "{permissions} {path}");
    }
}

#[test]
fn it_runs_as_an_unprivileged_user_without_a_shell() {
    let config = inspected()["Config"].clone();
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Cmd"], json!(["web"]));
    assert!(config["Entrypoint"].is_null(), "{config}");
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", "doctor", "--process"]));
    for variable in config["Env"].as_array().into_iter().flatten() {
        let name = variable.as_str().and_then(|variable| variable.split('=').next());
        assert!(matches!(name, Some("PATH" | "SSL_CERT_FILE")), "{variable}");
    }
}

#[test]
fn its_labels_name_its_source_and_revision() {
    let labels = inspected()["Config"]["Labels"].clone();
    for (name, argument) in
        [("source", "SOURCE"), ("revision", "REVISION"), ("version", "VERSION"), ("created", "CREATED")]
    {
        let label = &labels[format!("org.opencontainers.image.{name}")];
        assert_eq!(label, &json!(std::env::var(argument).unwrap_or("unknown".into())), "{name}");
    }
    let head = run("git", &["rev-parse", "HEAD"], &[]);
    let version = docker(&["run", "--rm", &image(), "web", "--version"]);
    assert!(version.contains(&format!("commit {}", head.out.trim())), "{version}");
}

#[test]
fn the_build_context_contains_only_the_needed_files() {
    let dir = std::env::temp_dir().join(format!("context-{}", uuid::Uuid::new_v4().simple()));
    let probe = "printf 'FROM scratch\\nCOPY . /\\n' | docker buildx build -q -f - --output type=local,dest=\"$0\" .";
    let exit = run("sh", &["-c", probe, &dir.to_string_lossy()], &[]);
    assert_eq!(exit.code, 0, "{exit:?}");
    let names = |path: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(path).expect("a folder").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let (top, git) = (names(&dir), names(&dir.join(".git")));
    std::fs::remove_dir_all(&dir).ok();

    let needed = [".git", ".sqlx", "Cargo.lock", "Cargo.toml", "build.rs", "migrations", "openapi.json", "src"];
    assert_eq!(top, needed.map(str::to_owned).into());
    for name in git {
        assert!(["HEAD", "packed-refs", "refs"].contains(&name.as_str()), ".git/{name}");
    }
}

#[test]
fn a_changed_line_rebuilds_no_dependency() {
    let dir = std::env::temp_dir().join(format!("changed-{}", uuid::Uuid::new_v4().simple()));
    // Keeps the files' modes, which are part of the build cache's key. The new line is unique, so it is never cached.
    let copy = "mkdir \"$0\" && git ls-files -z | xargs -0 cp --preserve=mode --parents -t \"$0\" && \
        echo \"// $0\" >>\"$0\"/src/lib.rs";
    let dir = dir.to_string_lossy().into_owned();
    assert_eq!(run("sh", &["-c", copy, &dir], &[]).code, 0);
    let tag = format!("{}-changed", image());

    let start = Instant::now();
    let built = run("docker", &["build", "--progress=plain", "-t", &tag, &dir], &[]);
    println!("a changed line was built in {} s", start.elapsed().as_secs());

    std::fs::remove_dir_all(&dir).ok();
    run("docker", &["image", "rm", &tag], &[]);
    assert_eq!(built.code, 0, "{built:?}");
    let crates: Vec<&str> = built.err.lines().filter_map(|line| Some(line.split_once(" Compiling ")?.1)).collect();
    let own = concat!(env!("CARGO_PKG_NAME"), " v", env!("CARGO_PKG_VERSION"));
    assert!(matches!(crates[..], [only] if only.starts_with(own)), "{crates:#?}");
}
