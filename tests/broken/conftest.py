"""Failures of a shipped suite show their values, as those of a test do."""

import pytest

pytest.register_assert_rewrite("scoreline.testing")
