//! Variables that tell programs how many CPUs they have.
//!
//! The set is closed, and the module sets nothing that is not in it: whoever answers in the daemon's
//! place must not choose what a login's `LD_PRELOAD` or `PATH` is.

/// The variables, in the order of their names. What stands in front of the number of CPUs is the
/// second part. Each is a variable that its program documents.
const TABLE: [(&str, &str); 12] = [
    ("BLIS_NUM_THREADS", ""),
    ("CARGO_BUILD_JOBS", ""),
    ("CMAKE_BUILD_PARALLEL_LEVEL", ""),
    ("GOMAXPROCS", ""),
    ("JULIA_NUM_THREADS", ""),
    // GNU make takes options from it; those on its command line win.
    ("MAKEFLAGS", "-j"),
    ("MKL_NUM_THREADS", ""),
    ("NUMBA_NUM_THREADS", ""),
    ("NUMEXPR_NUM_THREADS", ""),
    ("OMP_NUM_THREADS", ""),
    ("OPENBLAS_NUM_THREADS", ""),
    ("RAYON_NUM_THREADS", ""),
];

/// The most digits of a number of CPUs: that of [`Cpus::MAX`](crate::Cpus::MAX).
const MOST_DIGITS: usize = 6;

/// The names of the variables that policy may have set, in their order.
pub const VARIABLES: [&str; TABLE.len()] = {
    let mut names = [""; TABLE.len()];
    let mut index = 0;
    while index < names.len() {
        #[expect(clippy::indexing_slicing, reason = "checked while it is compiled")]
        {
            names[index] = TABLE[index].0;
        }
        index += 1;
    }
    names
};

/// The value of a variable for so many CPUs; `None` for one that is not in [`VARIABLES`].
pub fn variable_for(name: &str, cpus: u64) -> Option<String> {
    Some(format!("{}{}", prefix(name)?, cpus.max(1)))
}

/// Whether a login may be given this variable: it is in [`VARIABLES`], and the value is of the form
/// that [`variable_for`] gives it.
pub fn is_variable(name: &str, value: &str) -> bool {
    let Some(number) = prefix(name).and_then(|prefix| value.strip_prefix(prefix)) else {
        return false;
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    digits && (1..=MOST_DIGITS).contains(&number.len()) && !number.starts_with('0')
}

fn prefix(name: &str) -> Option<&'static str> {
    let (_, prefix) = TABLE.iter().find(|(known, _)| *known == name)?;
    Some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_may_be_set_to_its_own_value() {
        for name in VARIABLES {
            for cpus in [0, 1, 100_000] {
                let value = variable_for(name, cpus).unwrap();
                assert!(is_variable(name, &value), "{name}={value}");
            }
        }
        assert_eq!(variable_for("MAKEFLAGS", 4).as_deref(), Some("-j4"));
        assert!(VARIABLES.is_sorted());
    }

    #[test]
    fn nothing_else_may_be_set() {
        for (name, value) in [
            ("LD_PRELOAD", "1"),
            ("PATH", "1"),
            ("BASH_ENV", "1"),
            ("omp_num_threads", "1"),
            ("", "1"),
            ("OMP_NUM_THREADS", ""),
            ("OMP_NUM_THREADS", "0"),
            ("OMP_NUM_THREADS", "-1"),
            ("OMP_NUM_THREADS", "1\n"),
            ("OMP_NUM_THREADS", "1000000"),
            ("MAKEFLAGS", "4"),
            ("MAKEFLAGS", "-j4 -f/tmp/x"),
            ("MAKEFLAGS", "--eval=x"),
        ] {
            assert!(!is_variable(name, value), "{name}={value}");
        }
        assert_eq!(variable_for("PATH", 1), None);
    }
}
