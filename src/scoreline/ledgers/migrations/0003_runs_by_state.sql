-- Each run asks for runs of its partition in one state: whoever has a long history must not read all of it.
CREATE INDEX runs_by_state ON runs (job, partition, state, sequence);
