package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"source-planetscale/internal/destination"
)

// module is the connector's import path, so that the demo can build it from any folder of the module.
const module = "source-planetscale"

// stopDelay is how long the connector may take to stop after SIGTERM.
const stopDelay = 10 * time.Second

// build makes the connector a program of its own, as Airbyte runs it.
func (d *demo) build(ctx context.Context) error {
	args := []string{"go", "build", "-o", d.program, module}
	d.command(shellLine(args))
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the connector cannot be built (run the demo in a folder of this module): %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

// result is the result of one run of the connector.
type result struct {
	*destination.Output
	file  string // what it printed
	times times
	took  time.Duration
}

// connect shows a command line of the connector, runs it, and reads what it printed into the file.
func (d *demo) connect(ctx context.Context, file string, args ...string) (*result, error) {
	args = append([]string{d.program}, args...)
	file = d.path(file)
	d.command(shellLine(args) + " > " + shellWord(file))
	began := time.Now()
	runErr := execInto(ctx, file, args)
	r := &result{file: file, took: time.Since(began)}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if r.Output, err = destination.Parse(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("what the connector printed cannot be read, see %s: %w", file, errors.Join(err, runErr))
	}
	if runErr != nil {
		return nil, fmt.Errorf("the connector failed: %s; all it printed is in %s: %w", r.reasons(), file, runErr)
	}
	r.times, err = parseTimes(raw)
	return r, err
}

func execInto(ctx context.Context, file string, args []string) error {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopDelay
	err = cmd.Run()
	if err != nil && stderr.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return errors.Join(err, out.Close())
}

// reasons are the connector's own; if many streams fail, mostly for the same reason.
func (r *result) reasons() string {
	switch n := len(r.Errors); n {
	case 0:
		return "it gave no reason"
	case 1:
		return r.Errors[0].Message
	default:
		return fmt.Sprintf("%s And %d more.", r.Errors[0].Message, n-1)
	}
}

// path names a file of the demo as a command line here can use it: relative, if it is below the current folder.
func (d *demo) path(name string) string { return shorten(filepath.Join(d.dir, name)) }

func shorten(path string) string {
	here, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	short, err := filepath.Rel(here, path)
	if err != nil || !filepath.IsLocal(short) {
		return path
	}
	return short
}

// shellLine formats arguments for a POSIX shell.
func shellLine(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = shellWord(a)
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
