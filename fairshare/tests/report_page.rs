//! The page of `fairshare report --html`, looked at in a real browser: light and dark, on a wide
//! window and one of 400 pixels.
//!
//! `FAIRSHARE_PICTURES=FOLDER cargo test -p fairshare --test report_page` leaves the pictures there,
//! for somebody who wants to see them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod browser;
#[allow(dead_code, reason = "this program needs only a part of it")]
mod fake_daemon;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use browser::{Browser, Tab};
use fake_daemon::{Answer, FakeDaemon};
use serde_json::{Value, json};

/// Where pictures of whole pages are left, for somebody who wants to see them.
const PICTURES: &str = "FAIRSHARE_PICTURES";

const WIDE: u32 = 1200;
const NARROW: u32 = 400;

const FROM: u64 = 1_794_920_700;
const HOUR: u64 = 3600;
const HOURS: u64 = 168;

const NAMES: [&str; 6] = [
    "carol",
    "dave",
    "erin",
    "<script>alert(1)</script>",
    "a-user-with-quite-a-long-name",
    "frank",
];

/// A week of so many users. The figures are made up and always the same.
fn report(users: u64, gaps: &[&str]) -> String {
    let name = |number: u64| {
        let known = usize::try_from(number)
            .ok()
            .and_then(|number| NAMES.get(number));
        known.map_or_else(|| format!("user{number}"), ToString::to_string)
    };
    let rows: Vec<Value> = (0..users)
        .map(|number| {
            let share = users - number;
            json!({
                "key": name(number), "uid": 90_210 + number, "cpu_s": share * share * 9000,
                "mem_mib_s": share * 29_491_200, "mem_peak": format!("{}M", 700 * share),
                "tasks_peak": 17 + share, "throttled_s": share % 4 * 4511, "stalled_s": share % 3 * 60,
                "grant_s": share % 5 * 7200, "grant_cpu_s": share % 5 * 14_400,
                "grant_mem_mib_s": share % 5 * 3_686_400, "incidents": share % 4,
            })
        })
        .collect();
    let shown = users.min(6);
    let series: Vec<Value> = (0..shown)
        .map(|number| (name(number), number))
        .chain((users > shown).then(|| ("other".to_owned(), shown)))
        .map(|(key, number)| json!({"key": key, "points": points(number)}))
        .collect();
    json!({
        "type": "report_info", "by": "user", "from": FROM, "to": FROM + HOURS * HOUR,
        "rows": rows, "series": series, "gaps": gaps,
    })
    .to_string()
}

/// Days that begin and end, and a time in which nothing was recorded.
fn points(number: u64) -> Vec<Value> {
    (0..HOURS)
        .filter(|hour| !(70..78).contains(hour))
        .map(|hour| {
            let of_day = (hour + 3 * number) % 24;
            let busy = if (8..19).contains(&of_day) {
                1 + (hour * 7 + number * 5) % 6
            } else {
                hour % 2
            };
            let share = 8 - number;
            json!({
                "at": FROM + hour * HOUR, "span_s": HOUR, "cpu_s": busy * share * 450,
                "mem_mib_s": (busy + 2) * share * 512 * HOUR / 2,
                "throttled_s": if busy > 5 { share * 300 } else { 0 },
            })
        })
        .collect()
}

/// Has the command write the page of this answer.
fn page(folder: &Path, name: &str, reply: String) -> PathBuf {
    let daemon = FakeDaemon::start(move |_| Answer::Line(reply.clone()));
    let path = folder.join(name);
    let written = Command::new(env!("CARGO_BIN_EXE_fairshare"))
        .arg("--socket")
        .arg(daemon.socket())
        .args(["report", "--html"])
        .arg(&path)
        .env("TZ", "UTC")
        .status()
        .unwrap();
    assert!(written.success());
    path
}

/// How wide the page is, how wide its window, and the text that is hardest to read.
const LOOK: &str = r"(() => {
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parts = colour => colour.match(/[\d.]+/g).map(Number);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = parts(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  let worst = {contrast: 21, text: ''};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || e.closest('svg')) continue;
    const [a, b] = [light(parts(getComputedStyle(e).color)), light(ground(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < worst.contrast) worst = {contrast, text: walker.currentNode.data};
  }
  return {
    page: document.documentElement.scrollWidth, window: innerWidth, ...worst,
    charts: [...document.querySelectorAll('svg[role=img]')].filter(s => s.getBoundingClientRect().width > 50).length,
    unnamed: [...document.querySelectorAll('svg[role=img]')].filter(s => !s.querySelector('title')).length,
    scripts: document.scripts.length, rows: document.querySelectorAll('tbody tr').length,
  };
})()";

/// What the pixels of a PNG are like: their mean brightness from 0 to 1, and how many colours.
const PIXELS: &str = r"(async data => {
  const picture = await createImageBitmap(await (await fetch('data:image/png;base64,' + data)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext('2d');
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, picture.width, picture.height).data;
  let sum = 0; const colours = new Set();
  for (let i = 0; i < pixels.length; i += 4) {
    sum += 0.2126 * pixels[i] + 0.7152 * pixels[i + 1] + 0.0722 * pixels[i + 2];
    if (i % 64 === 0) colours.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
  }
  return {width: picture.width, brightness: sum / (pixels.length / 4) / 255, colours: colours.size};
})";

/// One page in one window.
struct View<'a> {
    name: &'a str,
    path: &'a Path,
    width: u32,
    scheme: &'a str,
    charts: bool,
    rows: u64,
}

/// Looks at it, and returns what is wrong.
fn look(browser: &mut Browser, (tab, scratch): (&Tab, &Tab), view: &View<'_>) -> String {
    let View {
        name,
        path,
        width,
        scheme,
        ..
    } = view;
    let mut wrong = String::new();
    let mut must = |is: bool, what: String| {
        if !is {
            let _ = writeln!(wrong, "{name}, {scheme}, {width}: {what}");
        }
    };
    let url = format!("file://{}", path.display());
    let noise = browser.open(tab, &url, *width, scheme);
    must(
        noise.is_empty(),
        format!("it asked or complained: {noise:?}"),
    );
    let seen = browser.evaluate(tab, LOOK);
    must(
        seen["page"] == seen["window"],
        format!("it is wider than its window: {seen}"),
    );
    must(
        seen["contrast"].as_f64() >= Some(4.5),
        format!("a text is too faint: {seen}"),
    );
    must(seen["scripts"] == 0, format!("it has a script: {seen}"));
    must(seen["unnamed"] == 0, format!("a chart has no name: {seen}"));
    must(
        seen["rows"] == view.rows,
        format!("not all rows are there: {seen}"),
    );
    must(
        (seen["charts"] != 0) == view.charts,
        format!("charts: {seen}"),
    );

    let picture = browser.picture(tab, std::env::var_os(PICTURES).is_some());
    keep(&format!("{name}-{scheme}-{width}.png"), &picture);
    let pixels = browser.evaluate(scratch, &format!("{PIXELS}('{picture}')"));
    let brightness = pixels["brightness"].as_f64().unwrap();
    let expected = if *scheme == "dark" {
        0.02..0.35
    } else {
        0.75..0.999
    };
    must(
        expected.contains(&brightness),
        format!("its brightness: {pixels}"),
    );
    must(
        pixels["colours"].as_u64() > Some(8),
        format!("it is blank: {pixels}"),
    );
    must(
        pixels["width"] == *width,
        format!("the picture's width: {pixels}"),
    );
    wrong
}

#[test]
fn the_page_is_read_light_and_dark_wide_and_narrow() {
    let folder = tempfile::tempdir().unwrap();
    let lost = ["The history begins on 17 November: what was before is not known."];
    let some = page(folder.path(), "some.html", report(9, &lost));
    let all = page(folder.path(), "all.html", report(500, &[]));
    let one = page(folder.path(), "one.html", report(1, &[]));
    let none = page(
        folder.path(),
        "none.html",
        report(0, &["No history is kept."]),
    );
    let mut browser = Browser::start();
    let (tab, scratch) = (browser.tab(), browser.tab());
    let mut wrong = String::new();
    for (name, path, width, scheme, rows) in [
        ("some", &some, WIDE, "light", 9),
        ("some", &some, WIDE, "dark", 9),
        ("some", &some, NARROW, "light", 9),
        ("some", &some, NARROW, "dark", 9),
        ("all", &all, NARROW, "light", 500),
        ("one", &one, WIDE, "light", 1),
        ("none", &none, NARROW, "dark", 0),
    ] {
        let view = View {
            name,
            path,
            width,
            scheme,
            rows,
            charts: rows > 0,
        };
        wrong.push_str(&look(&mut browser, (&tab, &scratch), &view));
    }
    assert_eq!(wrong, "");
    what_is_wrong_is_seen(folder.path(), &mut browser, (&tab, &scratch));
}

/// The test's eyes: a page that does what it must not is noticed.
fn what_is_wrong_is_seen(folder: &Path, browser: &mut Browser, tabs: (&Tab, &Tab)) {
    let path = folder.join("wrong.html");
    let text = "<!DOCTYPE html><body style='background:#fff;color:#ccc'><script>console.error('x')\
                </script><img src='http://192.0.2.1/x.png'><p style='width:3000px'>faint</p>";
    std::fs::write(&path, text).unwrap();
    let view = View {
        name: "wrong",
        path: &path,
        width: NARROW,
        scheme: "dark",
        rows: 1,
        charts: true,
    };
    let wrong = look(browser, tabs, &view);
    let complaints = [
        "asked or complained",
        "192.0.2.1",
        "wider",
        "faint",
        "script",
        "rows",
        "brightness",
    ];
    for part in complaints {
        assert!(wrong.contains(part), "{part} is not in: {wrong}");
    }
}

/// Leaves a picture for somebody to see, where that is asked for.
fn keep(name: &str, picture: &str) {
    let Some(folder) = std::env::var_os(PICTURES) else {
        return;
    };
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for c in picture.bytes() {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    std::fs::write(Path::new(&folder).join(name), bytes).unwrap();
}
