"""What a run is, and how it changes: no clock, no I/O, no randomness. The rest of the engine is a shell around this.

`model` has the nouns and `reducer` the verb; `codec` and `snapshot` say how both are written down.
"""
