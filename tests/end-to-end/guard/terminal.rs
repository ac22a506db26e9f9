//! A terminal stays what it is.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use lineman_tests::Screen;

use super::{THROTTLED, bench, by, guarding, lineman};
use crate::bench::Bench;

/// What a shell script shows in a terminal.
fn on_screen(bench: &Bench, script: &str) -> Result<Screen> {
    let mut guard = guarding(bench, &["sh", "-c", script]);
    guard.env("TERM", "xterm");
    Screen::start(guard)
}

#[test]
fn a_terminal_is_a_terminal() -> Result<()> {
    let bench = bench()?;
    let script = "test -t 0 && test -t 1 && test -t 2 && echo three; stty size; stty size <&1; stty size <&2; \
                  trap 'stty size <&1; exit 3' WINCH; echo waiting; while :; do sleep 0.05; done";
    let mut screen = on_screen(&bench, script)?;
    screen.until("three\r\n30 100\r\n30 100\r\n30 100\r\n")?;
    screen.until("waiting")?;
    screen.resize(44, 133)?;
    screen.until("44 133\r\n")?;
    let (exit, shown) = screen.end()?;
    ensure!(exit == 3, "{exit}: {shown}");
    // With one stream elsewhere, the other one is a terminal still.
    let mut screen = on_screen(&bench, "exec 2>&1; ls --color=auto -d / | cat -v; test -t 1 && echo terminal")?;
    screen.until("terminal")?;
    ensure!(screen.end()?.0 == 0);
    Ok(())
}

#[test]
fn a_question_is_answered() -> Result<()> {
    let bench = bench()?;
    let mut screen = on_screen(&bench, "printf 'Enter a value: '; read answer; echo \"<$answer>\"; exit 4")?;
    screen.until("Enter a value: ")?;
    screen.press("yes\n")?;
    screen.until("<yes>")?;
    let (exit, _) = screen.end()?;
    ensure!(exit == 4);

    let secret = "stty -echo </dev/tty; printf 'Password: ' >/dev/tty; read word; stty echo </dev/tty; echo \"${#word} letters\"";
    let mut screen = on_screen(&bench, secret)?;
    screen.until("Password: ")?;
    screen.press("hunter2\n")?;
    screen.until("7 letters")?;
    let (exit, shown) = screen.end()?;
    ensure!(exit == 0 && !shown.contains("hunter2"), "{exit}: {shown}");
    Ok(())
}

#[test]
fn modes_that_are_set_on_the_output_hold_and_go() -> Result<()> {
    let bench = bench()?;
    // As what is drawn with curses does; and then it dies.
    let script = "stty -icanon -echo <&1; echo drawn; dd bs=1 count=1 2>/dev/null | od -An -c; kill -KILL $$";
    let mut screen = on_screen(&bench, script)?;
    let before = screen.modes()?;
    screen.until("drawn")?;
    ensure!(screen.modes()? == (false, false), "{:?}", screen.modes());
    // One key, without a line's end.
    screen.press("x")?;
    screen.until("  x")?;
    screen.until("ended by signal 9")?;
    ensure!(screen.modes()? == before && before == (true, true), "{before:?}, {:?}", screen.modes());
    ensure!(screen.end()?.0 == 137);
    Ok(())
}

#[test]
fn an_interrupt_is_the_commands_to_answer() -> Result<()> {
    let bench = bench()?;
    // Who has no answer ends. (A shell that is about to start a program may lose it, whoever runs it.)
    fs::write(bench.path().join("ready"), "ready\n")?;
    let mut screen = Screen::start(guarding(&bench, &["tail", "-f", "ready"]))?;
    screen.until("ready")?;
    screen.press("\u{3}")?;
    ensure!(screen.end()?.0 == 130);

    // Once: a graceful end. Twice: another one. Each is heard exactly once.
    let script = "n=0; trap 'n=$((n+1)); echo interrupt $n; test $n = 2 && exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let mut screen = on_screen(&bench, script)?;
    screen.until("ready")?;
    screen.press("\u{3}")?;
    screen.until("interrupt 1")?;
    screen.press("\u{3}")?;
    screen.until("interrupt 2")?;
    let (exit, shown) = screen.end()?;
    ensure!(exit == 9, "{exit}: {shown}");
    let mut screen = on_screen(&bench, "trap 'exit 7' INT; echo ready; while :; do sleep 0.05; done")?;
    screen.until("ready")?;
    screen.press("\u{3}")?;
    screen.until("exit code 7")?;
    ensure!(screen.modes()? == (true, true));
    ensure!(screen.end()?.0 == 7);

    // No retry after it, whatever the output says.
    let mut guard = lineman(&bench);
    let script = format!("trap 'exit 1' INT; echo '{THROTTLED}'; echo ready; while :; do sleep 0.05; done");
    guard.args(["guard", "--for", "good", "--retry", "5", "--retry-delay", "1ms", "--", "sh", "-c", &script]);
    let mut screen = Screen::start(guard)?;
    screen.until("ready")?;
    screen.press("\u{3}")?;
    screen.until("not run again: somebody ended it")?;
    ensure!(screen.end()?.0 == 1);
    Ok(())
}

/// A shell with its jobs, ready for a line.
fn shell(bench: &Bench) -> Result<(Screen, String)> {
    let line = format!("{} guard --for good --", bench.command().get_program().display());
    let bash = ["env", "--default-signal", "bash", "--norc", "--noediting", "-i"];
    let mut shell = by(bench, &bash, &Command::new("--"));
    shell.env("PS1", "> ");
    let mut screen = Screen::start(shell)?;
    screen.until("> ")?;
    Ok((screen, line))
}

#[test]
fn a_shell_stops_it_and_goes_on_with_it() -> Result<()> {
    let bench = bench()?;
    let (mut screen, guard) = shell(&bench)?;
    screen.press(&format!("{guard} cat\n"))?;
    screen.until("starting `cat`\r\n")?;
    screen.press("first\n")?;
    screen.until("first\r\nfirst\r\n")?;
    screen.press("\u{1a}")?;
    screen.until("Stopped")?;
    screen.until("> ")?;
    screen.press("fg; echo code $?\n")?;
    screen.until("guard --for good -- cat\r\n")?;
    screen.press("second\n")?;
    screen.until("second\r\n")?;
    screen.until("second\r\n")?;
    screen.press("\u{4}")?;
    screen.until("code 0\r\n")?;
    screen.press("exit\n")?;
    ensure!(screen.end()?.0 == 0);
    Ok(())
}

#[test]
fn a_command_that_does_not_stop_keeps_the_terminal() -> Result<()> {
    let bench = bench()?;
    let (mut screen, guard) = shell(&bench)?;
    screen.press(&format!("{guard} sh -c 'trap \"\" TSTP; echo ready; head -n 1'; echo code $?\n"))?;
    screen.until("\r\nready\r\n")?;
    screen.press("\u{1a}")?;
    screen.press("mine\n")?;
    screen.until("mine\r\nmine\r\n")?;
    screen.until("code 0\r\n")?;
    screen.press("exit\n")?;
    ensure!(screen.end()?.0 == 0);
    Ok(())
}
