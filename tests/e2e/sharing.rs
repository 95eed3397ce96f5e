//! How a busy machine is shared out.

use std::collections::BTreeMap;
use std::time::Duration;

use fairshare_tests::Machine;

use crate::harness::Outcome;
use crate::kernel::{LOGOUT, put_policy};

/// Starts the contenders and measures.
const CONTEND: &str = include_str!("sharing.py");
/// For sixteen logins and five measurements in an emulated machine.
const BOUND: Duration = Duration::from_secs(180);
/// Below this the CPUs are not shared in proportion. What is aimed at is 0.99.
const FAIR: f64 = 0.97;

/// What one contender got while others wanted the CPUs too.
#[derive(Clone, Copy, Debug)]
struct Got {
    weight: f64,
    /// Of the allocation, in CPUs.
    limit: f64,
    /// CPU time in microseconds.
    used: f64,
}

/// On a busy machine users get CPU time in proportion to their allocations, as long as none of them
/// could have its whole allocation.
pub(crate) fn a_busy_machine_is_shared_by_allocation(machine: &Machine) -> Outcome {
    put_policy(
        machine,
        "defaults: {cpu: 0.8, mem: 64M, tasks: 50}\nmax: {cpu: 2, mem: 64M}\n",
    )?;
    let login = machine.as_root().bound(BOUND).input(CONTEND);
    let output = login.ok("python3 -")?;
    let mut rounds: BTreeMap<usize, Vec<Got>> = BTreeMap::new();
    for line in output.stdout.lines() {
        let figures: Result<Vec<u32>, _> = line.split(' ').map(str::parse).collect();
        let Ok([contenders, weight, quota, used]) = figures.as_deref() else {
            return Err(format!("'{line}' is not understood: {output}").into());
        };
        let got = Got {
            weight: f64::from(*weight),
            limit: f64::from(*quota) / 100_000.0,
            used: f64::from(*used),
        };
        let contenders = usize::try_from(*contenders).map_err(|error| error.to_string())?;
        rounds.entry(contenders).or_default().push(got);
    }
    assert_eq!(rounds.keys().copied().collect::<Vec<_>>(), [2, 3, 4, 8, 16]);
    let mut unfair = Vec::new();
    for (contenders, all) in &rounds {
        assert_eq!(all.len(), *contenders);
        let total: f64 = all.iter().map(|got| got.used).sum();
        let shares: Vec<String> = all
            .iter()
            .map(|got| format!("{:.1}%/{}", 100.0 * got.used / total, got.weight))
            .collect();
        let jain = jain_index(all.iter().map(|got| got.used / total / got.weight));
        println!(
            "{contenders} contenders: Jain index {jain:.4}, share/weight {}",
            shares.join(" ")
        );
        for got in all {
            assert!((got.weight - got.limit * 100.0).abs() < 0.5, "{got:?}");
        }
        if jain < FAIR {
            unfair.push(*contenders);
        }
    }
    assert_eq!(unfair, [0; 0], "these numbers of contenders were unfair");
    machine.wait_until(
        "the contenders' slices to go",
        LOGOUT,
        "! ls -d /sys/fs/cgroup/user.slice/user-20*.slice 2>/dev/null",
    )
}

/// 1 where all have the same, 1/n where one has everything.
fn jain_index(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().fold(0.0, |count, _| count + 1.0);
    let sum: f64 = values.clone().sum();
    let squares: f64 = values.map(|value| value * value).sum();
    sum * sum / (count * squares)
}
