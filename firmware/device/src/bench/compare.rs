//! Reports of several machines side by side, in lines and as a page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Measured, Report, write};
use crate::error::{Error, note};
use crate::plan::mebibytes;

/// Prints a table of the reports, and writes the page where one is wanted.
pub fn command(paths: &[PathBuf], page: Option<&Path>) -> Result<(), Error> {
    let mut reports = paths.iter().map(|path| Report::read(path)).collect::<Result<Vec<_>, _>>()?;
    name(&mut reports, paths);
    for report in reports.iter().filter(|report| report.machine.is_busy()) {
        note(format_args!("{} was busy when it was measured: it can do better", report.label));
    }
    if reports.iter().any(|report| report.pack_sha256 != reports[0].pack_sha256) {
        note("these were measured with different packs, so they compare packs as well as machines");
    }
    crate::events::print(&lines(&reports))?;
    page.map_or(Ok(()), |path| write(path, &html(&reports)))
}

/// Labels each by its machine, and by its file too where machines are called alike.
fn name(reports: &mut [Report], paths: &[PathBuf]) {
    let names: Vec<_> = reports.iter().map(|report| report.machine.name()).collect();
    for ((report, path), name) in reports.iter_mut().zip(paths).zip(&names) {
        report.label.clone_from(name);
        if names.iter().filter(|other| *other == name).count() > 1 {
            let _ = write!(report.label, " ({})", path.display());
        }
    }
}

/// A report's case by its name.
fn case<'a>(report: &'a Report, name: &str) -> Option<&'a Measured> {
    report.cases.iter().find(|case| case.case == name)
}

/// One line a machine and case.
fn lines(reports: &[Report]) -> String {
    let mut text =
        format!("{:<8} {:>9} {:>11} {:>8} {:>7}  machine\n", "case", "total ms", "pictures/s", "of core", "ratio");
    for first in &reports[0].cases {
        for report in reports {
            let Some(case) = case(report, &first.case) else { continue };
            let ratio = case.total_ms / first.total_ms;
            text += &format!(
                "{:<8} {:>9.2} {:>11.0} {:>7.1}% {ratio:>7.2}  {}\n",
                case.case,
                case.total_ms,
                case.pictures_a_second,
                100.0 * case.core_share,
                report.label
            );
        }
    }
    text
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Ocelli on these machines</title><style>\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;display:block;overflow-x:auto}td,th{border:1px solid #8886;padding:.2rem .5rem;text-align:left}\
.bar{display:flex;height:1rem;min-width:12rem}.bar i{display:block;height:100%}\
.fit{background:#8a8f98}.gate{background:#d08a2e}.STAB{background:#3b7dd8}.narrator{background:#4a9a5a}</style>\
<h1>Ocelli on these machines</h1><p>Milliseconds a picture of 640x480, by stage; shorter is better. \
<span class=\"fit\">&emsp;</span> fit <span class=\"gate\">&emsp;</span> gate <span class=\"STAB\">&emsp;</span> STAB \
<span class=\"narrator\">&emsp;</span> narrator</p>";

/// A page that needs nothing else.
fn html(reports: &[Report]) -> String {
    let mut text = HEAD.to_owned();
    for first in &reports[0].cases {
        let of: Vec<_> = reports.iter().filter_map(|report| Some((report, case(report, &first.case)?))).collect();
        let longest = of.iter().map(|(_, case)| case.total_ms).fold(f64::MIN_POSITIVE, f64::max);
        let _ = write!(
            text,
            "<h2>{}</h2><table><tr><th>machine<th>ms<th>pictures a second<th>of a core<th>",
            escaped(&first.case)
        );
        for (report, case) in of {
            let mut bars = String::new();
            for name in ["fit", "gate", "STAB", "narrator"] {
                if let Some(stage) = case.stages.get(name) {
                    let _ =
                        write!(bars, "<i class=\"{name}\" style=\"width:{:.2}%\"></i>", 100.0 * stage.mean / longest);
                }
            }
            let _ = write!(
                text,
                "<tr><td>{}<td>{:.2}<td>{:.0}<td>{:.1}%<td><div class=\"bar\">{bars}</div>",
                escaped(&report.label),
                case.total_ms,
                case.pictures_a_second,
                100.0 * case.core_share,
            );
        }
        text += "</table>";
    }
    text += "<h2>Machines</h2><table><tr><th>machine<th>architecture<th>instructions<th>memory<th>kernel<th>pack<th>loaded in<th>resident<th>load";
    for report in reports {
        let machine = &report.machine;
        let known = |text: &Option<String>| escaped(text.as_deref().unwrap_or("not known"));
        let _ = write!(
            text,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.0} ms<td>{}<td>{}",
            escaped(&report.label),
            escaped(&machine.arch),
            escaped(&machine.features.join(" ")),
            machine.memory_bytes.map_or_else(|| "not known".to_owned(), mebibytes),
            known(&machine.kernel),
            escaped(&report.pack),
            report.load_ms,
            mebibytes(report.rss_peak_bytes),
            machine.load.map_or_else(|| "not known".to_owned(), |load| format!("{load:.1}")),
        );
    }
    text + "</table></html>\n"
}

/// Reports come from other people: nothing in them is markup.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
        out
    })
}
