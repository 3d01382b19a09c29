//! What the gateway promises, one file per promise, through a real pingora server and a real S3 server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests stand outside the core")]

mod harness;
#[path = "../simulator/mod.rs"]
mod simulator;

mod a_sample_covers_the_truth;
mod a_sample_shows_who_solves;
mod addresses_are_believed_from_proxies_only;
mod all_solvers_agree;
mod anubis_answers_are_kept;
mod anubis_policies_are_carried_over;
mod architecture;
mod auto_protects_while_the_evidence_says_so;
mod bad_configuration_is_refused;
mod browsers_are_told_what_to_do;
mod browsers_of_both_kinds_pass;
mod browsers_pass_and_read;
mod budgets_survive_a_restart;
mod bytes_and_transfers_are_bounded;
mod certificates_prove_who_they_are;
mod challenges_are_bound_and_spent;
mod clients_may_move;
mod connections_are_bounded;
mod crawlers_are_told_to_stay_away;
mod credentials_come_from_files_and_chain;
mod doctor_says_what_to_do;
mod explain_tells_the_path;
mod fetch_solves_resumes_and_verifies;
mod guides_run_as_written;
mod http2_is_bounded;
mod keys_and_tokens_are_made;
mod keys_are_rotated_without_a_restart;
mod keys_of_issuers_are_kept_fresh;
mod limits_bound_one_client;
mod listings_hide_what_is_private;
mod logs_are_read_from_buckets;
mod nothing_is_smuggled;
mod numbers_add_up;
mod objects_arrive_as_the_origin_sends_them;
mod operators_decide_at_runtime;
mod operators_see_what_happens;
mod ordered_origins_are_asked_for_what_they_have;
mod origins_fail_over_and_fail_honestly;
mod other_proxies_ask;
mod paths_have_one_reading;
mod policies_act_as_they_say;
mod policies_are_tested_by_their_cases;
mod private_stays_private;
mod processes_follow_one_another;
mod prometheus_rules_hold;
mod proxies_speak_first;
mod redirects_lead_to_what_is_public;
mod refusals_speak_the_clients_dialect;
mod reloads_change_all_or_nothing;
mod replicas_share_what_they_count;
mod reports_are_right;
mod s3_clients_work;
mod schemas_say_what_is_accepted;
mod scrapers_are_found;
mod serving_needs_no_file;
mod signatures_are_verified;
mod sites_are_addressed_by_host_and_prefix;
mod the_engine_agrees_with_a_naive_one;
mod the_guide_is_right;
mod the_ledger_remembers;
mod the_reference_policy;
mod the_second_store_goes_when_nobody_needs_it;
mod the_simulator_is_repeatable;
mod those_without_scripts_wait;
mod three_gateways_count_as_one;
mod tls_is_spoken;
mod tokens_open_what_they_are_for;
mod tokens_prove_who_they_are;
mod urllib_downloads_images;
