//! A real browser, headless, told what to do by the protocol of its developer tools.
//!
//! It speaks over two pipes, so that no port is opened and none can be guessed. Messages are JSON
//! that ends with a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest that one answer may take, on a busy machine.
const ANSWER: Duration = Duration::from_secs(60);

/// Chromium reads commands from descriptor 3 and writes to 4.
const START: &str = "exec 3<&0 4>&1; exec chromium \"$@\" </dev/null >/dev/null 2>&1";

const OPTIONS: [&str; 9] = [
    "--headless",
    // Its own sandbox refuses root, and what it opens here is our own file.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// The browser; it ends with this.
pub(crate) struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
    /// What the page did by itself: requests, lines of the console, problems.
    noise: Vec<String>,
    _profile: TempDir,
}

/// A tab.
#[derive(Clone)]
pub(crate) struct Tab(String);

impl Browser {
    /// Starts it. Without one the test fails, for nobody has seen the page then.
    pub(crate) fn start() -> Self {
        let there = Command::new("chromium")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            there.is_ok_and(|status| status.success()),
            "the page is looked at in chromium, which is missing: apt-get install \
             --no-install-recommends chromium (or 'cargo xtask test', which says so first)"
        );
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("sh")
            .args(["-c", START, "chromium"])
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let (send, messages) = channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while answers
                .read_until(0, &mut message)
                .is_ok_and(|count| count > 0)
            {
                message.pop();
                let message = serde_json::from_slice(&std::mem::take(&mut message));
                if send.send(message.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            commands,
            messages,
            last: 0,
            noise: Vec::new(),
            _profile: profile,
        }
    }

    /// Opens an empty tab.
    pub(crate) fn tab(&mut self) -> Tab {
        let target = self.call(None, "Target.createTarget", &json!({"url": "about:blank"}));
        let arguments = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call(None, "Target.attachToTarget", &arguments);
        let tab = Tab(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(Some(&tab), &format!("{domain}.enable"), &json!({}));
        }
        tab
    }

    /// Opens the address in a window so wide, for somebody who likes it `light` or `dark`, and
    /// returns what the page did beside being there.
    pub(crate) fn open(&mut self, tab: &Tab, url: &str, width: u32, scheme: &str) -> Vec<String> {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call(Some(tab), "Emulation.setDeviceMetricsOverride", &size);
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call(Some(tab), "Emulation.setEmulatedMedia", &media);
        self.noise.clear();
        self.call(Some(tab), "Page.navigate", &json!({"url": url}));
        while !self.noise.iter().any(|line| line == "loaded") {
            let message = self.next();
            self.hear(&message);
        }
        self.noise
            .retain(|line| line != "loaded" && line != &format!("request {url}"));
        std::mem::take(&mut self.noise)
    }

    /// What the script comes to, in the page.
    pub(crate) fn evaluate(&mut self, tab: &Tab, script: &str) -> Value {
        let arguments = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call(Some(tab), "Runtime.evaluate", &arguments);
        assert_eq!(answer.get("exceptionDetails"), None, "{script:.200}");
        answer["result"]["value"].take()
    }

    /// The page as a PNG, in base 64: its upper part, or all of it.
    pub(crate) fn picture(&mut self, tab: &Tab, all: bool) -> String {
        // A tab behind another is not drawn, and its picture never comes.
        self.call(Some(tab), "Page.bringToFront", &json!({}));
        let arguments = json!({"format": "png", "captureBeyondViewport": all});
        let answer = self.call(Some(tab), "Page.captureScreenshot", &arguments);
        answer["data"].as_str().unwrap().to_owned()
    }

    fn call(&mut self, tab: Option<&Tab>, method: &str, arguments: &Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": arguments});
        if let Some(Tab(session)) = tab {
            message["sessionId"] = json!(session);
        }
        write!(self.commands, "{message}\0").unwrap();
        self.commands.flush().unwrap();
        loop {
            let mut answer = self.next();
            if answer["id"] == self.last {
                assert_eq!(answer.get("error"), None, "{method}");
                return answer["result"].take();
            }
            self.hear(&answer);
        }
    }

    fn next(&self) -> Value {
        let begin = Instant::now();
        self.messages.recv_timeout(ANSWER).unwrap_or_else(|error| {
            panic!("chromium said nothing for {:?}: {error}", begin.elapsed())
        })
    }

    fn hear(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Page.loadEventFired" => self.noise.push("loaded".to_owned()),
            "Network.requestWillBeSent" => {
                let url = parameters["request"]["url"].as_str().unwrap_or_default();
                self.noise.push(format!("request {url}"));
            }
            "Log.entryAdded" | "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" => {
                self.noise.push(parameters.to_string());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The whole browser ends with its first process, and that one with its pipe.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
