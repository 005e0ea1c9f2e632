"""What every language has a word for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One language. Placeholders are named; each template says the whole sentence."""

    language: str
    deeds: Mapping[str, str]
    """What was done, for responses everybody knows: "approved"."""
    deed_other: str
    labels: Mapping[str, str]
    """What a button is called that no author has put into words, by its response."""
    questions: Mapping[str, str]
    """What no author asks but we, by name; Markdown."""
    answers: Mapping[str, str]
    """What a button below one of these is called, by its response."""
    thousands: str
    """What stands between the thousands of a number."""
    moment: str
    """A time as each reader sees it: Slack fills in ``{date_short_pretty}`` and ``{time}``."""
    list_and: str
    list_or: str
    # what an answer is told
    accepted: str
    accepted_of: str
    recorded: str
    already: str
    already_you: str
    already_nobody: str
    outdated: str
    outdated_link: str
    outdated_link_text: str
    expired: str
    cancelled: str
    cancelled_by: str
    not_allowed: str
    not_allowed_anyone: str
    invalid: str
    unknown: str
    lost: str
    # who cannot answer
    unchecked: str
    guest: str
    stranger: str
    deactivated: str
    bot: str
    too_few_left: str
    taken_as: str
    """What words in a thread were taken as."""
    # what a reply is told that is no answer
    not_understood: str
    not_understood_buttons: str
    needs_text: str
    needs_button: str
    needs_form: str
    # what is wrong with a field of a form
    form_changed: str
    form_broken: str
    field_missing: str
    field_number: str
    field_whole: str
    field_least: str
    field_more: str
    field_most: str
    field_less: str
    field_places: str
    field_digits: str
    field_short: str
    field_long: str
    field_few: str
    field_many: str
    field_choice: str
    field_time: str
    field_pattern: str
    field_other: str
    # what a command is told
    empty_text: str
    empty_text_usage: str
    too_long: str
    unknown_command: str
    unknown_command_none: str
    not_recorded: str
    """Of what is told the same when it comes again."""
    not_started: str
    """Of a command: typed again it is another."""
    too_often: str
    not_in_channel: str
    not_in_conversation: str
    closed_channel: str
    not_readable: str
    # on messages
    asked_by: str
    concerns: str
    version: str
    may_answer: str
    votes_needed: str
    votes_so_far: str
    deadline: str
    deadline_or: str
    reminded: str
    reply_hint: str
    no_text: str
    goes_on_in_file: str
    read_whole: str
    whole_text: str
    edit: str
    too_long_to_edit: str
    locked_edited: str
    locked: str
    locked_nobody: str
    locked_votes: str
    locked_expired: str
    locked_cancelled: str
    locked_cancelled_by: str
    notification: str
    result_none: str
    parked: str
    timed_out: str
    reminder: str
    asked_privately: str
    # what leaves a question open
    menu_hand_on: str
    menu_details: str
    hand_on_title: str
    hand_on_label: str
    details_title: str
    details_label: str
    handed_on: str
    handed_on_beside: str
    handed_to_nobody: str
    handed_to_requester: str
    handed_already: str
    handed_to_barred: str
    handed_to_too_few: str
    handed_by_group: str
    not_yours_to_hand_on: str
    not_to_hand_on: str
    details_asked: str
    details_sent: str
    asked_too: str
    escalated: str
    not_asked: str
    not_posted: str
    modal_not_opened: str
    nothing_open: str
    edited_reply: str
    failed: str
    failed_why: str
    stopped: str
    # on modals
    comment_label: str
    comment_hint: str
    comment_why: str
    text: str
    edit_text: str
    edit_hint: str
    comment_missing: str
    yes: str
    no: str
    send: str
    close: str
    confirm_title: str
    confirm_yes: str
    confirm_no: str
    notice_title: str
    # where the app is installed
    not_installed: str
    installed: str
    installed_where: str
    not_installed_title: str
    install_again: str
    install_declined: str
    install_expired: str
    install_elsewhere: str
    install_refused: str
    install_later: str
    install_too_often: str
    # on lists of runs
    statuses: Mapping[str, str]
    """How a run stands, for each `RunStatus`."""
    runs_usage: str
    not_looked_up: str
    runs_title: str
    runs_title_page: str
    runs_none: str
    runs_unknown: str
    run_started: str
    run_waits: str
    run_open: str
    run_id: str
    run_cancel: str
    run_cancel_sure: str
    run_cancel_confirm: str
    run_cancelled: str
    run_over: str
    votes_count: str
    anybody: str
    question_elsewhere: str
    message_without_text: str
    unknown_shortcut: str
    home_waiting: str
    home_nothing_waiting: str
    home_started: str
    home_nothing_started: str
    home_recent: str
    home_too_long: str
    newer: str
    older: str
