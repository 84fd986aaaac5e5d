package crash

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process is the environment variable that says which of the two processes this is: if it is unset, the one that watches a second one;
// watched is that one. With any other value there is only one, for a debugger; a crash is then dumped to stderr, values included.
const (
	Process = "SOURCE_PLANETSCALE_PROCESS"
	watched = "watched"
)

// The watched process's files besides the standard three: the stderr that it was started with, since its own goes to the watcher, and a
// byte in memory that is 1 while stdout ends in the middle of a line.
const (
	stderrFile = 3
	cutFile    = 4
)

// exitCrashed is Go's exit code after a panic that nobody recovers, or an error of its runtime.
const exitCrashed = 2

// stops are the signals that ask a program to stop.
var stops = []os.Signal{syscall.SIGTERM, syscall.SIGINT}

// Watch runs the program once more, as a child with the same arguments, streams and signals, and returns its exit code when it has ended;
// 128 plus the signal's number if a signal that was forwarded ended it. If it crashed, or was killed, crashed says so; cut then reports
// whether stdout ends in the middle of a line. It fails, with nothing done, in the child itself, or if a second process cannot be
// started.
func Watch() (code int, crashed *Crash, cut bool, err error) {
	if _, set := os.LookupEnv(Process); set {
		return 0, nil, false, errors.ErrUnsupported
	}
	runtime.LockOSThread() // the child is killed when the thread that started it ends
	defer runtime.UnlockOSThread()
	mark, err := cutMark()
	if err != nil {
		return 0, nil, false, err
	}
	defer mark.Close()
	cmd, err := child(mark)
	if err != nil {
		return 0, nil, false, err
	}
	dump, err := cmd.StderrPipe()
	if err != nil {
		return 0, nil, false, err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, append(stops, syscall.SIGQUIT)...)
	defer close(signals)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, nil, false, err
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // fails if it has ended
		}
	}()
	crashed = readDump(dump)
	_ = cmd.Wait() // its state has the reason
	code, crashed = ending(cmd.ProcessState.Sys().(syscall.WaitStatus), crashed)
	var open [1]byte
	_, _ = mark.ReadAt(open[:], 0) // there is no line at all then
	return code, crashed, open[0] != 0, nil
}

// child is the command of the second process.
func child(mark *os.File) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), program, os.Args[1:]...) // it ends by the signals that are forwarded
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), Process+"="+watched)
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	cmd.ExtraFiles = []*os.File{os.Stderr, mark}
	// In a group of its own, a signal from a terminal, or to the whole group, reaches it once: through us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}

// ending says how the child ended; dump is its last output.
func ending(status syscall.WaitStatus, dump *Crash) (int, *Crash) {
	switch {
	case status.Signaled() && slices.Contains(stops, os.Signal(status.Signal())): // a second one, or one before it listened
		return 128 + int(status.Signal()), nil
	case status.Signaled():
		dump.what = "was killed by " + unix.SignalName(status.Signal())
		dump.memory = status.Signal() == syscall.SIGKILL
	case status.ExitStatus() != exitCrashed:
		return status.ExitStatus(), nil
	}
	return exitCrashed, dump
}

func cutMark() (*os.File, error) {
	fd, err := unix.MemfdCreate("cut", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	mark := os.NewFile(uintptr(fd), "cut")
	return mark, mark.Truncate(1)
}

// Streams are the program's stdout and stderr. A watched process records whether its stdout ends in the middle of a line.
func Streams() (stdout interface {
	io.Writer
	syscall.Conn
}, stderr *os.File,
) {
	if os.Getenv(Process) != watched {
		return os.Stdout, os.Stderr
	}
	mark, err := unix.Mmap(cutFile, 0, 1, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return os.Stdout, os.NewFile(stderrFile, "stderr")
	}
	return &lines{os.Stdout, mark}, os.NewFile(stderrFile, "stderr")
}

// lines is a stdout that records whether it ends in the middle of a line.
type lines struct {
	stdout *os.File
	cut    []byte
}

func (l *lines) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	l.cut[0] = 1
	n, err := l.stdout.Write(p)
	if n > 0 && p[n-1] == '\n' {
		l.cut[0] = 0
	}
	return n, err
}

func (l *lines) SyscallConn() (syscall.RawConn, error) { return l.stdout.SyscallConn() }
