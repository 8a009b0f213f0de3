"""What only shows in a process of its own: pipes, signals, terminals, locales, what is imported."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from asleep import HANG, until_asleep

LMKIT = [sys.executable, "-m", "lmkit"]


@pytest.fixture
def started(work):
    """Starts commands with pipes for streams; whatever is still running at the end is killed."""
    processes = []

    def started(*arguments, **streams):
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        process = subprocess.Popen([*LMKIT, *map(str, arguments)], **streams)
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()


def until(happened):
    """Waits until something is the case."""
    for _ in range(HANG * 100):
        if found := happened():
            return found
        time.sleep(0.01)
    raise AssertionError("nothing happens")


def read_line(stream):
    """One line, which has to come without anything more being sent."""
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], HANG)
        assert ready, f"only {line!r} came"
        byte = os.read(stream.fileno(), 1)
        assert byte, f"the stream ended after {line!r}"
        line += byte
    return line


@pytest.fixture
def model(shelf, write):
    return write("model.lm", shelf["witten-bell-3.lm"].read_bytes())


# Whoever reads the output goes away, or there is nowhere to write to.


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "line",
    [
        "yes 'the cat' | lmkit score -q -b -m model.lm | head -1",
        "yes 'the cat' | lmkit score --json --explain -m model.lm | head -1",
        "yes 'the cat' | lmkit ngram query -m model.lm - | head -1",
        "lmkit sample -m model.lm -n 100000 | head -1",
        "yes 'the cat' | lmkit sample -m model.lm - | head -1",
        "lmkit ngram count --order 1 many.txt | head -c 1",
        "lmkit ngram fit -q --order 1 many.txt | lmkit ngram export | head -1",
    ],
)
def test_a_reader_that_has_enough_ends_it_quietly(line, shell, model, write, work):
    write("many.txt", b"".join(b"word%d\n" % n for n in range(20_000)))
    done = shell(f"{line} > first; echo ${{PIPESTATUS[@]}}")
    assert done.stderr == ""
    assert (work / "first").read_bytes()
    assert done.text.split()[-2:] == ["141", "0"]


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "arguments",
    ["ppl -m model.lm text.txt", "score -q -m model.lm text.txt", "info model.lm", "ngram fit -q text.txt",
     "ngram export model.lm", "--help", "--version", "ppl --help", "ppl --print-config"],
)  # fmt: skip
@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
def test_nowhere_to_write(arguments, where, shell, model, write, one_line):
    write("text.txt", b"the cat sat\n")
    done = shell(f"lmkit {arguments} {where}")
    assert done.status == 74
    one_line(done.stderr)
    assert re.search("No space left on device|Bad file descriptor|closed", done.stderr)


def test_a_device_that_is_full_named_as_output(shell, model, one_line):
    done = shell("lmkit next -m model.lm -o /dev/full")
    assert done.status == 74
    one_line(done.stderr)
    assert "/dev/full: No space left on device" in done.stderr


def test_stdout_closed_does_not_matter_where_a_file_is_written(shell, model, work):
    assert shell("lmkit next -m model.lm -o out >&- && lmkit next -m model.lm | cmp - out").status == 0


@pytest.mark.few(2)
@pytest.mark.parametrize("arguments", ["ppl -m model.lm", "score -q -m model.lm", "ngram fit", "info"])
def test_stdin_closed(arguments, shell, model, one_line):
    done = shell(f"lmkit {arguments} <&-")
    assert done.status == 3
    one_line(done.stderr)
    assert "standard input is closed" in done.stderr


def test_stdin_closed_does_not_matter_where_files_are_read(shell, lmkit, model, write):
    write("text.txt", b"the cat\n")
    done = shell("lmkit ppl -b -m model.lm text.txt <&-; lmkit ngram query -b -m model.lm <&-")
    plain = lmkit("ppl", "-b", "-m", model, "text.txt").text + lmkit("ngram", "query", "-b", "-m", model).text
    assert (done.status, done.text) == (0, plain)
    assert shell("lmkit ngram fit -q text.txt -o new.lm <&- >&- 2>&-; lmkit info new.lm").status == 0


@pytest.mark.parametrize(
    ("arguments", "status"), [("ppl -m none.lm", 4), ("next -m model.lm -t -1", 2), ("nonsense", 2)]
)
def test_stderr_closed(arguments, status, shell, model):
    """Nowhere to complain; the status still tells, and stdout stays clean."""
    done = shell(f"lmkit {arguments} 2>&-")
    assert done.status in ({status, 3} if status == 4 else {status})
    assert done.stdout == b""


def test_nothing_is_left_of_temporary_files(shell, write, tmp_path, work):
    write("text.txt", b"a b c d e f g\n" * 20_000)
    done = shell(
        "lmkit ngram count -q --memory 1M -v text.txt -o counts.lm && lmkit ngram merge counts.lm counts.lm -o sum.lm"
    )
    assert done.status == 0
    assert sorted(os.listdir(work)) == ["counts.lm", "sum.lm", "text.txt"]
    assert os.listdir(tmp_path / "tmp") == []


def test_runs_on_disk_give_the_same_bytes(shell, write):
    """Blocks of some 70 000 long words do not fit into the least memory, so each is counted as a run of its own."""
    write("text.txt", b"".join(b"%060d %059d\n" % (n % 97, n % 89) for n in range(80_000)))
    done = shell("""
    lmkit ngram fit -q --order 2 text.txt -o whole.lm
    lmkit ngram fit -q -v --order 2 --memory 1M --temp-dir . text.txt -o parts.lm && cmp whole.lm parts.lm && ls
    """)
    assert done.status == 0
    assert done.stderr == "lmkit: counted in 3 runs on disk\n"
    assert done.lines == ["parts.lm", "text.txt", "whole.lm"]


# Signals.


def has_nameless_file(process, work):
    """Whether a process has a file open in the folder that has no name yet."""
    links = Path(f"/proc/{process.pid}/fd")
    try:
        targets = [os.readlink(link) for link in links.iterdir()]
    except OSError:
        return False
    return any(target.startswith(f"{work}/#") for target in targets)


def reading(process, work, name):
    """Waits until a command has an unfinished output and has taken all that its stdin holds."""
    until(lambda: list(work.glob(f".{name}.*.part")) or has_nameless_file(process, work))
    left = bytearray(4)
    until(lambda: fcntl.ioctl(process.stdin, termios.FIONREAD, left) == 0 and not any(left))
    until_asleep(process)


@pytest.mark.few(2)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", ["ngram fit", "ppl -m model.lm", "ngram import"])
def test_a_signal_while_reading_leaves_nothing(command, number, status, started, model, work, tmp_path):
    (work / "out").write_bytes(b"old")
    process = started(*command.split(), "-o", "out")
    process.stdin.write(b"the cat sat on the mat\n" * 1000)
    process.stdin.flush()
    reading(process, work, "out")
    process.send_signal(number)
    out, err = process.stdout.read(), process.stderr.read()
    assert process.wait(HANG) == status
    assert (out, err) == (b"", b"")
    assert sorted(os.listdir(work)) == ["model.lm", "out"]
    assert (work / "out").read_bytes() == b"old"
    assert os.listdir(tmp_path / "tmp") == []


def test_a_closed_terminal_leaves_nothing(started, work):
    process = started("ngram", "count", "-o", "out")
    process.stdin.write(b"the cat sat on the mat\n" * 1000)
    process.stdin.flush()
    reading(process, work, "out")
    process.send_signal(signal.SIGHUP)
    assert process.wait(HANG) != 0
    assert os.listdir(work) == []


@pytest.mark.few(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_that_the_caller_ignores_stay_ignored(number, started, model):
    process = started("score", "-b", "-q", "-m", model, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    for _ in range(2):
        process.stdin.write(b"the cat\n")
        process.stdin.flush()
        assert float(read_line(process.stdout)) < 0
        process.send_signal(number)
    process.stdin.close()
    assert process.wait(HANG) == 0


def test_a_signal_between_answers(started, model):
    process = started("score", "-b", "-q", "-m", model)
    process.stdin.write(b"the cat\n")
    process.stdin.flush()
    assert float(read_line(process.stdout)) < 0
    until_asleep(process)
    process.send_signal(signal.SIGINT)
    assert process.stderr.read() == b""
    assert process.wait(HANG) == 130


def test_a_kill_leaves_the_old_output_whole(started, work):
    (work / "out").write_bytes(b"old")
    process = started("ngram", "fit", "-o", "out")
    process.stdin.write(b"the cat sat on the mat\n" * 1000)
    process.stdin.flush()
    reading(process, work, "out")
    process.kill()
    assert process.wait(HANG) == -signal.SIGKILL
    assert (work / "out").read_bytes() == b"old"


def test_an_output_that_was_not_there_is_not_there_before_it_is_whole(started, work):
    process = started("score", "-q", "-b", "-m", "model.lm", "-o", "out", stdin=subprocess.DEVNULL)
    assert process.wait(HANG) != 0
    assert not (work / "out").exists()
    process = started("ngram", "count", "-o", "out")
    process.stdin.write(b"a b\n")
    process.stdin.flush()
    reading(process, work, "out")
    assert not (work / "out").exists()
    process.stdin.close()
    assert process.wait(HANG) == 0
    assert os.listdir(work) == ["out"]


# Answers come as lines do.


ENDLESS = ["--max-tokens", "1000000000"]


@pytest.mark.few(2)
@pytest.mark.parametrize("options", [[], ["-n", "2"], ["--stop", "a b c d d d d d"], ["--echo", "--prompt", "a"]])
def test_a_text_is_told_as_it_grows(options, started, shelf):
    process = started("sample", "-m", shelf["four.arpa"], *ENDLESS, *options)
    assert re.fullmatch(rb"[abcd]( [abcd]?)*", os.read(process.stdout.fileno(), 100))
    process.send_signal(signal.SIGINT)
    assert process.stderr.read() == b""
    assert process.wait(HANG) == 130


def test_a_text_is_told_as_it_grows_in_a_file_too(started, shelf, work):
    with (work / "out").open("wb") as out:
        started("sample", "-m", shelf["four.arpa"], *ENDLESS, stdout=out)
        until(lambda: (work / "out").stat().st_size > 2)


def test_an_output_with_a_name_is_whole_or_not_there(started, shelf, work):
    process = started("sample", "-m", shelf["four.arpa"], *ENDLESS, "-o", "out")
    until(lambda: os.listdir(work) or has_nameless_file(process, work))
    process.send_signal(signal.SIGINT)
    assert process.wait(HANG) == 130
    assert os.listdir(work) == []


@pytest.mark.few(2)
@pytest.mark.parametrize("options", [[], ["--json"], ["--input", "jsonl"], ["--explain", "-q"]])
def test_sample_answers_each_prompt_before_the_next_is_sent(options, started, shelf):
    process = started("sample", "-m", shelf["lstm.lm"], "--max-tokens", "3", *options, "-")
    for word in ("the", "a", ""):
        process.stdin.write((json.dumps({"prompt": word}) if "jsonl" in options else word).encode() + b"\n")
        process.stdin.flush()
        read_line(process.stdout)
    process.stdin.close()
    assert process.wait(HANG) == 0


@pytest.mark.few(2)
@pytest.mark.parametrize("options", [["-b"], ["--json"], [], ["--explain", "--json"]])
def test_score_answers_each_line_before_the_next_is_sent(options, started, model):
    process = started("score", "-q", "-m", model, *options)
    if not options:
        process.stdin.write(b"the dog\n")
        process.stdin.flush()
        assert read_line(process.stdout) == b"line\tnats\ttokens\ttext\n"
        read_line(process.stdout)
    seen = []
    for text in (b"the cat\n", b"a bird sang\n", b"\n", b"the cat\n"):
        process.stdin.write(text)
        process.stdin.flush()
        seen.append(read_line(process.stdout))
    assert len(seen) == 4
    process.stdin.close()
    assert process.wait(HANG) == 0
    assert process.stdout.read() == b""


def test_score_waits_for_the_end_of_a_line(started, model):
    process = started("score", "-b", "-q", "-m", model)
    process.stdin.write(b"the c")
    process.stdin.flush()
    assert not select.select([process.stdout], [], [], 0.5)[0]
    process.stdin.write(b"at\nthe d")
    process.stdin.flush()
    first = read_line(process.stdout)
    process.stdin.write(b"og")
    process.stdin.close()
    second = read_line(process.stdout)
    assert float(first) != float(second)
    assert process.wait(HANG) == 0


def test_query_answers_each_line_before_the_next_is_sent(started, model):
    process = started("ngram", "query", "-b", "-m", model, "-")
    for text in (b"the cat\n", b"a bird sang\n"):
        process.stdin.write(text)
        process.stdin.flush()
        assert 0 < float(read_line(process.stdout)) < 1
    process.stdin.close()
    assert process.wait(HANG) == 0


@pytest.fixture
def bpe(lmkit, work, shelf):
    """Names of tokenizers by what merges start from."""
    for level, size in (("byte", 300), ("char", 40)):
        assert lmkit("bpe", "train", "-q", "--level", level, "--vocab-size", size, shelf["corpus.txt"],
                     "-o", f"{level}.lm").status == 0  # fmt: skip
    return lambda level: f"{level}.lm"


@pytest.mark.few(1)
@pytest.mark.parametrize("options", [[], ["--as", "pieces"], ["--json"], ["--parse-special", "--dropout", "0.5"]])
@pytest.mark.parametrize("level", ["byte", "char"])
def test_bpe_encode_answers_each_line_before_the_next_is_sent(level, options, started, bpe):
    process = started("bpe", "encode", "-q", "-m", bpe(level), *options)
    for text in (b"the cat\n", b"a bird sang\n", b"\n", b"the cat\n"):
        process.stdin.write(text)
        process.stdin.flush()
        assert bool(read_line(process.stdout).strip()) == (text != b"\n" or "--json" in options)
    process.stdin.close()
    assert process.wait(HANG) == 0
    assert process.stdout.read() == b""


@pytest.mark.few(1)
@pytest.mark.parametrize("lists", [False, True])
def test_bpe_decode_answers_each_line_before_the_next_is_sent(lists, started, bpe):
    process = started("bpe", "decode", *(["--as", "pieces"] if lists else ["-m", bpe("byte")]))
    for line, text in ((b"the \xc4\xa0cat\n", b"the cat\n"), (b"\n", b"\n"), (b"a\n", b"a\n")):
        process.stdin.write(line if lists else b" ".join(b"%d" % 3 for _ in line.split()) + b"\n")
        process.stdin.flush()
        assert read_line(process.stdout) == (text if lists else b"!" * len(line.split()) + b"\n")
    process.stdin.close()
    assert process.wait(HANG) == 0


@pytest.mark.few(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["train", "count", "encode -m byte.lm", "encode -m byte.lm --as npy"])
def test_a_signal_while_bpe_reads_leaves_nothing(command, number, started, bpe, work, tmp_path):
    bpe("byte")
    (work / "out").write_bytes(b"old")
    process = started("bpe", *command.split(), "-q", "-o", "out")
    process.stdin.write(b"the cat sat on the mat\n" * 1000)
    process.stdin.flush()
    reading(process, work, "out")
    process.send_signal(number)
    out, err = process.stdout.read(), process.stderr.read()
    assert process.wait(HANG) == 128 + number
    assert (out, err) == (b"", b"")
    assert sorted(os.listdir(work)) == ["byte.lm", "char.lm", "out"]
    assert (work / "out").read_bytes() == b"old"
    assert os.listdir(tmp_path / "tmp") == []


BPE_WRITERS = (
    "train -q --vocab-size 270 text.txt", "count -q text.txt", "encode -m byte.lm text.txt",
    "encode -m byte.lm --as npy text.txt", "decode -m byte.lm ids.txt",
)  # fmt: skip


@pytest.mark.few(2)
@pytest.mark.parametrize("command", BPE_WRITERS)
def test_nowhere_to_write_bpe(command, shell, bpe, write, one_line):
    bpe("byte")
    write("text.txt", b"the cat sat on the mat\n" * 9)
    write("ids.txt", b"3 4 5\n" * 9)
    done = shell(f"lmkit bpe {command} > /dev/full")
    assert done.status == 74
    one_line(done.stderr)


def test_a_named_pipe_is_read_and_written(shell, model):
    done = shell("""
    mkfifo in out
    printf 'the cat\\n' > in & cat out > copy &
    lmkit score -q -b -m model.lm in -o out; wait
    printf 'the cat\\n' | lmkit score -q -b -m model.lm | cmp - copy && test -p out && cat copy
    """)
    assert done.status == 0
    assert float(done.text) < 0


def test_process_substitution_is_read(shell, model):
    done = shell("lmkit ppl -b -m <(cat model.lm) <(echo the cat) && echo the cat | lmkit ppl -b -m model.lm")
    assert done.status == 0
    assert len(set(done.lines)) == 1


# Terminals.


def on_terminal(*arguments, stdin=subprocess.DEVNULL, which=("stdout",)):
    """Runs a command with some of its streams on a terminal: what the terminal showed, the rest, the status."""
    controller, terminal = pty.openpty()
    streams = {name: terminal if name in which else subprocess.PIPE for name in ("stdout", "stderr")}
    process = subprocess.Popen([*LMKIT, *map(str, arguments)], stdin=stdin, **streams)
    os.close(terminal)
    shown = b""
    while select.select([controller], [], [], HANG)[0]:
        try:
            piece = os.read(controller, 1 << 16)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        shown += piece
    rest, error = process.communicate(timeout=HANG)
    os.close(controller)
    return shown.replace(b"\r\n", b"\n").decode(), (rest or b"") + (error or b""), process.returncode


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "command",
    [
        "ngram fit -q text.txt",
        "ngram count text.txt",
        "ngram prune -m model.lm",
        "ngram import model.lm",
        "ngram merge counts.lm",
        "ngram mix -m model.lm -m model.lm",
    ],
)
def test_a_checkpoint_is_not_written_to_a_terminal(command, model, shelf, write, one_line):
    write("text.txt", b"the cat\n")
    write("counts.lm", shelf["counts.lm"].read_bytes())
    shown, rest, status = on_terminal(*command.split())
    assert (shown, status) == ("", 2)
    error = rest.decode().splitlines(keepends=True)
    one_line("".join(line for line in error if "before" not in line))
    assert "-o FILE" in error[-1]


@pytest.mark.few(1)
@pytest.mark.parametrize("option", ["--json", "-b"])
def test_what_machines_read_is_the_same_on_a_terminal(option, model, write, process):
    write("text.txt", b"the cat\n")
    shown, _, status = on_terminal("ppl", option, "-m", model, "text.txt")
    assert (shown, status) == (process("ppl", option, "-m", model, "text.txt").text, 0)


def test_errors_on_a_terminal_are_one_line(model):
    shown, rest, status = on_terminal("ppl", "-m", "none.lm", "text.txt", which=("stdout", "stderr"))
    assert status in (3, 4)
    assert shown.count("\n") == 1
    assert rest == b""


def test_a_terminal_as_stdin_is_announced(model):
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*LMKIT, "score", "-b", "-q", "-m", str(model)], stdin=terminal, stdout=subprocess.PIPE, stderr=terminal
    )
    os.close(terminal)
    with process:
        assert b"end with Ctrl-D" in read_line_of(controller)
        os.write(controller, b"the cat\n\x04")
        assert float(process.stdout.read()) < 0
        assert process.wait(HANG) == 0
    os.close(controller)


def test_what_a_terminal_would_obey_is_shown_escaped_there_only(model, write, process, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = b"the \x1b[31mcat \xc2\x9b \xe2\x80\xae\ttail\x7f\n"
    write("text.txt", text)
    fields = ["score", "-q", "-m", model, "text.txt"]
    shown, _, status = on_terminal(*fields)
    assert status == 0
    assert "\\x1b[31mcat" in shown
    assert "\\x9b \\u202e" in shown
    assert not set(shown) & set("\x1b\x9b\u202e\x7f")
    assert b"\x1b[31mcat \xc2\x9b \xe2\x80\xae" in process(*fields).stdout


@pytest.mark.parametrize("which", [("stdout",), ("stdout", "stderr")])
def test_names_of_files_in_messages_are_shown_escaped(which, model):
    shown, rest, status = on_terminal("ppl", "-m", model, "a\x1b[31m\u202eb", which=which)
    assert status == 3
    assert "a\\x1b[31m\\u202eb: No such file" in shown + rest.decode()


# Inputs that are outputs.


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "line",
    [
        "lmkit ngram fit < in.txt -o in.txt",
        "lmkit ngram fit -o in.txt < in.txt",
        "lmkit ngram fit in.txt -o in.txt",
        "lmkit ngram fit other.txt -o in.txt < in.txt",
        "lmkit bpe train -q --vocab-size 300 < in.txt -o ./in.txt",
        "lmkit w2v train -q < in.txt -o link",
        "lmkit train ffn -q < in.txt -o in.txt",
        "lmkit score -m model.lm in.txt >> in.txt",
        "lmkit score -m model.lm < in.txt >> in.txt",
        "lmkit data format --style t5 in.txt -o in.txt",
        "lmkit calc softmax in.txt -o in.txt",
        "lmkit prompt fill --template @in.txt other.txt -o in.txt",
        "lmkit ppl -m model.lm other.txt --mix-text in.txt -o in.txt",
        "lmkit convert model.lm -o model.lm",
        "lmkit bpe encode -m in.txt other.txt -o in.txt",
        "lmkit train ffn -q --tokens in.txt other.txt -o in.txt",
        "lmkit w2v train other.txt --log in.txt -o out.lm < in.txt",
    ],
)
def test_no_command_replaces_or_extends_its_input(line, shell, model, write, one_line, work):
    content = b"a b c\n" * 10
    write("in.txt", content)
    write("other.txt", content)
    os.symlink("in.txt", "link")
    before = (work / "model.lm").read_bytes()
    done = shell(line)
    assert done.status == 2
    one_line(done.stderr)
    assert "would be overwritten" in done.stderr
    assert (work / "in.txt").read_bytes() == content
    assert (work / "model.lm").read_bytes() == before


def read_line_of(descriptor):
    line = b""
    while not line.endswith(b"\n"):
        assert select.select([descriptor], [], [], HANG)[0], f"only {line!r} came"
        line += os.read(descriptor, 1)
    return line


# Locales.

C = {"LC_ALL": "C"}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.few(1)
@pytest.mark.parametrize("environment", [C, ASCII, {"PYTHONIOENCODING": "latin-1"}], ids=["C", "ASCII", "latin-1"])
def test_text_is_utf8_whatever_the_locale(environment, process, lmkit, shelf, write):
    model = write("modelo-ñ.lm", shelf["witten-bell-3.lm"].read_bytes())
    text = write("año.txt", "el árbol de la niña\n".encode())
    for arguments in (
        ["score", "-q", "--json", "--explain", "-m", model, text], ["ppl", "--json", "-m", model, text],
        ["sample", "-m", model, "--prompt", "el árbol", "--greedy", "--echo", "--json"],
        ["ngram", "query", "-m", model, "la niña"], ["ngram", "fit", "-q", "--order", "2", text],
    ):  # fmt: skip
        plain, other = lmkit(*arguments), process(*arguments, env=environment)
        assert other.status == 0, other.stderr
        assert other.stdout == plain.stdout != b""


@pytest.mark.few(1)
@pytest.mark.parametrize("environment", [C, ASCII, {"PYTHONIOENCODING": "latin-1"}], ids=["C", "ASCII", "latin-1"])
def test_settings_are_read_back_in_any_locale(environment, process, work):
    printed = process("ngram", "fit", "--print-config", "-o", "niña.lm", env=environment)
    (work / "settings.yaml").write_bytes(printed.stdout)
    again = process("ngram", "fit", "--config", "settings.yaml", "--print-config", env=environment)
    assert (again.status, again.stderr, again.stdout) == (0, "", printed.stdout)


@pytest.mark.parametrize("environment", [C, ASCII], ids=["C", "ASCII"])
def test_errors_name_any_file_in_any_locale(environment, process, one_line):
    done = process("ppl", "-m", "ninguno-ñ.lm", "-", env=environment)
    assert done.status in (3, 4)
    one_line(done.stderr)


def test_names_that_are_not_utf8(process, shelf, work):
    name = os.fsdecode(b"caf\xe9.txt")
    (work / name).write_bytes(b"the cat\n")
    done = process("ppl", "-b", "-m", shelf["juan.lm"], name)
    assert done.status == 0, done.stderr
    done = process("ppl", "--json", "-m", shelf["juan.lm"], name)
    assert done.status == 0, done.stderr
    assert done.stdout.startswith(b'{"file": "caf\xe9.txt", ')


# What is imported.

HEAVY = {"numpy", "torch", "tokenizers", "rich", "yaml", "dask", "numba"}


def imported(process, *arguments, status=0):
    script = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr))\n"
        f"sys.argv = ['lmkit', *{list(map(str, arguments))!r}]\n"
        "from lmkit.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=b"the cat\n", capture_output=True, timeout=HANG, check=False
    )
    assert done.returncode == status, done.stderr
    return set(done.stderr.decode().splitlines()[-1].split())


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "--version",
        "-V",
        "ngram --help",
        "ngram fit --help",
        "ngram",
        "ppl --help",
        "sample -h",
        "scaling plan --help",
        "scaling plan --ngram --vocab 9",
    ],
)
def test_help_imports_little(arguments, process):
    names = imported(process, *arguments.split())
    assert "lmkit" in names
    assert names & HEAVY == set()


def test_version_imports_no_parser(process):
    assert imported(process, "--version") & {"typer", "click", *HEAVY} == set()


@pytest.mark.parametrize("arguments", ["nonsense", "ppl --nonsense", ""])
def test_usage_errors_import_little(arguments, process):
    assert imported(process, *arguments.split(), status=2) & HEAVY == set()


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "arguments",
    [
        "ppl -b -m model.lm",
        "score -q -m model.lm",
        "next -m model.lm",
        "sample -m model.lm",
        "info model.lm",
        "ngram fit -q",
    ],
)
def test_commands_import_no_more_than_numpy(arguments, process, model):
    names = imported(process, *arguments.split())
    assert names & HEAVY == {"numpy"}


# The program itself.


def test_version(process):
    from lmkit import __version__

    for option in ("--version", "-V"):
        assert process(option).text == f"lmkit {__version__}\n"


@pytest.mark.slow
def test_one_thread_and_many_give_the_same_bytes(shell, write):
    write("text.txt", b"".join(b"%d a b %d c\n" % (n % 97, n % 89) for n in range(60_000)))
    done = shell("""
    lmkit ngram fit -q --order 4 --threads 1 text.txt -o 1.lm
    lmkit ngram fit -q --order 4 --threads 7 text.txt -o 7.lm && cmp 1.lm 7.lm || exit 9
    lmkit ppl --threads 1 -m 1.lm text.txt > 1 && lmkit ppl --threads 7 -m 1.lm text.txt | cmp - 1
    """)
    assert done.status == 0, done.stderr


def test_bytes_do_not_depend_on_hashes_of_strings(process, shelf):
    made = {process("ngram", "fit", "-q", shelf["corpus.txt"], env={"PYTHONHASHSEED": seed}).stdout for seed in "0123"}
    assert len(made) == 1
    (data,) = made
    assert len(data) > 1000


def test_no_names_times_or_users_are_in_a_model(process, shelf, work):
    data = process("ngram", "fit", "-q", shelf["corpus.txt"]).stdout
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["origin"]
    for word in ("corpus.txt", str(shelf.folder), str(work), os.uname().nodename, "time", "date", "user"):
        assert word not in header


def test_tracebacks_come_when_asked_for(process):
    for arguments, environment in (
        (["ppl", "--debug", "-m", "none.lm"], {}),
        (["ppl", "-m", "none.lm"], {"LMKIT_DEBUG": "1"}),
    ):
        done = process(*arguments, env=environment)
        assert done.status != 0
        assert "Traceback" in done.stderr
