"""Signals: the first is a wish, the second an order."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from pipeline.runtime.stopping import SIGNALS, stopping


def send(number, after=0.0):
    """A signal to this process, as from outside."""
    threading.Timer(after, os.kill, (os.getpid(), number)).start()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_ends_a_pause_and_nothing_else(number):
    with stopping() as stopped:
        send(number, after=0.05)
        began = time.monotonic()
        assert stopped.wait(30.0)
        assert time.monotonic() - began < 10.0
        assert stopped.is_set()


def test_without_a_signal_a_pause_takes_its_time():
    with stopping() as stopped:
        assert not stopped.wait(0.01)
        assert not stopped.is_set()


def test_the_second_signal_ends_at_once():
    with stopping() as stopped:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped.wait(5.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_what_handled_signals_before_handles_them_again():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with stopping():
        assert {n: signal.getsignal(n) for n in SIGNALS} != before
    assert {n: signal.getsignal(n) for n in SIGNALS} == before


def test_a_loop_that_ends_itself_can_still_be_asked_to():
    with stopping() as stopped:
        stopped.set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped.wait()


def test_a_signal_within_a_pause_of_no_length_is_no_deadlock():
    with stopping() as stopped:
        send(signal.SIGTERM, after=0.02)
        ends = time.monotonic() + 10.0
        turns = 0
        while not stopped.wait(0.0):
            turns += 1
            assert time.monotonic() < ends
    assert turns


def test_another_thread_gets_the_event_and_no_signals():
    before = signal.getsignal(signal.SIGTERM)
    told = []

    def work():
        with stopping() as stopped:
            told.append((signal.getsignal(signal.SIGTERM), stopped.wait(0.0)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == [(before, False)]
