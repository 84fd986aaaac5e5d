// Command bench measures how fast the connector is.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"source-planetscale/internal/sandbox"
)

// bench is one run of the measurements.
type bench struct {
	*loader
	connector *connector
	self      string // this program
	rounds    int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command runs what the arguments say: the parts that are processes of their own, or the measurements.
func command(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "drain":
		return drainMain(ctx, args[1])
	case len(args) == 3 && args[0] == "replay":
		return replayMain(ctx, args[1], args[2])
	}
	return measureMain(ctx, args)
}

func measureMain(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	dir := flags.String("dir", ".sandbox", "the `folder` of the sandbox, which must be up")
	only := flags.String("workloads", "", "`names` of workloads, separated by commas; all by default")
	scale := flags.Int("scale", 1, "divide the sizes of the workloads by this `number`, for a quick try")
	rounds := flags.Int("rounds", 3, "how often each figure is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b, done, err := newBench(ctx, *dir, *rounds)
	if err != nil {
		return err
	}
	defer done()
	for _, w := range workloads(*scale) {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), w.name) {
			continue
		}
		if _, err := b.compare(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func newBench(ctx context.Context, dir string, rounds int) (*bench, func(), error) {
	s, err := sandbox.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	files, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, nil, err
	}
	done := func() { _ = os.RemoveAll(files) }
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	b := &bench{loader: &loader{sandbox: s, say: say}, self: self, rounds: rounds}
	if b.connector, err = buildConnector(ctx, files); err != nil {
		done()
		return nil, nil, err
	}
	return b, done, nil
}

// plain is the sandbox's vtgate without TLS.
func (b *bench) plain() endpoint { return endpoint{b.sandbox.PlainMySQL, b.sandbox.PlainGRPC} }
