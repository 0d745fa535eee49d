"""How far long work is, where no person sits at a terminal."""

from threading import Event

from vcm.commands.progress import Ticker, shown


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


def test_a_line_says_how_far_and_how_long_still():
    clock = Clock()
    ticker = Ticker("coding", 200, clock=clock)
    ticker.at(80)  # done by an earlier run, in no time
    clock.now = 60
    ticker.at(90)
    assert ticker.line() == "coding: 90 of 200, 11 min left"
    clock.now = 120
    ticker.at(91)  # slower now
    assert ticker.line() == "coding: 91 of 200, 1.8 h left"
    assert ticker.line() == "coding: 91 of 200"
    endless = Ticker("files", None, clock=clock)
    endless.at(7)
    assert endless.line() == "files: 7 so far"


def test_lines_come_while_the_work_is_under_way():
    said, first = [], Event()

    def say(line):
        said.append(line)
        first.set()

    with Ticker("work", 2, say, every=0.001) as ticker:
        ticker.at(1)
        assert first.wait(60)
    count = len(said)
    assert said[-1].startswith("work: ") and not ticker._thread.is_alive()
    first.clear()
    assert not first.wait(0.05) and len(said) == count  # fifty times as long as between two


def test_the_items_are_the_same_and_the_label_is_said_once(capsys):
    assert list(shown(iter("abc"), 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == "letters\n"
