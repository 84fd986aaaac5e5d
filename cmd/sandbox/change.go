package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"source-planetscale/internal/sandbox"
)

// The commands that change the shape of a running cluster.

func growCommand(dir *string) *cobra.Command {
	var tablets int
	cmd := &cobra.Command{
		Use:   "grow KEYSPACE/SHARD",
		Short: "Add tablets to a shard, as replicas",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, keyspace, shard, err := openShard(*dir, args[0])
			if err != nil {
				return err
			}
			return s.Grow(cmd.Context(), keyspace, shard, tablets)
		},
	}
	cmd.Flags().IntVar(&tablets, "tablets", 1, "how many")
	return cmd
}

func reparentCommand(dir *string) *cobra.Command {
	var emergency bool
	cmd := &cobra.Command{
		Use:   "reparent KEYSPACE/SHARD",
		Short: "Make another tablet of the shard its primary",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, keyspace, shard, err := openShard(*dir, args[0])
			if err != nil {
				return err
			}
			if emergency {
				return s.EmergencyReparent(cmd.Context(), keyspace, shard)
			}
			return s.Reparent(cmd.Context(), keyspace, shard)
		},
	}
	cmd.Flags().BoolVar(&emergency, "emergency", false, "the primary does not answer")
	return cmd
}

func reshardCommand(dir *string) *cobra.Command {
	var from, to []string
	cmd := &cobra.Command{
		Use:   "reshard KEYSPACE --from SHARD,… --to SHARD,…",
		Short: "Split or merge shards, to the end",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := sandbox.Open(*dir)
			if err != nil {
				return err
			}
			reshard, err := s.Reshard(cmd.Context(), args[0], from, to)
			if err != nil {
				return err
			}
			if err := reshard.Switch(cmd.Context()); err != nil {
				return err
			}
			return reshard.Complete(cmd.Context())
		},
	}
	cmd.Flags().StringSliceVar(&from, "from", nil, "the shards that go")
	cmd.Flags().StringSliceVar(&to, "to", nil, "the shards that come, of the same key range")
	return cmd
}

func holdCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "hold TABLET",
		Short: "Keep a replica, such as customer--80-1, as it is now",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := sandbox.Open(*dir)
			if err != nil {
				return err
			}
			return s.HoldBack(cmd.Context(), args[0])
		},
	}
}

func releaseCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "release TABLET",
		Short: "Let a replica follow its primary again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := sandbox.Open(*dir)
			if err != nil {
				return err
			}
			return s.Release(cmd.Context(), args[0])
		},
	}
}

func errantCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "errant TABLET STATEMENT…",
		Short: "Run statements on a replica alone, such as customer--80-1",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := sandbox.Open(*dir)
			if err != nil {
				return err
			}
			return s.Errant(cmd.Context(), args[0], args[1:]...)
		},
	}
}

func openShard(dir, name string) (s *sandbox.Sandbox, keyspace, shard string, err error) {
	keyspace, shard, ok := strings.Cut(name, "/")
	if !ok {
		return nil, "", "", fmt.Errorf("%q is no KEYSPACE/SHARD", name)
	}
	s, err = sandbox.Open(dir)
	return s, keyspace, shard, err
}
