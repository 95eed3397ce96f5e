//! Builds the library and lays it out as a package would, once for all tests.
//!
//! Cargo does not build a library for the tests of its package when no Rust program can link it, and
//! a form for Rust beside the others would switch link-time optimisation off for what is shipped. So
//! the test asks cargo for it, in the same folder and profile: where it is built already, that is
//! only a look.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// How a program is linked with the library.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Linking {
    Shared,
    Static,
}

/// In which language a source is compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Language {
    C11,
    Cxx17,
}

/// A folder with `lib`, `include` and `lib/pkgconfig`.
pub(crate) struct Installed {
    prefix: PathBuf,
    linking: Linking,
}

static SHARED: LazyLock<Installed> = LazyLock::new(|| Installed::new(Linking::Shared));
static STATIC: LazyLock<Installed> = LazyLock::new(|| Installed::new(Linking::Static));

/// The files that cargo makes.
static BUILT: LazyLock<Vec<PathBuf>> = LazyLock::new(build);

/// The programs that are compiled.
static COMPILED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A path from the top of the checkout.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(CRATE).join("..").join(path)
}

/// The output of a command that has to succeed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A command that may fail; not being there is no failure but a machine without the tool.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

fn build() -> Vec<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--package", "libfairshare"])
        .args(["--message-format", "json"])
        .current_dir(CRATE);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let messages = succeed(&mut cargo);
    let artifacts = messages
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == "fairshare");
    let files = artifacts.flat_map(|message| message["filenames"].as_array().unwrap().clone());
    files
        .map(|file| PathBuf::from(file.as_str().unwrap()))
        .collect()
}

/// The file of that name among those that cargo makes.
pub(crate) fn built(name: &str) -> &'static Path {
    let found = BUILT.iter().find(|file| file.ends_with(name));
    found.unwrap_or_else(|| panic!("no {name} among {:?}", *BUILT))
}

/// The library's pkg-config file, filled in as a package fills it in.
fn pkg_config_file(prefix: &Path) -> String {
    let template = fs::read_to_string(Path::new(CRATE).join("fairshare.pc.in")).unwrap();
    let filled = template
        .replace("@PREFIX@", prefix.to_str().unwrap())
        .replace("@LIBDIR@", "${prefix}/lib")
        .replace("@INCLUDEDIR@", "${prefix}/include")
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    assert!(!filled.contains('@'), "{filled}");
    filled
}

impl Installed {
    pub(crate) fn linked(linking: Linking) -> &'static Self {
        match linking {
            Linking::Shared => &SHARED,
            Linking::Static => &STATIC,
        }
    }

    fn new(linking: Linking) -> Self {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{linking:?}"));
        let _ = fs::remove_dir_all(&prefix);
        let (lib, include) = (prefix.join("lib"), prefix.join("include"));
        fs::create_dir_all(lib.join("pkgconfig")).unwrap();
        fs::create_dir_all(&include).unwrap();
        fs::copy(source("include/fairshare.h"), include.join("fairshare.h")).unwrap();
        fs::write(lib.join("pkgconfig/fairshare.pc"), pkg_config_file(&prefix)).unwrap();
        match linking {
            Linking::Shared => {
                fs::copy(built("libfairshare.so"), lib.join("libfairshare.so.0")).unwrap();
                symlink("libfairshare.so.0", lib.join("libfairshare.so")).unwrap();
            }
            Linking::Static => {
                fs::copy(built("libfairshare.a"), lib.join("libfairshare.a")).unwrap();
            }
        }
        Self { prefix, linking }
    }

    /// The folder with the libraries.
    pub(crate) fn lib(&self) -> PathBuf {
        self.prefix.join("lib")
    }

    /// Asks pkg-config about the library.
    pub(crate) fn pkg_config(&self, arguments: &[&str]) -> String {
        succeed(
            Command::new("pkg-config")
                .env("PKG_CONFIG_PATH", self.lib().join("pkgconfig"))
                .args(arguments)
                .arg("fairshare"),
        )
    }

    /// Compiles and links a program without a warning; gives the command that runs it.
    pub(crate) fn compile(&self, source: &Path, language: Language) -> Command {
        let (compiler, standard) = match language {
            Language::C11 => ("cc", ["-x", "c", "-std=c11"]),
            Language::Cxx17 => ("c++", ["-x", "c++", "-std=c++17"]),
        };
        let name = source.file_stem().unwrap().to_str().unwrap();
        let program = self.prefix.join(format!("{name}-{language:?}"));
        // Each program once: tests run side by side, and none must start a half written file.
        let mut done = COMPILED.lock().unwrap();
        if done.insert(program.clone()) {
            self.link(compiler, standard, source, &program);
        }
        drop(done);
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", self.lib());
        command
    }

    fn link(&self, compiler: &str, standard: [&str; 3], source: &Path, program: &Path) {
        let flags = match self.linking {
            Linking::Shared => self.pkg_config(&["--cflags", "--libs"]),
            Linking::Static => self.pkg_config(&["--static", "--cflags", "--libs"]),
        };
        succeed(
            Command::new(compiler)
                .args(standard)
                .args(["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"])
                .arg(source)
                .args(["-x", "none", "-o"])
                .arg(program)
                .args(flags.split_whitespace()),
        );
    }
}
