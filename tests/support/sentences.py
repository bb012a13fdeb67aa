"""What each rule of trust says, clause by clause, and the tests that prove it. `make rules` prints it and holds it."""

from __future__ import annotations

CLAUSES: dict[str, dict[str, tuple[str, ...]]] = {
    "R1": {
        "signed over the raw bytes, before parsing": (
            "test_r1_the_signature_is_over_the_raw_bytes",
            "test_r1_signatures",
        ),
        "no signature, or another algorithm: nothing is stored": (
            "test_r1_without_a_right_signature_nothing_is_stored",
        ),
        "a body has at most 2 MiB": ("test_r1_a_body_that_is_too_large_is_not_read_to_its_end",),
        "two secrets while one is rotated out": ("test_r1_both_secrets_serve_while_one_is_rotated_out",),
        "only repositories that are served": ("test_r1_a_repository_that_is_not_served_leaves_no_trace",),
    },
    "R2": {
        "one transaction stores the delivery and its commands": (
            "test_r2_a_delivery_and_its_command_are_one_transaction_and_a_repeat_changes_nothing",
        ),
        "then the answer": ("test_r2_a_command_is_stored_before_it_is_answered",),
        "store down: 503": ("test_r2_while_the_ledger_is_away_the_forge_is_told_to_come_again",),
    },
    "R3": {
        "failed deliveries are found again": ("test_r3_failed_deliveries_are_sent_again",),
        "missed comments are found again": (
            "test_r3_a_comment_that_nobody_delivered_is_found_and_runs_once",
        ),
        "stale commands that cannot be undone are reported": (
            "test_r3_a_deployment_that_is_found_too_late_is_told_and_not_done",
            "test_r3_what_can_be_undone_is_carried_out_late_too",
        ),
    },
    "R4": {
        "only new comments on open pull requests": (
            "test_r4_a_comment_on_an_open_pull_request",
            "test_r4_other_comments_are_no_event",
            "test_r4_only_a_new_comment_is_a_command",
        ),
        "every other event only pokes": ("test_r4_the_others_only_poke",),
        "ASCII identifiers": ("test_r4_identifiers", "test_r4_what_is_no_identifier"),
        "one validator: comment, command line, configuration, ledger": (
            "test_r4_what_is_read_back_passes_the_same_checks",
            "test_r4_every_door_has_the_same_idea_of_a_name",
        ),
        "the grammar is total": ("test_r4_any_comment_is_read_and_what_was_understood_is_understood_again",),
    },
    "R5": {
        "people, and apps that the operator lists": ("test_r5_who_is_human", "test_r5_r6_who_may_deploy"),
        "gone or edited: refused": (
            "test_r5_a_comment_that_was_edited_or_deleted_meanwhile_deploys_nothing",
        ),
        "read again on the way": ("test_r5_r8_a_comment_that_is_deleted_during_the_canary_promotes_nothing",),
    },
    "R6": {
        "the answer's numeric id must be the author's": (
            "test_r6_a_login_that_another_took_over_is_unknown",
        ),
        "role_name counts": ("test_r6_the_role_name_counts",),
        "believed for a minute at most": ("test_r6_a_permission_is_believed_for_less_than_a_minute",),
        "an API error is a no": ("test_r6_an_error_is_a_no", "test_r5_r6_who_may_deploy"),
        "every role and team that is asked for": (
            "test_r6_every_team_and_role_that_is_asked_for_is_needed_and_none_makes_up_for_another",
        ),
        "neither the author's approval nor the last pusher's": (
            "test_r6_r8_r8b_which_approvals_count",
            "test_r6_r8b_whose_approval_counts_and_for_which_commit",
            "test_r6_only_a_push_makes_its_sender_the_last_pusher",
        ),
        "nor, where the rules say so, the asker's": (
            "test_r6_the_one_who_asks_may_approve_unless_the_rules_want_another",
        ),
        "at execution, at every step": (
            "test_r6_r8_a_role_that_is_taken_away_during_the_canary_promotes_nothing",
        ),
    },
    "R7": {
        "deliveries keep the head; a command pins from it": (
            "test_r7_a_pull_request_carries_its_head",
            "test_r7_a_command_pins_the_head_that_the_ledger_knew_when_it_arrived",
        ),
        "no row: late, and then --sha is needed": (
            "test_r7_what_cannot_be_undone_needs_its_commit_named_where_no_delivery_told_it",
            "test_r7_which_commit_is_meant",
        ),
        "the live head is another: superseded": (
            "test_r7_a_push_that_the_command_did_not_see_supersedes_it",
        ),
        "fetched by sha and verified": (
            "test_r7_the_tree_of_exactly_that_commit",
            "test_r7_only_a_whole_commit_id",
        ),
    },
    "R8": {
        "head, base, open state and comment, again": (
            "test_r5_r8_r9_r10_what_the_pull_request_must_be_at_the_beginning_and_at_every_step",
        ),
        "approvals and checks, again": (
            "test_r8_r8b_an_approval_that_is_dismissed_during_the_canary_promotes_nothing",
            "test_r8_r16_which_checks_let_it_through",
        ),
        "before each shift, the promotion and the merge": (
            "test_r8_every_shift_of_traffic_waits_for_the_gates_to_be_read_again",
            "test_r8_no_traffic_is_shifted_past_a_gate_that_does_not_hold_any_more",
        ),
        "merge passes sha": ("test_r8_a_moved_head_is_not_merged", "test_r8_merging"),
        "rules that changed stop it": ("test_r8_rules_that_changed_on_the_way_are",),
    },
    "R8b": {
        "its commit, the latest, not dismissed, by a writer": (
            "test_r6_r8_r8b_which_approvals_count",
            "test_r6_r8b_whose_approval_counts_and_for_which_commit",
        ),
    },
    "R9": {
        "refused until a writer allows the commit": (
            "test_r9_a_fork_runs_only_at_the_commit_that_was_allowed",
            "test_r9_who_may_allow_which_commit_of_a_fork",
            "test_r9_a_repository_cannot_let_readers_allow_forks",
        ),
        "not remembered over a push": ("test_r9_what_was_allowed_is_not_remembered_past_a_push",),
        "never deployed": ("test_r9_a_fork_runs_at_the_commit_that_was_allowed_and_is_never_deployed",),
    },
    "R10": {
        "rules from the default branch": (
            "test_r10_rules_and_work_have_two_sources",
            "test_r10_a_pull_request_that_softens_the_rules_is_told_so_and_judged_by_those_of_the_default_branch",
        ),
        "or from where the operator says": (
            "test_r10_the_rules_branch_may_be_the_operators",
            "test_r10_the_operator_may_name_another_branch_for_the_rules",
        ),
        "the base must be that branch": (
            "test_r10_a_base_of_ones_own_choice_brings_no_rules_and_is_not_deployed",
        ),
        "the adopting pull request runs and is not deployed": (
            "test_r10_the_pull_request_that_adopts_kfops_runs_and_is_not_deployed",
        ),
        "model names, namespaces, image repositories": (
            "test_r10_model_namespace_and_registry_are_granted_by_name",
            "test_r10_what_the_operators_policy_refuses_is_refused",
        ),
        "data prefixes": ("test_r10_data_within_reach", "test_r10_data_out_of_reach"),
        "the policy only tightens": ("test_r10_nothing_is_ever_loosened",),
    },
    "R11": {
        "no credentials, a clean environment, in /proc too": (
            "test_r11_the_environment_is_clean",
            "test_r11_no_process_shows_an_environment_of_ours",
        ),
        "an unprivileged user, and no files of ours": (
            "test_r11_the_user_has_no_rights",
            "test_r11_our_files_are_not_there",
        ),
        "limits on memory, processes, files and time": (
            "test_r11_memory_has_an_end",
            "test_r11_a_fork_bomb_meets_its_limit",
            "test_r11_a_file_and_the_scratch_space_have_an_end",
            "test_r11_processor_time_has_an_end",
        ),
        "no network": ("test_r11_loopback_and_the_world_are_out_of_reach",),
        "the package is hostile data": (
            "test_r11_what_is_no_package_is_refused",
            "test_r11_an_input_whose_name_is_no_name_is_refused",
            "test_r10_r11_a_step_in_an_image_that_is_not_granted_is_refused_before_anything_runs",
            "test_r11_platform_settings_are_held_against_the_list",
        ),
        "outputs are opened without following links": ("test_r11_links_among_the_outputs_lead_nowhere",),
    },
    "R12": {
        "labels, titles and comments decide nothing": (
            "test_r12_labels_titles_and_forged_replies_decide_nothing",
        ),
        "a marker finds the bot's own comment only": (
            "test_r12_the_bots_own_comment_is_found_again_whatever_others_put_into_theirs",
        ),
    },
    "R13": {
        "a model bears repository, pull request, commit and digest": (
            "test_r13_what_serves_bears_its_pull_request_its_commit_and_its_digest",
        ),
        "a run of this very commit": (
            "test_r13_a_run_of_another_commit_or_of_another_pull_request_is_no_run_of_this_one",
        ),
        "the same digest from staging to production": (
            "test_r13_the_digest_that_staging_serves_is_the_one_that_production_gets",
        ),
    },
    "R14": {
        "owned, compared and deleted": ("test_r14_a_lock_is_owned_compared_and_deleted",),
        "leased and fenced": ("test_r14_a_worker_paused_past_its_lease_can_write_nothing_any_more",),
        "in the way of everybody else": (
            "test_r14_whose_lock_is_in_the_way",
            "test_r14_whose_lock_may_be_let_go",
        ),
    },
    "R15": {
        "a fence longer than any in it": ("test_r15_a_fence_is_one_code_block",),
        "mentions nobody, balanced, within the limit": (
            "test_r15_any_text_keeps_the_reply_whole_and_mentions_nobody",
            "test_r15_any_text_in_any_answer_is_neutralised_in_the_comment_itself",
            "test_r15_any_text_in_any_state_keeps_the_comment_whole_and_its_secrets_masked",
            "test_r15_any_length_fits_the_limit",
        ),
        "no control or bidirectional characters": ("test_r15_no_control_or_format_character_stays",),
        "secrets by value and by pattern": (
            "test_r15_no_masked_secret_is_in_the_reply",
            "test_r15_secrets_by_pattern",
        ),
    },
    "R16": {
        "protection and rulesets, all pages": ("test_r16_from_protection_and_rulesets_over_all_pages",),
        "the newest per app and name; unknown is no": (
            "test_r16_how_a_check_stands",
            "test_r8_r16_which_checks_let_it_through",
        ),
        "the bot's own excluded": ("test_r16_a_deploy_does_not_wait_for_what_the_bot_would_report",),
    },
    "R17": {
        "one repository, one purpose, an hour": ("test_r17_a_token_is_for_one_repository_and_purpose",),
        "in headers only": (
            "test_r17_credentials_are_in_headers_only",
            "test_r17_the_token_is_in_the_environment_alone",
        ),
    },
    "R18": {
        "deployments and check runs end": (
            "test_r18_deployments_and_check_runs_reach_their_end_when_all_goes_well",
            "test_r18_nothing_outside_is_left_open_whatever_ends_a_rollout",
        ),
    },
    "R19": {
        "a role of its own and a reason, shown and written down": (
            "test_r19_force_needs_its_own_role_and_a_reason_and_is_shown_and_written_down",
        ),
        "only what it names": ("test_r19_force_skips_the_gate_that_it_names_and_no_other",),
        "never permission, commit, lock or policy": (
            "test_r19_no_force_reaches_permission_commit_lock_or_policy",
        ),
    },
    "R20": {
        "a recorded digest": (
            "test_r20_a_revision_is_named_by_its_version_or_by_enough_of_its_digest",
            "test_r20_the_last_good_revision_is_none_that_was_taken_back",
        ),
        "skips order, checks and review": (
            "test_r20_a_rollback_skips_order_and_review_and_the_state_of_the_pull_request",
        ),
        "still takes the lock": (
            "test_r20_a_rollback_is_refused_where_there_is_nothing_or_a_person_holds_the_environment",
        ),
        "aborts what is under way": (
            "test_r20_a_rollback_aborts_the_rollout_that_is_under_way_and_stays_with_what_served_beside_it",
        ),
    },
    "R21": {
        "the commands' own authoriser": ("test_r21_pages_and_api_refuse_the_same_people",),
        "no GET changes anything": ("test_r21_no_get_changes_what_the_ledger_holds",),
        "forms carry a token": ("test_r21_signing_out_needs_the_token_of_the_form",),
    },
}
