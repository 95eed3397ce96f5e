//! What is shown, and what the keys have chosen. No clock, no terminal, no daemon: so it is tested.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use fairshare_protocol::{
    Hundredths, MachineInfo, MemorySize, ProcessesInfo, Request, UsageInfo, UserUsage, printable,
};

use crate::bar::Glyphs;
use crate::rate::Reading;

/// Earlier figures that a sparkline shows.
pub(super) const REMEMBERED: usize = 9;
/// The longest text that can be typed.
pub(super) const LONGEST_TEXT: usize = 64;

/// What the rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Cpu,
    Memory,
    Tasks,
    Pressure,
    Name,
}

/// What the keys mean at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    List,
    /// A filter is being typed.
    Filter,
    Help,
    /// The processes of a user, from this row on.
    Processes {
        uid: u32,
        from: usize,
    },
    /// A wish for a user is being typed.
    Resize {
        uid: u32,
        text: String,
    },
    /// Shall this be done?
    Confirm {
        question: String,
        request: Request,
    },
}

/// One user, with what two readings make.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) usage: UserUsage,
    pub(super) name: String,
    /// CPUs in use; `None` before the second reading.
    pub(super) cpu: Option<Hundredths>,
}

/// Everything that is shown.
pub(super) struct State {
    pub(super) own: u32,
    pub(super) glyphs: Glyphs,
    /// The machine as it was read last.
    pub(super) figures: MachineInfo,
    /// Whether the user is an administrator.
    pub(super) everybody: bool,
    pub(super) rows: Vec<Row>,
    pub(super) machine_cpu: Option<Hundredths>,
    pub(super) order: Order,
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) selected: Option<u32>,
    pub(super) processes: Option<ProcessesInfo>,
    /// The last answer to what was asked for.
    pub(super) message: Option<String>,
    /// Why there is no daemon.
    pub(super) lost: Option<String>,
    /// Rows that fit on the screen, for paging.
    pub(super) page: usize,
    pub(super) asked: bool,
    readings: HashMap<u32, Reading>,
    history: HashMap<u32, VecDeque<u64>>,
    machine: Option<Reading>,
}

impl Row {
    pub(super) fn mem(&self) -> u64 {
        let slice = self.usage.slice.as_ref();
        slice
            .and_then(|slice| slice.mem_used)
            .map_or(0, MemorySize::bytes)
    }

    pub(super) fn tasks(&self) -> u64 {
        let slice = self.usage.slice.as_ref();
        slice.and_then(|slice| slice.tasks_used).unwrap_or(0)
    }

    /// The worst of the three pressures.
    pub(super) fn pressure(&self) -> Hundredths {
        let pressure = self.usage.slice.as_ref().map(|slice| slice.pressure);
        let pressure = pressure.unwrap_or_default();
        let worst = [pressure.cpu, pressure.mem, pressure.io]
            .into_iter()
            .flatten()
            .max();
        worst.unwrap_or_default()
    }

    fn used(&self) -> u64 {
        self.cpu.map_or(0, Hundredths::count)
    }
}

impl State {
    pub(super) fn new(own: u32, glyphs: Glyphs) -> Self {
        Self {
            own,
            glyphs,
            figures: MachineInfo::default(),
            everybody: false,
            rows: Vec::new(),
            machine_cpu: None,
            order: Order::Cpu,
            filter: String::new(),
            mode: Mode::List,
            selected: None,
            processes: None,
            message: None,
            lost: None,
            page: 1,
            asked: false,
            readings: HashMap::new(),
            history: HashMap::new(),
            machine: None,
        }
    }

    /// Another reading has come.
    pub(super) fn take(&mut self, info: UsageInfo) {
        let UsageInfo {
            users,
            machine: figures,
            everybody,
        } = info;
        self.lost = None;
        self.asked = true;
        let machine = Reading::of_machine(&figures);
        self.machine_cpu = machine
            .zip(self.machine)
            .and_then(|(now, then)| now.since(then));
        self.machine = machine;
        let mut readings = HashMap::new();
        let mut history = HashMap::new();
        let rows = users.into_iter().map(|usage| {
            let uid = usage.row.uid;
            let now = usage.slice.as_ref().and_then(Reading::of_slice);
            let cpu = now
                .zip(self.readings.get(&uid))
                .and_then(|(now, then)| now.since(*then));
            readings.extend(now.map(|now| (uid, now)));
            let mut past = self.history.remove(&uid).unwrap_or_default();
            past.extend(cpu.map(Hundredths::count));
            while past.len() > REMEMBERED {
                past.pop_front();
            }
            history.insert(uid, past);
            let name = usage
                .row
                .user
                .as_deref()
                .map_or_else(|| uid.to_string(), printable);
            Row { usage, name, cpu }
        });
        self.rows = rows.collect();
        // Users who have gone leave nothing behind.
        self.readings = readings;
        self.history = history;
        self.figures = figures;
        self.everybody = everybody;
        self.sort();
    }

    pub(super) fn take_processes(&mut self, info: ProcessesInfo) {
        self.processes = Some(info);
    }

    pub(super) fn say(&mut self, sentence: String) {
        self.message = Some(sentence);
    }

    pub(super) fn lose(&mut self, why: String) {
        self.lost = Some(why);
        self.machine = None;
    }

    /// CPUs in use at the last readings, the newest last.
    pub(super) fn past(&self, uid: u32) -> impl Iterator<Item = u64> {
        self.history.get(&uid).into_iter().flatten().copied()
    }

    pub(super) fn sort_by(&mut self, order: Order) {
        self.order = order;
        self.sort();
    }

    fn sort(&mut self) {
        let order = self.order;
        self.rows.sort_by_cached_key(|row| {
            let by = match order {
                Order::Cpu => row.used(),
                Order::Memory => row.mem(),
                Order::Tasks => row.tasks(),
                Order::Pressure => row.pressure().count(),
                Order::Name => 0,
            };
            (Reverse(by), row.name.clone(), row.usage.row.uid)
        });
        self.keep_selection();
    }

    /// The rows that the filter leaves.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let filter = self.filter.to_lowercase();
        let fits = |row: &&Row| row.name.to_lowercase().contains(&filter);
        self.rows.iter().filter(fits).collect()
    }

    /// The place of the selected row among those shown.
    pub(super) fn place(&self) -> Option<usize> {
        let uid = self.selected?;
        self.shown().iter().position(|row| row.usage.row.uid == uid)
    }

    /// Whoever is selected stays so wherever the row goes; without one it is the first.
    pub(super) fn keep_selection(&mut self) {
        if self.place().is_none() {
            self.selected = self.shown().first().map(|row| row.usage.row.uid);
        }
    }

    /// Goes up or down so many rows, as far as there are any.
    pub(super) fn go(&mut self, rows: isize) {
        let shown = self.shown();
        let last = shown.len().saturating_sub(1);
        let place = self.place().unwrap_or(0);
        let place = place.saturating_add_signed(rows).min(last);
        self.selected = shown.get(place).map(|row| row.usage.row.uid);
    }

    pub(super) fn chosen(&self) -> Option<&Row> {
        let uid = self.selected?;
        self.rows.iter().find(|row| row.usage.row.uid == uid)
    }

    pub(super) fn name_of(&self, uid: u32) -> String {
        let row = self.rows.iter().find(|row| row.usage.row.uid == uid);
        row.map_or_else(|| uid.to_string(), |row| row.name.clone())
    }
}
