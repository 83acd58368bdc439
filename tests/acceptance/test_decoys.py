"""`models inspect` does not call the names in a pickle complete when its writer could have hidden others."""


def test_a_pickle_that_pushes_decoys_is_shown_with_perhaps_others(cli, job):
    model = job.root / "decoys.pkl"
    # Two harmless texts are pushed over the two that are used, and dropped again.
    model.write_bytes(b"\x80\x04\x8c\x02os\x8c\x06system\x8c\x04math\x8c\x04sqrt00\x93.")
    told = cli("models", "inspect", model, "--job", job.job).stdout
    assert "and perhaps others (it cannot be told without loading it)" in told


def test_a_plain_pickle_is_shown_without_perhaps(cli, job, tmp_path):
    model = tmp_path / "plain.pkl"
    model.write_bytes(b"\x80\x04\x8c\x04math\x8c\x04sqrt\x93.")
    told = cli("models", "inspect", model, "--job", job.job).stdout
    assert "math.sqrt" in told
    assert "perhaps others" not in told
