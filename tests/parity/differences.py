"""Where the two engines part on purpose, and why. A scenario that stands here must really differ."""

DIFFERENCES: dict[str, str] = {
    "bodies_of_a_collecting_step": "The body of a step that collects runs once for each event; theirs is run again "
    "whenever another event came in between.",
    "internal_events_from_before_anybody_watched": "Internal events are made for whoever watches; theirs are kept for "
    "a run that nobody ever watches, without limit.",
    "fields_of_a_stop_event": "A StopEvent's undeclared fields are in its dump; theirs drops them.",
    "a_wait_with_a_prompt": "`wait_for_event(T, prompt=p)` asks p, as people expect; theirs has no such parameter.",
    "two_waits_for_the_same_kind_of_event": "Each wait keeps its own answer; theirs gives the last one to all.",
    "two_waits_without_names": "Waits are told apart by their place in the step; theirs never asks the second.",
    "a_wait_inside_except_exception": "The pause is no Exception, so that a step's `except Exception` cannot "
    "swallow it.",
    "a_value_that_does_not_fit_typed_state": "Typed state validates what is set; theirs takes anything.",
    "an_index_past_the_end_of_a_list": "The error is an IndexError; theirs says that a list has no attribute '7'.",
    "effects_of_an_attempt_that_failed": "An effect of a call counts once, however often the call runs; theirs are "
    "made again by each attempt.",
    "the_event_that_ended_a_failed_run": "The event that ended a run can be had without its error, whatever it is; "
    "theirs is None, or the error again.",
    "the_words_of_a_cancellation": "The error says what happened; theirs is empty.",
    "the_stream_of_a_run_that_goes_on": "It begins with the questions that are still open, so that a new process can "
    "ask them; theirs shows what is new.",
    "an_answer_before_the_run_goes_on": "A restored context takes an answer before it is run; theirs wants it run "
    "first.",
    "an_answer_just_before_the_snapshot": "What was sent is in the snapshot from then on; theirs loses it.",
    "store_writes_of_a_step_at_work": "A step that runs again after a restore does not write twice; theirs does.",
    "one_that_asks_whoever_streams_the_outer_run": "The question of a workflow that a step runs is asked by the step's "
    "run; theirs is in a stream that nobody reads, until the run times out.",
    "what_is_no_snapshot_at_all": "One type of error for whatever is wrong; theirs takes some, and fails in its own "
    "code on others.",
    "an_event_after_the_end": "Who sends an event after the end is told; theirs drops it in silence.",
    "what_is_sent_that_is_no_event": "Who sends what is no event is told; theirs drops it in silence.",
    "streams_through_the_context": "Internal events come on request, whichever way the run is streamed; theirs are "
    "always in the context's stream.",
    "keywords_beside_a_start_event": "That keywords are ignored is a warning, which a test suite can make an error; "
    "theirs is a line in the log.",
    "two_events_joined_with_internal_events": "A join is told as called with what it joins; theirs with whichever "
    "event came last.",
    "a_question_that_is_sent": "A question that a step sends is shown like one that it returns; theirs is shown to "
    "nobody.",
    "a_step_that_raises_cancelled": "A step that awaits something cancelled fails; theirs is never heard of again.",
    "a_run_after_a_timed_out_one_in_one_context": "A new run asks its questions; theirs takes that of the run before "
    "for asked.",
    "cancelling_a_step_that_takes_its_time": "Whoever cancels waits as long as they said; theirs waits for the step.",
    "values_that_json_has_no_word_for": "Dates, UUIDs, decimals, sets, bytes, tuples and keys that are no text come "
    "back as they were; theirs fails on most and changes the others.",
    "a_snapshot_of_dates_and_decimals": "So they do in a snapshot.",
}
