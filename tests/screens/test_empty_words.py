from tui_tuner.screens.empty_words import empty_words


def test_keys_stand_in_a_column_and_keep_their_words() -> None:
    words = empty_words("No runs yet.\n\nt  tunes a model\nF4  takes a path")
    assert words.plain == "No runs yet.\n\nt   tunes a model\nF4  takes a path"
    assert [words.plain[one.start : one.end] for one in words.spans if "$you" in str(one.style)] == ["t   ", "F4  "]
