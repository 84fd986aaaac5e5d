// Command bench measures how fast the connector is, against clients that do less: README.md says how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"source-planetscale/internal/sandbox"
)

// bench is one run of the measurements.
type bench struct {
	*loader
	connector *connector
	self      string // this program
	rounds    int
	against   string // another build of the connector; "" for none
}

// arguments are the command line's.
type arguments struct {
	sandbox, out     string
	parts, workloads string
	against          string
	scale, rounds    int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
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
	var a arguments
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&a.sandbox, "dir", ".sandbox", "the `folder` of the sandbox, which must be up")
	flags.StringVar(&a.out, "out", "bench", "the `folder` of the results; empty to only print them")
	flags.StringVar(&a.parts, "parts", usualParts, "what to measure, of `rows, concurrency, small, far, tables, flags`")
	flags.StringVar(&a.workloads, "workloads", "", "of the part rows, only the workloads with these `names`")
	flags.IntVar(&a.scale, "scale", 1, "divide the sizes of the workloads by this `number`, for a quick try")
	flags.IntVar(&a.rounds, "rounds", 3, "how often each figure is measured")
	flags.StringVar(&a.against, "against", "", "measure rows with the connector, with another `build` of it, and with itself again, "+
		"instead of other clients")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return a.run(ctx)
}

// usualParts are what `make bench` measures.
const usualParts = "rows,concurrency,small,far,tables"

// run measures the parts, and saves the results after each.
func (a *arguments) run(ctx context.Context) (err error) {
	began := time.Now()
	files, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(files)) }()
	b, err := newBench(ctx, a.sandbox, files, a.rounds)
	if err != nil {
		return err
	}
	b.against = a.against
	shrink, err := b.growPools(ctx)
	defer func() { err = errors.Join(err, shrink()) }()
	if err != nil {
		return err
	}
	r := &results{About: map[string]about{}}
	if a.out != "" {
		if r, err = loadResults(a.out); err != nil {
			return err
		}
	}
	for part := range strings.SplitSeq(a.parts, ",") {
		at, err := b.about(ctx)
		if err != nil {
			return err
		}
		b.say("%s:", part)
		if err := b.part(ctx, part, a, r); err != nil {
			return err
		}
		r.About[part] = at
		if err := a.save(r); err != nil {
			return err
		}
	}
	took := time.Since(began)
	b.say("it took %s", took.Round(time.Second))
	if a.parts != usualParts || a.workloads != "" || a.scale != 1 {
		return nil
	}
	r.Took = took.Seconds()
	return a.save(r)
}

func (a *arguments) save(r *results) error {
	if a.out == "" {
		return nil
	}
	return r.save(a.out)
}

// part measures one of the parts.
func (b *bench) part(ctx context.Context, part string, a *arguments, r *results) (err error) {
	list := workloads(a.scale)
	switch part {
	case "rows":
		return b.measureRows(ctx, list, a.workloads, r)
	case "concurrency":
		r.Concurrency, err = b.measureConcurrency(ctx)
	case "small":
		r.Small, err = b.measureSmall(ctx, list[0])
	case "far":
		r.Far, err = b.measureFar(ctx, list[0])
	case "tables":
		r.Tables, r.Discover, err = b.measureTables(ctx)
	case "flags":
		r.Flags, err = b.measureFlags(ctx, list[0])
	default:
		err = fmt.Errorf("there is no part %q to measure; try --help", part)
	}
	return err
}

func (b *bench) measureRows(ctx context.Context, list []*workload, only string, r *results) error {
	for _, w := range list {
		if only != "" && !slices.Contains(strings.Split(only, ","), w.name) {
			continue
		}
		comparisons, err := b.compare(ctx, w)
		if err != nil {
			return err
		}
		for _, c := range comparisons {
			r.put(c)
		}
	}
	return nil
}

// newBench prepares the measurements on the sandbox in the folder; files is for what they need.
func newBench(ctx context.Context, dir, files string, rounds int) (*bench, error) {
	s, err := sandbox.Open(dir)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	connector, err := buildConnector(ctx, files)
	if err != nil {
		return nil, err
	}
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	return &bench{loader: &loader{sandbox: s, say: say}, connector: connector, self: self, rounds: rounds}, nil
}

// plain is the sandbox's vtgate without TLS.
func (b *bench) plain() endpoint { return endpoint{b.sandbox.PlainMySQL, b.sandbox.PlainGRPC} }
