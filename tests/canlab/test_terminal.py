"""canlab on a terminal: what a person types and sees."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess

from tests.canlab.caller import CANLAB, LIMIT, OnTerminal, run


def test_a_terminal_inside_is_a_terminal_with_its_size() -> None:
    on = OnTerminal("sh", "-c", "test -t 0 && test -t 1 && tty && stty size")
    on.wait_for(b"33 77")
    assert b"/dev/pts/" in on.seen
    assert on.end() == 0


def test_a_new_size_reaches_the_command() -> None:
    on = OnTerminal(
        "sh", "-c", "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.1; done"
    )
    on.wait_for(b"up")
    on.resize(44, 55)
    on.wait_for(b"44 55")
    assert on.end() == 0


def test_what_is_typed_reaches_the_command_once() -> None:
    """Echoed once, by the inner terminal; Ctrl-D ends the input."""
    on = OnTerminal("sh", "-c", 'echo up; read a; echo "<$a>"; cat; echo over')
    on.wait_for(b"up\r\n")
    on.type(b"abc\r")
    on.wait_for(b"abc\r\n<abc>\r\n")
    on.type(b"\x04")
    on.wait_for(b"over\r\n")
    assert on.seen == b"up\r\nabc\r\n<abc>\r\nover\r\n"
    assert on.end() == 0


def test_ctrl_c_interrupts_the_command() -> None:
    """And not canlab, which waits for what the command makes of it."""
    on = OnTerminal("sh", "-c", "trap 'echo caught; exit 3' INT; echo up; sleep 1000")
    on.wait_for(b"up")
    on.type(b"\x03")
    on.wait_for(b"caught")
    assert on.end() == 3


def test_ctrl_z_stops_the_command_and_fg_continues_it() -> None:
    """For the shell it is a job as any; keys go to the command again after `fg`."""
    inner = "sh -c 'echo up; read a; echo got $a; exit 4'"
    script = f"{shlex.join(CANLAB)} {inner}; echo stopped $?; fg >/dev/null; echo ended $?"
    on = OnTerminal("-mc", script, program=("bash", "--norc"))
    on.wait_for(b"up\r\n")
    on.type(b"\x1a")
    on.wait_for(b"stopped 148\r\n")
    on.type(b"x\r")
    on.wait_for(b"got x\r\n")
    on.wait_for(b"ended 4\r\n")
    assert on.end() == 0


def test_where_no_shell_can_continue_it_ctrl_z_does_not_stop_it() -> None:
    """As for any process without a parent in its session."""
    on = OnTerminal("sh", "-c", "echo up; read a; echo got $a")
    on.wait_for(b"up\r\n")
    on.type(b"\x1a")
    on.type(b"x\r")
    on.wait_for(b"got x\r\n")
    assert on.end() == 0


def test_a_stop_signal_stops_the_command_and_canlab() -> None:
    """A caller that waits for canlab sees the stop, and continues both."""
    with subprocess.Popen(
        [*CANLAB, "sh", "-c", "echo up; read a; echo got $a"],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        process_group=0,
    ) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == b"up\n"
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        process.send_signal(signal.SIGTSTP)
        signal.sigtimedwait({signal.SIGCHLD}, LIMIT)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _, status = os.waitpid(process.pid, os.WNOHANG | os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        process.stdin.write(b"x\n")
        process.stdin.close()
        assert process.stdout.readline() == b"got x\n"
        assert process.wait(LIMIT) == 0


def test_only_what_is_a_terminal_is_one() -> None:
    """Output into a file is no terminal, though the input is one."""
    on = OnTerminal("sh", "-c", "test -t 0; a=$?; (test -t 1) | cat; echo $a")
    on.wait_for(b"0")
    assert on.end() == 0
    assert run("sh", "-c", "test -t 0 || test -t 1 || test -t 2").returncode == 1


def test_signals_reach_the_command() -> None:
    """As `timeout canlab pytest` sends one."""
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138)):
        with subprocess.Popen(
            [*CANLAB, "sh", "-c", "echo up; exec sleep 1000"],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == b"up\n"
            process.send_signal(number)
            assert process.wait(LIMIT) == status
