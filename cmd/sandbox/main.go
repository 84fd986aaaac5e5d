// Command sandbox runs a real Vitess cluster on this machine, to try the
// connector against.
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"source-planetscale/internal/sandbox"
	"source-planetscale/internal/sandbox/edge"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "sandbox",
		Short:         "Run a real Vitess cluster on this machine, without Docker",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	dir := root.PersistentFlags().String("dir", ".sandbox", "the sandbox's folder")
	root.AddCommand(upCommand(dir), envCommand(dir), downCommand(dir), killCommand(dir), startCommand(dir),
		growCommand(dir), reparentCommand(dir), reshardCommand(dir), holdCommand(dir), releaseCommand(dir), errantCommand(dir), edgeCommand())
	return root
}

func upCommand(dir *string) *cobra.Command {
	var vitess, vtgate, vttablet string
	var settings []string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Make the cluster run: install what is missing, start what is not running",
		Long: `Make the cluster run: install what is missing, start what is not running.

A new sandbox is what the flags say; one that exists stays what it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var options []sandbox.Option
			if version := cmp.Or(vtgate, vitess); version != "" {
				options = append(options, sandbox.VTGate(version))
			}
			if version := cmp.Or(vttablet, vitess); version != "" {
				options = append(options, sandbox.VTTablet(version))
			}
			if settings != nil {
				options = append(options, sandbox.MySQL(settings...))
			}
			_, err := sandbox.Up(cmd.Context(), *dir, sandbox.Default(), cmd.ErrOrStderr(), options...)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&vitess, "vitess", "", "the version of Vitess, such as 22.0.0; otherwise "+sandbox.VitessVersion)
	flags.StringVar(&vtgate, "vtgate", "", "the version of vtgate, if it is to be another one")
	flags.StringVar(&vttablet, "vttablet", "", "the version of the vttablets, if it is to be another one")
	flags.StringArrayVar(&settings, "mysql", nil, "a line for the configuration of each mysqld, such as innodb_native_foreign_keys=ON")
	return cmd
}

func envCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print where the cluster is, as lines for a shell",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := sandbox.Open(*dir)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), s.ShellEnv())
			return err
		},
	}
}

func downCommand(dir *string) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster; its data stays",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := sandbox.Open(*dir)
			if err != nil {
				return err
			}
			if purge {
				return s.Purge(cmd.Context())
			}
			return s.Down(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove the folder too")
	return cmd
}

func killCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "kill PROCESS",
		Short: "End one process as kill -9 does",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := sandbox.Open(*dir)
			if err != nil {
				return err
			}
			return s.Kill(cmd.Context(), args[0])
		},
	}
}

func startCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "start PROCESS",
		Short: "Bring back one process",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := sandbox.Open(*dir)
			if err != nil {
				return err
			}
			return s.Start(cmd.Context(), args[0])
		},
	}
}

func edgeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "edge CONFIG",
		Short:  "Serve as the hosted service does, before a plain vtgate",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := edge.Load(args[0])
			if err != nil {
				return err
			}
			return edge.Run(cmd.Context(), config)
		},
	}
}
