// Package connector is the program: its commands, their arguments and files, signals and exit codes.
package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/config"
	"source-planetscale/internal/crash"
	"source-planetscale/internal/engine"
	"source-planetscale/internal/failure"
)

// Exit codes. For the platform, 0 and 143 are success; all others fail the attempt.
const (
	exitOK         = 0
	exitFailed     = 1
	exitTerminated = 143 // 128 + SIGTERM
)

// app is one run of the program.
type app struct {
	w      *airbyte.Writer
	log    *slog.Logger
	stdout io.Writer
	stderr io.Writer
}

// Run runs the command that args (without the program's name) name, and returns the exit code. Messages go to stdout; stderr only gets
// what a person requested at a terminal.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if f, ok := stdout.(syscall.Conn); ok {
		go func() {
			if err := crash.Guard(func() error { airbyte.EndWithReader(ctx, f, cancel); return nil }); err != nil {
				cancel(err)
			}
		}()
	}
	w := airbyte.NewWriter(stdout)
	a := &app{w: w, log: slog.New(airbyte.NewLogHandler(w, logLevel(os.Getenv("LOG_LEVEL")))), stdout: stdout, stderr: stderr}
	defer func(started time.Time) {
		a.log.Debug(fmt.Sprintf("source-planetscale %s (%s, %d processors) ran for %s.",
			Version, runtime.Version(), runtime.GOMAXPROCS(0), time.Since(started).Round(time.Millisecond)))
	}(time.Now())
	root := a.command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return a.exit(ctx, crash.Guard(func() error { return root.ExecuteContext(ctx) }))
}

// logLevel is the meaning of LOG_LEVEL, in which the platform passes its own level to every container: DEBUG and TRACE show what is done,
// WARN and everything above it leave only warnings, which are never hidden.
func logLevel(name string) slog.Level {
	switch strings.ToUpper(name) {
	case "DEBUG", "TRACE", "ALL":
		return slog.LevelDebug
	case "WARN", "ERROR", "FATAL", "OFF":
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// exit turns the error of a command into its trace and the exit code.
func (a *app) exit(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(context.Cause(ctx), failure.ErrTerminated):
		a.log.Info("Asked to stop; the next sync resumes from the last checkpoint.")
		return exitTerminated
	case errors.Is(err, airbyte.ErrWrite):
		return exitFailed // nobody reads what we would write
	case errors.Is(err, engine.ErrIncomplete):
		return exitFailed // each stream has reported its reason
	}
	if a.w.Error(failure.Judge(err).Trace(nil)) != nil {
		return exitFailed
	}
	return exitFailed
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "source-planetscale",
		Short: "The PlanetScale source for Airbyte",
		Long: `Syncs a PlanetScale database (or any Vitess cluster) to Airbyte.

Each command prints Airbyte protocol messages, one JSON document a line. Try it by hand:

  source-planetscale check    --config source.json
  source-planetscale discover --config source.json
  source-planetscale read     --config source.json --catalog catalog.json [--state state.json]

where source.json is {"host": "…", "database": "…", "username": "…", "password": "…"}.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return failure.Config("commands: spec, check, discover, read, position, version (try --help)", "Unknown command %q", shown(args[0]))
			}
			return failure.Config("commands: spec, check, discover, read, position, version (try --help)", "A command is required")
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	root.SetFlagErrorFunc(usageError)
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(a.specCommand(), a.checkCommand(), a.discoverCommand(), a.readCommand(), a.positionCommand(), a.versionCommand())
	return root
}

func usageError(_ *cobra.Command, err error) error {
	return failure.Config("try --help", "Invalid command line: %s", shown(err.Error()))
}

// maxShown is the length of an argument that may be printed, in bytes.
const maxShown = 200

// shown is a part of the command line as it may be printed. What may be JSON instead of the name of its file, or a piece of it, is left
// out: a configuration has the password.
func shown(argument string) string {
	if len(argument) > maxShown || strings.ContainsAny(argument, "{}[]\"\n") {
		return "…"
	}
	return argument
}

// noArgs refuses arguments that are not flags.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return failure.Config("try --help", "The command %s takes no argument %q", c.Name(), shown(args[0]))
	}
	return nil
}

// file is a flag that names a JSON file.
type file struct{ flag, path string }

func (f *file) register(c *cobra.Command, usage string) {
	c.Flags().StringVar(&f.path, f.flag, "", usage)
}

// data reads the file; a missing flag is an error.
func (f *file) data() ([]byte, error) {
	if f.path == "" {
		return nil, failure.Config("pass the name of a JSON file (try --help)", "The option --%s is missing", f.flag)
	}
	data, err := os.ReadFile(f.path)
	var unread *fs.PathError
	if errors.As(err, &unread) {
		return nil, failure.Config("", "The file given with --%s cannot be read: %s %s: %s", f.flag, unread.Op, shown(f.path), unread.Err).
			Because(unread.Err)
	}
	return data, err
}

// config reads and validates the configuration.
func (a *app) config(f *file) (*config.Config, error) {
	data, err := f.data()
	if err != nil {
		return nil, err
	}
	cfg, err := config.Parse(data, a.log)
	if err != nil {
		return nil, unusable(f, err)
	}
	return cfg, nil
}

func (a *app) specCommand() *cobra.Command {
	return &cobra.Command{
		Use: "spec", Short: "Print the specification of the configuration", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			line, err := config.Spec()
			if err != nil {
				return err
			}
			return a.w.Spec(line)
		},
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.stdout, Version)
			return err
		},
	}
}
