//! Whose work is in the program: each crate and library that is linked into it, with its copyright and licence, as their licences ask of
//! whoever hands the program on. Made with each package, of what the lock file says, so that it cannot be out of date.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use cargo_metadata::{MetadataCommand, Package};

use crate::cross::crt_static;
use crate::kernels::TARGET;
use crate::{cargo, root};

/// What files with a licence or a copyright are called at their beginning.
const NAMES: [&str; 7] = ["licen", "copying", "copyright", "notice", "unlicense", "patents", "authors"];

/// How the names of those end that are texts, where it is no version.
const ENDINGS: [&str; 3] = ["md", "txt", "rst"];

/// Where files of Debian packages say whose they are.
const DOC: &str = "/usr/share/doc";

/// What lets a font be part of a program that is under another licence.
const EMBEDDING: &str = "As a special exception, if you create a document which uses this font, and embed this font or unaltered portions of this \
                         font into the document, this font does not by itself cause the resulting document to be covered by the GNU General \
                         Public License. This exception does not however invalidate any other reasons why the document might be covered by \
                         the GNU General Public License. If you modify this font, you may extend this exception to your version of the font, \
                         but you are not obligated to do so. If you do not wish to do so, delete this exception statement from your version.";

/// The fonts that u8g2-fonts has of others: name, holders, licence, those whose text goes with them, what else is said.
const FONTS: [(&str, &str, &str, &[&str], &str); 4] = [
    ("u8g2, which has the fonts in its form", "2016, olikraus@gmail.com", "BSD-2-Clause", &["BSD-2-Clause"], ""),
    (
        "cu12 (ClearlyU)",
        "2001 Computing Research Labs, New Mexico State University; 2001-2004 Department of Mathematical Sciences, New Mexico \
         State University (Mark Leisher)",
        "MIT",
        &["MIT"],
        "",
    ),
    (
        "unifont (GNU Unifont)",
        "1998-2022 Roman Czyborra, Paul Hardy, Qianqian Fang, Andrew Miller, Johnnie Weaver, David Corbett, Nils Moskopp, Rebecca \
         Bettencourt and others",
        "OFL-1.1 OR GPL-2.0-or-later",
        &["OFL-1.1", "GPL-2.0-only"],
        EMBEDDING,
    ),
    (
        "wqy12 and wqy16 (WenQuanYi)",
        "2004-2010 WenQuanYi Project, Qianqian Fang and others",
        "GPL-2.0-only",
        &["GPL-2.0-only"],
        EMBEDDING,
    ),
];

/// What is said of crates, each text once.
#[derive(Default)]
struct Notices {
    /// A line for each crate.
    list: String,
    texts: Vec<(String, Vec<String>)>,
    /// Of a text without regard to its lines and spaces, its place.
    known: HashMap<String, usize>,
}

impl Notices {
    /// Adds what a crate or library says.
    fn add(&mut self, name: &str, licence: &str, texts: &[String]) -> Result<()> {
        ensure!(texts.iter().any(|text| !text.trim().is_empty()), "{name} has no text of a licence");
        let mut places = Vec::new();
        for text in texts {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let place = *self.known.entry(words).or_insert(self.texts.len());
            if place == self.texts.len() {
                self.texts.push((text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"), Vec::new()));
            }
            self.texts[place].1.push(name.to_owned());
            places.push(format!("{}", place + 1));
        }
        writeln!(self.list, "{name}: {licence}; text {}", places.join(", "))?;
        Ok(())
    }

    fn written(&self) -> String {
        let mut out =
            "What the program ocelli is made of beside its own source, linked statically: each part with its \
                       licence, and the numbers\nof the texts below. Of licences to choose from MIT is taken.\n\n"
                .to_owned();
        out += &self.list;
        for (number, (text, names)) in (1..).zip(&self.texts) {
            let rule = "-".repeat(100);
            let _ = write!(
                out,
                "\n{rule}\nText {number}, of {}\n{rule}\n\n{}\n",
                names.join(", "),
                text.trim_matches('\n')
            );
        }
        out
    }
}

/// All of it, for the program for arm64.
pub fn text() -> Result<String> {
    let mut notices = crates()?;
    let library = toolchain()?.join("COPYRIGHT-library.html");
    let library = fs::read_to_string(&library).with_context(|| library.display().to_string())?;
    notices.add("Rust's standard library", "MIT OR Apache-2.0, and what its text names", &[plain(&library)])?;
    fonts(&mut notices)?;
    for (name, package) in system(&gcc()?, cfg!(target_arch = "aarch64")) {
        let file = Path::new(DOC).join(&package).join("copyright");
        let text = fs::read_to_string(&file).with_context(|| format!("{}, which {package} has", file.display()))?;
        notices.add(name, "see its text", &[text])?;
    }
    Ok(notices.written())
}

/// Libraries that are no crates, by the Debian packages that they are linked from with this major version of GCC.
fn system(gcc: &str, is_native: bool) -> [(&'static str, String); 2] {
    let cross = if is_native { "" } else { "-arm64-cross" };
    [
        ("the GNU C library", format!("libc6-dev{cross}")),
        (
            "the libraries of GCC (libstdc++, libgcc, with the GCC Runtime Library Exception)",
            format!("libstdc++-{gcc}-dev{cross}"),
        ),
    ]
}

/// The major version of the compiler that the program was linked with.
fn gcc() -> Result<String> {
    let compiler = if cfg!(target_arch = "aarch64") { "g++" } else { "aarch64-linux-gnu-g++" };
    let told =
        Command::new(compiler).arg("-dumpversion").output().with_context(|| format!("{compiler} does not start"))?;
    let version = String::from_utf8_lossy(&told.stdout);
    Ok(version.trim().split('.').next().unwrap_or_default().to_owned())
}

/// Adds the fonts of the displays.
fn fonts(notices: &mut Notices) -> Result<()> {
    for (name, holders, licence, texts_of, more) in FONTS {
        let mut texts = vec![format!("Copyright {holders}\n\n{more}")];
        for text in texts_of {
            texts.push(standard(text)?);
        }
        notices.add(name, licence, &texts)?;
    }
    Ok(())
}

/// What the crates say that are linked.
fn crates() -> Result<Notices> {
    let metadata = MetadataCommand::new().current_dir(root()).other_options(["--locked".into()]).exec()?;
    let packages: BTreeMap<(String, String), Package> = metadata
        .packages
        .into_iter()
        .filter(|package| package.source.is_some())
        .map(|package| ((package.name.to_string(), package.version.to_string()), package))
        .collect();
    let mut notices = Notices::default();
    for linked in linked()? {
        if let Some(package) = packages.get(&linked) {
            let name = format!("{} {}", package.name, package.version);
            let licence = package.license.as_deref().unwrap_or("see its text");
            let texts = texts(package).with_context(|| name.clone())?;
            notices.add(&name, licence, &texts)?;
        }
    }
    Ok(notices)
}

/// Name and version of each crate in the program, ours too: no macros, which run in the compiler alone, and no build scripts.
fn linked() -> Result<Vec<(String, String)>> {
    let mut tree =
        cargo(&["tree", "--locked", "--package", "ocelli", "--edges", "normal,no-proc-macro", "--target", TARGET]);
    tree.args(["--prefix", "none", "--format", "{p}"]).envs([crt_static()]);
    let told = tree.output().context("cargo does not start")?;
    ensure!(told.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&told.stderr));
    let mut linked = Vec::new();
    for line in String::from_utf8_lossy(&told.stdout).lines() {
        let mut words = line.split_whitespace();
        let name = words.next().context("a crate has a name")?;
        let version = words.next().and_then(|word| word.strip_prefix('v')).with_context(|| format!("`{line}`"))?;
        linked.push((name.to_owned(), version.to_owned()));
    }
    linked.sort();
    linked.dedup();
    Ok(linked)
}

/// The texts of a crate: its files, those of what it has of others too; where it has none its authors, and the licence as it is everywhere.
fn texts(package: &Package) -> Result<Vec<String>> {
    let folder = package.manifest_path.parent().context("a manifest lies in a folder")?;
    let mut files = Vec::new();
    find(folder.as_std_path(), &mut files)?;
    files.sort();
    let licence = package.license.as_deref().unwrap_or_default();
    if files.is_empty() {
        let authors = if package.authors.is_empty() { "its authors".into() } else { package.authors.join(", ") };
        let from = package.repository.as_deref().unwrap_or("crates.io");
        return Ok(vec![format!("{} ({from}), copyright {authors}", package.name), standard(licence)?]);
    }
    if may_be_mit(licence) && files.iter().any(|file| name(file).contains("mit")) {
        files.retain(|file| !name(file).contains("apache"));
    }
    let read = |file: &PathBuf| fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    files.iter().map(|file| read(file).with_context(|| file.display().to_string())).collect()
}

/// Files of licences and copyrights in a folder and below it.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = name(&path);
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        // `LICENSE-2.0` ends with a version.
        let is_text = ENDINGS.contains(&ending) || ending.starts_with(|first: char| first.is_ascii_digit());
        if path.is_dir() {
            find(&path, files)?;
        } else if NAMES.iter().any(|beginning| name.starts_with(beginning)) && (ending.is_empty() || is_text) {
            files.push(path);
        }
    }
    Ok(())
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Whether MIT is one of what may be chosen.
fn may_be_mit(licence: &str) -> bool {
    let choices = licence.replace('/', " OR ");
    !choices.contains("AND") && choices.split(" OR ").any(|choice| choice.trim() == "MIT")
}

/// A licence as everybody has it, from the compiler's documentation.
fn standard(licence: &str) -> Result<String> {
    let choices = licence.replace('/', " OR ");
    let chosen = if may_be_mit(licence) { "MIT" } else { choices.trim() };
    let file = toolchain()?.join("licenses").join(format!("{chosen}.txt"));
    fs::read_to_string(&file)
        .with_context(|| format!("no file of a licence, and no {} for `{licence}`", file.display()))
}

/// Where the compiler has its own notices.
fn toolchain() -> Result<PathBuf> {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let told = rustc.args(["--print", "sysroot"]).current_dir(root()).output().context("rustc does not start")?;
    let folder = Path::new(String::from_utf8_lossy(&told.stdout).trim()).join("share/doc/rust");
    if !folder.is_dir() {
        bail!("this compiler has no notices of its library ({}); one of rustup has", folder.display());
    }
    Ok(folder)
}

/// What a page says, without its tags and empty lines.
fn plain(html: &str) -> String {
    let mut text = String::new();
    for (n, part) in html.split('<').enumerate() {
        let shown = if n == 0 { part } else { part.split_once('>').map_or("", |(_, shown)| shown) };
        text += shown;
    }
    let text = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#x2F;", "/"),
        ("&amp;", "&"),
    ]
    .into_iter()
    .fold(text, |text, (code, sign)| text.replace(code, sign));
    text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a number.
    fn of<'a>(notices: &'a Notices, name: &str) -> Vec<&'a str> {
        let is_of = |names: &[String]| names.iter().any(|named| named.split(' ').next() == Some(name));
        notices.texts.iter().filter(|(_, names)| is_of(names)).map(|(text, _)| text.as_str()).collect()
    }

    #[test]
    fn each_crate_of_the_program_is_named_with_a_text() {
        let notices = crates().expect("each has one");
        let foreign: Vec<_> =
            linked().expect("cargo knows them").into_iter().filter(|(name, _)| !name.starts_with("ocelli")).collect();
        assert!(foreign.len() > 200, "{} are not all", foreign.len());
        let written = notices.written();
        for (name, version) in foreign {
            assert!(written.contains(&format!("\n{name} {version}: ")), "{name}");
            assert!(of(&notices, &name).iter().any(|text| text.len() > 100), "{name}");
        }
        // What its crate carries of others, and what has no file of its own.
        for (name, words) in [
            ("openh264-sys2", "Cisco Systems"),
            ("openh264", "Redistribution and use in source and binary forms"),
            ("jpeg-encoder", "Independent JPEG Group"),
            ("ring", "fiat-crypto authors"),
            ("retina", "Scott Lamb"),
            ("rumqttc", "Apache License"),
        ] {
            assert!(of(&notices, name).iter().any(|text| text.contains(words)), "{name}: {words}");
        }
        // A compiler's, a test's, and one that a static program does without.
        for absent in ["serde_derive", "proptest", "rppal"] {
            assert!(of(&notices, absent).is_empty(), "{absent} is not linked");
        }
    }

    #[test]
    fn each_font_goes_with_its_holders_and_the_text_of_its_licence() {
        let mut notices = Notices::default();
        fonts(&mut notices).expect("the compiler has the texts");
        let written = notices.written();
        for words in ["Roman Czyborra", "WenQuanYi Project", "New Mexico State", "olikraus", "SIL OPEN FONT LICENSE"] {
            assert!(written.contains(words), "{words}");
        }
        assert!(written.contains("GNU GENERAL PUBLIC LICENSE") && written.matches("embed this font").count() == 2);
    }

    #[test]
    fn the_packages_of_linked_libraries_go_by_the_compiler_and_the_machine() {
        let packages = |gcc, native| system(gcc, native).map(|(_, package)| package);
        assert_eq!(packages("14", false), ["libc6-dev-arm64-cross", "libstdc++-14-dev-arm64-cross"]);
        assert_eq!(packages("12", true), ["libc6-dev", "libstdc++-12-dev"]);
    }

    #[test]
    fn a_text_is_written_once_and_a_crate_without_one_is_refused() {
        let mut notices = Notices::default();
        notices.add("a 1.0.0", "MIT", &["Of A,\n all rights".into()]).expect("it has a text");
        notices.add("b 2.0.0", "MIT", &["Of A, all rights\n".into(), "Of B".into()]).expect("it has texts");
        let error = notices.add("c 3.0.0", "MIT", &[" \n".into()]).unwrap_err().to_string();
        assert_eq!(error, "c 3.0.0 has no text of a licence");
        let written = notices.written();
        assert!(written.contains("a 1.0.0: MIT; text 1\nb 2.0.0: MIT; text 1, 2\n"), "{written}");
        assert!(written.contains("Text 1, of a 1.0.0, b 2.0.0\n") && written.matches("Of A").count() == 1, "{written}");
    }

    #[test]
    fn licences_to_choose_from_are_known_and_pages_are_read() {
        for (licence, mit) in [
            ("MIT", true),
            ("Apache-2.0/MIT", true),
            ("Zlib OR Apache-2.0 OR MIT", true),
            ("(MIT OR Apache-2.0) AND IJG", false),
            ("BSD-2-Clause", false),
        ] {
            assert_eq!(may_be_mit(licence), mit, "{licence}");
        }
        assert!(standard("Apache-2.0").expect("it has it").contains("Apache License"));
        assert!(standard("Own-1.0").unwrap_err().to_string().contains("`Own-1.0`"));
        assert_eq!(plain("<p>\n<b>By:</b> A &lt;a@b&gt; &amp;lt;</p>\n\nX"), "By: A <a@b> &lt;\nX");
    }
}
