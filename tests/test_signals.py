"""Ctrl-C and SIGTERM: the first asks the run to stop, the second stops it."""

import signal
import threading

import pytest

from nstjax.run.signals import stop_requests

BOTH = (signal.SIGINT, signal.SIGTERM)


def handlers():
    return [signal.getsignal(number) for number in BOTH]


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_is_a_request(number):
    with stop_requests() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        assert stop.number == number


def test_the_second_ctrl_c_interrupts_as_usual():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs don't have
    try:
        with stop_requests():
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_second_sigterm_has_the_effect_it_had_before():
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with stop_requests():
            signal.raise_signal(signal.SIGTERM)
            assert received == []
            signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_handlers_are_given_back():
    before = handlers()
    with stop_requests():
        assert handlers() != before
        signal.raise_signal(signal.SIGINT)
    assert handlers() == before
    with pytest.raises(ValueError, match="mine"), stop_requests():
        raise ValueError("mine")
    assert handlers() == before


def test_another_thread_is_never_asked_and_touches_no_handler():
    before, seen = handlers(), []

    def body():
        with stop_requests() as stop:
            seen.append((handlers(), stop.requested))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [(before, False)]
