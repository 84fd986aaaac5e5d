// Package plan decides what a sync does with each stream in each shard. It is a function of the saved state and of what the source
// reports, and does no I/O; the log's sentences come from the same value. testdata/plan.txt has a line for every case.
package plan

import (
	"slices"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
	"source-planetscale/internal/state"
)

// Step is what a sync does with a stream in one shard, in the log's words.
type Step string

// The steps.
const (
	// Copy: from the first row.
	Copy Step = "copied"
	// ResumeCopy: after the last key.
	ResumeCopy Step = "copied further"
	// Replicate: the changes since the saved position.
	Replicate Step = "replicated"
	// Nothing: it has everything up to the target, or is a complete snapshot.
	Nothing Step = "up to date"
	// ReadToJournal: a shard that no longer exists, up to where those that replaced it continue. It precedes all others.
	ReadToJournal Step = "read to its journal"
	// Refuse: the saved position is lost, and the user wants that to be reported.
	Refuse Step = "refused"
	// StartOver: the saved position is lost, and the user wants the stream to be copied again, in all shards.
	StartOver Step = "copied again"
)

// Loss is the reason why a saved position can't be used.
type Loss struct {
	Shard gtid.Shard
	Why   string // continues "shard -80"
}

// Stream is what is known about one stream.
type Stream struct {
	Name        string
	Incremental bool
	Saved       lineage.Shards
	Lost        *Loss
}

// Source is what the source reports.
type Source struct {
	// Wanted are the shards to read, Existing all of the keyspace.
	Wanted, Existing []gtid.Shard
	// Targets are where reading of each shard ends.
	Targets map[gtid.Shard]gtid.Position
	// Resync is set if the user wants streams whose position is lost to be copied again.
	Resync bool
}

// Part is what is done with a stream in a shard, and why.
type Part struct {
	Shard  gtid.Shard
	Step   Step
	Reason string
}

// Of returns the parts of a stream.
func (src *Source) Of(s *Stream) []Part {
	if s.Lost != nil {
		if src.Resync {
			return []Part{{s.Lost.Shard, StartOver, s.Lost.Why}}
		}
		return []Part{{s.Lost.Shard, Refuse, s.Lost.Why}}
	}
	if s.Incremental {
		var parts []Part
		for _, former := range lineage.Ancestors(s.Saved, src.Existing) {
			parts = append(parts, Part{former, ReadToJournal, "it was split or merged, and has changes that were not read"})
		}
		if parts != nil {
			return parts
		}
	}
	var parts []Part
	for _, shard := range src.Wanted {
		if saved := s.Saved[shard]; saved != nil {
			step, reason := stepOf(saved, s.Incremental, src.Targets[shard])
			parts = append(parts, Part{shard, step, reason})
		}
	}
	return parts
}

func stepOf(saved *state.Shard, incremental bool, target gtid.Position) (Step, string) {
	switch {
	case saved.Copy != nil && saved.Copy.LastPK != nil:
		return ResumeCopy, "its copy is unfinished and has a key to go on after"
	case saved.Copy != nil && !saved.Copy.Oldest.IsZero():
		return Copy, "its copy is unfinished, and has no key to go on after"
	case saved.Copy != nil:
		return Copy, "nothing of it was read"
	case !incremental:
		return Nothing, "its snapshot is complete"
	case saved.Position.Equal(target):
		return Nothing, "nothing was changed"
	case saved.Position.Contains(target): // on a replica that lags
		return Nothing, "it has more than the shard"
	}
	return Replicate, "there are changes since its position"
}

// Has reports whether some part has the step.
func Has(parts []Part, step Step) bool {
	return slices.ContainsFunc(parts, func(p Part) bool { return p.Step == step })
}
