//! Finds the server through `apxs` and `apr-1-config`, runs bindgen over
//! `include/wrapper.h` and compiles `include/*.c`.
//!
//! `APXS=/path/to/apxs` selects a server other than the one on `PATH`.

use std::path::PathBuf;
use std::process::{exit, Command};

/// One line that says what is missing and what to install, then failure.
fn fail(problem: &str) -> ! {
    println!("cargo::error={problem}");
    exit(1)
}

fn run(program: &str, args: &[&str]) -> Option<String> {
    let out = Command::new(program).args(args).output().ok()?;
    out.status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

fn find_apxs() -> String {
    if let Ok(path) = std::env::var("APXS") {
        if run(&path, &["-q", "INCLUDEDIR"]).is_some() {
            return path;
        }
        fail(&format!(
            "APXS={path} does not answer `-q INCLUDEDIR`: point it at the apxs of an httpd 2.4"
        ));
    }
    for name in ["apxs", "apxs2", "/usr/sbin/apxs"] {
        if run(name, &["-q", "INCLUDEDIR"]).is_some() {
            return name.to_owned();
        }
    }
    fail("apxs not found: install apache2-dev (Debian) or httpd-devel (RHEL), or set APXS=/path/to/apxs")
}

/// Include directories and preprocessor flags of the server and of its APR.
fn compiler_flags(apxs: &str) -> Vec<String> {
    let query = |name| run(apxs, &["-q", name]).unwrap_or_default();
    let include_dir = query("INCLUDEDIR");
    if !PathBuf::from(&include_dir).join("httpd.h").exists() {
        fail(&format!(
            "{include_dir}/httpd.h not found: install apache2-dev (Debian) or httpd-devel (RHEL)"
        ));
    }
    let mut flags = vec![format!("-I{include_dir}")];
    for config in [query("APR_CONFIG"), query("APU_CONFIG")] {
        if config.is_empty() {
            continue;
        }
        match run(&config, &["--includes", "--cppflags"]).or_else(|| run(&config, &["--includes"])) {
            Some(text) => flags.extend(text.split_whitespace().map(str::to_owned)),
            None => fail(&format!(
                "{config} does not run: install libapr1-dev and libaprutil1-dev (Debian) or apr-devel and apr-util-devel (RHEL)"
            )),
        }
    }
    flags.extend(
        query("EXTRA_CPPFLAGS")
            .split_whitespace()
            .map(str::to_owned),
    );
    flags
}

fn generate_bindings(flags: &[String], out_dir: &std::path::Path) {
    let builder = bindgen::Builder::default()
        .header("include/wrapper.h")
        .clang_args(flags)
        .allowlist_function("(ap|apr)_.*|mre_.*")
        .allowlist_type("(ap|apr)_.*|conn_.*|server_rec|request_rec|module_struct|cmd_parms|command_rec|process_.*|worker_score|global_score|mpm_child_status")
        .allowlist_var("(AP|APR|SERVER|MODULE|SB|APLOG|OK|DONE|DECLINED|MPM|CONN|HTTP_INTERNAL).*|(ap|apr)_.*|mre_.*")
        .blocklist_function("mre_set_.*")
        .blocklist_item("IPPORT_.*")
        .generate_comments(false)
        .layout_tests(false)
        .prepend_enum_name(false)
        .derive_default(false)
        .merge_extern_blocks(true)
        .rust_edition(bindgen::RustEdition::Edition2021);
    // clang-sys panics, rather than returns, when there is no libclang at all.
    std::panic::set_hook(Box::new(|_| ()));
    let generated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.generate()));
    let _ = std::panic::take_hook();
    let bindings = match generated {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(e)) => fail(&format!("bindgen could not read httpd's headers: {e}")),
        Err(_) => fail("libclang not found: install libclang-dev (Debian) or clang-devel (RHEL)"),
    };
    if let Err(e) = bindings.write_to_file(out_dir.join("bindings.rs")) {
        fail(&format!(
            "cannot write {}/bindings.rs: {e}",
            out_dir.display()
        ));
    }
}

fn main() {
    for input in [
        "wrapper.h",
        "shim.h",
        "shim.c",
        "commands.c",
        "newer.h",
        "newer.c",
    ] {
        println!("cargo::rerun-if-changed=include/{input}");
    }
    println!("cargo::rerun-if-env-changed=APXS");
    // Loom models reach neither httpd nor its headers.
    if std::env::var_os("CARGO_CFG_LOOM").is_some() {
        return;
    }
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let flags = compiler_flags(&find_apxs());
    generate_bindings(&flags, &out_dir);

    let mut shim = cc::Build::new();
    shim.file("include/shim.c")
        .file("include/commands.c")
        .file("include/newer.c")
        .include("include")
        .warnings(true);
    for flag in &flags {
        shim.flag(flag);
    }
    if let Err(e) = shim.try_compile("mre_shim") {
        fail(&format!("cannot compile include/*.c: {e}; install gcc"));
    }
}
