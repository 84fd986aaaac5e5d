// Command demo shows the connector at work: it starts a real Vitess on this machine, fills it with the data of a small
// shop, and runs the connector against it as Airbyte would.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	dir := flag.String("dir", ".sandbox", "the sandbox's `folder`; the demo's files go into its subfolder demo")
	file := flag.String("picture", "", "an SVG `file` to draw what was shown into, as in a terminal")
	flag.Parse()
	shown, s := &bytes.Buffer{}, stdout()
	if *file != "" {
		s = &screen{out: io.MultiWriter(os.Stdout, shown), width: plainWidth, color: true}
	}
	err := run(ctx, *dir, s, os.Stderr)
	if err == nil {
		err = writePicture(*file, shown.Bytes(), s.width)
	}
	if ctx.Err() != nil {
		err = errors.New("stopped; run it again at any time, it starts over")
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// stdout is colored and as wide as the terminal, if it is one.
func stdout() *screen {
	fd := int(os.Stdout.Fd())
	s := &screen{out: os.Stdout, width: plainWidth, color: term.IsTerminal(fd)}
	if width, _, err := term.GetSize(fd); err == nil && width > 0 {
		s.width = width
	}
	return s
}
