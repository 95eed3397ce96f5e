//! End-to-end scenarios in a real machine.
//!
//! `cargo test -p fairshare-tests --test e2e` boots one machine, installs the packages that
//! `cargo xtask dist` made, and runs one scenario after the other in it. Which Debian it is
//! says `FAIRSHARE_LAB_RELEASE` (debian13 unless set); with `FAIRSHARE_LAB_KEPT=1` the machine
//! that `lab up` keeps is used, which saves the boot, with what `cargo build --release` made in the
//! place of what the packages installed.
//!
//! A scenario is a function of the machine in a file by topic, and a line in the table below.
//! Before each, [`Machine::reset`](fairshare_tests::Machine::reset) brings the machine back to
//! how it was installed.

mod directory;
mod doctor;
mod examples;
mod failure;
mod grant;
mod harness;
mod history;
mod hooks;
mod incidents;
mod kernel;
mod lease;
mod limits;
mod login;
mod metrics;
mod notices;
mod packages;
mod placement;
mod policy;
mod queue;
mod security;
mod service;
mod sharing;
mod socket;
mod strays;
mod top;
mod transfer;

use std::process::ExitCode;

use harness::scenarios;

fn main() -> ExitCode {
    harness::run(&scenarios![
        on_each:
        login::each_account_can_log_in,
        limits::the_first_command_is_limited,
        limits::swap_and_shaping_are_policys,
        limits::cpu_hogs_share_their_quota,
        limits::tasks_end_at_their_number,
        limits::limits_outlive_reloads_and_restarts,
        limits::what_wins_over_a_limit_is_told,
        limits::an_administrators_unit_file_is_respected,
        grant::a_grant_ends_with_the_last_session,
        grant::what_is_left_behind_stays_limited,
        grant::shrinking_below_use_needs_force,
        grant::a_reload_changes_who_is_logged_in,
        placement::user_managers_and_tmux_stay_inside,
        placement::su_and_sudo_stay_with_the_caller,
        placement::cron_jobs_are_adopted,
        placement::terminating_a_user_still_works,
        placement::a_reload_during_a_session_spoils_no_later_login,
        placement::without_logind_the_slice_is_our_own,
        placement::policy_can_ask_for_our_own_slice,
        placement::a_hook_opens_and_closes_sessions,
        policy::a_group_decides_from_the_first_command_on,
        policy::a_wrong_file_is_shown_and_changes_nothing,
        lease::a_lease_ends_and_kills_nothing,
        notices::what_was_missed_is_told_at_the_next_login,
        transfer::files_arrive_unharmed,
        security::no_user_leaves_the_slice_or_lifts_its_limits,
        security::the_daemon_has_no_network,
        strays::a_cron_job_is_adopted_and_a_service_is_not,
        incidents::a_kill_and_a_fork_bomb_are_noticed,
        examples::the_greeting_speaks_on_a_terminal_only,
        service::the_unit_shuts_the_daemon_in,
        service::a_hung_daemon_is_started_again,
        service::a_reload_is_told_to_systemd,
        service::apparmor_lets_it_work_and_no_more,
        service::who_was_there_before_is_limited,
        service::who_comes_another_way_is_limited,
        doctor::a_healthy_machine_is_well,
        doctor::each_fault_is_named_with_its_remedy,
        failure::deny_refuses_users_and_never_root,
        failure::a_killed_leader_ends_its_session,
        failure::the_bus_may_die_and_come_back,
        failure::a_full_disk_costs_no_login,
        failure::the_end_of_the_daemon_lifts_no_limit,
        failure::a_wrong_policy_ends_the_start,
        packages::the_module_comes_after_pam_systemd,
        packages::an_upgrade_loses_nothing,
        packages::removed_it_leaves_nothing_and_comes_back;
        on_debian12:
        hooks::hooks_are_told_of_incidents,
        history::use_is_reported_after_all_that_may_come,
        policy::a_reload_under_load_reaches_everybody,
        lease::a_lease_is_within_policy,
        queue::who_waits_has_the_next_room,
        queue::administrators_set_what_others_have,
        directory::groups_come_from_a_directory,
        socket::a_flood_shuts_nobody_out,
        examples::the_c_example_works,
        failure::a_hundred_kills_lose_nothing,
        grant::the_first_versions_lines_work;
        on_debian13:
        metrics::prometheus_collects_what_happens,
        grant::too_much_is_refused_with_figures,
        policy::watch_mode_decides_and_sets_nothing,
        lease::an_idle_grant_is_asked_back,
        queue::a_place_in_the_queue_is_given_up,
        queue::a_budget_is_shared_by_a_group,
        directory::a_hung_name_service_delays_no_login,
        top::the_screen_shows_everybody_and_is_given_back,
        transfer::a_hundred_logins_at_once_are_limited,
        socket::faulty_input_gets_an_error,
        examples::the_python_example_works,
        examples::the_policy_for_a_small_machine_works;
        alone:
        limits::a_memory_hog_dies_alone,
        sharing::a_busy_machine_is_shared_by_allocation,
        failure::an_absent_daemon_costs_nothing,
        failure::a_hanging_daemon_delays_no_login_past_the_deadline;
        alone_on_debian13:
        incidents::a_busy_loop_is_noticed,
        directory::a_large_group_slows_no_login;
    ])
}
