package source

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// plan is the work of one sync.
type plan struct {
	streams   []streamPlan
	copies    []copyJob
	replicate map[string][]*stream // by shard
}

type copyJob struct {
	stream *stream
	shard  string
}

// plan decides for every stream and shard: copy, go on copying, replicate, or nothing to do.
func (s *syncer) plan() *plan {
	p := &plan{replicate: map[string][]*stream{}}
	for _, st := range s.streams {
		if st.hasFailed() {
			continue
		}
		shards := map[step][]string{}
		for _, shard := range s.shards {
			saved, stop := st.state.Shards[shard], s.stopOf(shard)
			do := st.stepOf(saved, stop)
			shards[do] = append(shards[do], shard)
			switch do {
			case copies, copiesOn:
				p.copies = append(p.copies, copyJob{st, shard})
			case replicates:
				p.replicate[shard] = append(p.replicate[shard], st)
			case nothing:
				if st.incremental && saved.Position.Equal(stop) {
					saved.Layout = state.Layout{} // the tables were looked up before and after the peek
				}
				continue
			}
			st.open++
		}
		p.streams = append(p.streams, streamPlan{st, shards})
	}
	return p
}

// resharded tells whether the stream was read from shards that were split or merged since.
func (s *stream) resharded(existing []string) bool {
	for shard := range s.state.Shards {
		if !slices.Contains(existing, shard) {
			return true
		}
	}
	return false
}

// begin gives a state to the shards that were never read: a copy, or where the user says that replication starts.
func (s *stream) begin(shards []string, starting map[string]gtid.Position) {
	for _, shard := range shards {
		if s.state.Shards[shard] != nil {
			continue
		}
		s.state.Shards[shard] = &state.Shard{Copy: &state.Copy{}}
		if at, ok := starting[shard]; ok && s.incremental {
			s.state.Shards[shard] = &state.Shard{Position: at, Layout: state.Layout{Assumed: state.Assumed}}
		}
	}
}

// checkStarting refuses to copy a stream that was to start at a position of a shard that is not there, as after a split.
// Streams with a state do not need the option, which may have been right when they began.
func (s *syncer) checkStarting(st *stream) error {
	for _, shard := range s.shards {
		if _, named := s.cfg.startingPositions[shard]; named || st.state.Shards[shard] != nil || !st.incremental {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(s.cfg.startingPositions)) {
			if !slices.Contains(s.exist, name) {
				return configErrorf("Stream %s begins in shard %s, for which the option starting_gtids has no position; it has one for shard %q, but keyspace %s has the shards %s. Name those, as the command position prints them, or take %q out of the option to copy the stream.", st.descriptor, shard, name, s.cfg.Database, strings.Join(s.exist, ", "), name)
			}
		}
	}
	return nil
}

// savedStates finds each stream's state in what the platform handed back.
func savedStates(cfg *Config, catalog *airbyte.ConfiguredCatalog, in *airbyte.State) (map[airbyte.StreamDescriptor]*state.Stream, error) {
	var legacy map[string]*state.Stream
	if in.Legacy != nil {
		var err error
		if legacy, err = state.ParseLegacy(in.Legacy, cfg.Database); err != nil {
			return nil, because(airbyte.ConfigError, err, "The saved state cannot be used: %s; clear the connection's data and sync again.", err)
		}
	}
	saved := map[airbyte.StreamDescriptor]*state.Stream{}
	for i := range catalog.Streams {
		c := &catalog.Streams[i]
		d := c.Stream.Descriptor()
		data, ok := in.Streams[d]
		if !ok {
			if s := legacy[d.Name]; s != nil && c.SyncMode == airbyte.Incremental {
				saved[d] = s
			}
			continue
		}
		s, err := state.Parse(data)
		if err != nil {
			return nil, because(airbyte.ConfigError, err, "The saved state of stream %s cannot be used: %s; clear the stream's data and sync again.", d, err)
		}
		if usable(s, c) {
			saved[d] = s
		}
	}
	return saved, nil
}

// checkForeign refuses a state of another keyspace. Some streams of another one, beside those of ours, may be what the platform
// still has of a source whose database was changed: they are told.
func (s *syncer) checkForeign(in *airbyte.State) error {
	var foreign []string
	for d := range in.Streams {
		if d.Namespace != "" && d.Namespace != s.cfg.Database {
			foreign = append(foreign, d.String())
		}
	}
	switch {
	case len(foreign) == 0:
		return nil
	case len(foreign) == len(in.Streams):
		return configErrorf("The saved state is of another database than the configured one, %s: of stream %s, among %d. Put the option database right, or clear the connection's data to begin afresh.", s.cfg.Database, slices.Min(foreign), len(foreign))
	default:
		s.log.Warn(fmt.Sprintf("The saved state is of another database than the configured one, %s: of stream %s, among %d. It is not used; streams without another state begin afresh.", s.cfg.Database, slices.Min(foreign), len(foreign)))
		return nil
	}
}

// usable tells whether a state belongs to this way of reading the stream. A full refresh that is complete is read again,
// except by a retry of the same job.
func usable(s *state.Stream, c *airbyte.ConfiguredStream) bool {
	if s.FullRefresh != (c.SyncMode == airbyte.FullRefresh) {
		return false
	}
	if !s.FullRefresh || c.SyncID != 0 && s.SyncID == c.SyncID {
		return true
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(s.Shards)), func(shard *state.Shard) bool { return shard.Copy != nil })
}

// checkShards refuses a state with shards that the keyspace does not have and that no split or merge of shards can explain.
func checkShards(d airbyte.StreamDescriptor, saved *state.Stream, existing []string) error {
	for shard := range saved.Shards {
		related := func(name string) bool { return name == shard || overlap(name, shard) }
		if !slices.ContainsFunc(existing, related) {
			return configErrorf("The saved state of stream %s has the shard %q, but keyspace %s now has the shards %s; clear the stream's data and sync again.", d, shard, d.Namespace, strings.Join(existing, ", "))
		}
	}
	return nil
}

// streamsOf prepares the configured streams. Those that cannot be read are returned as failures; the others go on.
func (s *syncer) streamsOf(catalog *airbyte.ConfiguredCatalog, tables map[string]*table.Table, saved map[airbyte.StreamDescriptor]*state.Stream) map[airbyte.StreamDescriptor]*failure {
	failures := map[airbyte.StreamDescriptor]*failure{}
	for i := range catalog.Streams {
		c := &catalog.Streams[i]
		d := c.Stream.Descriptor()
		st, err := s.streamOf(c, tables[d.Name], saved[d])
		if err == nil && slices.ContainsFunc(s.streams, func(other *stream) bool { return other.table.Name == d.Name }) {
			err = configErrorf("Stream %s is in the catalog twice, once without a namespace; refresh the source's schema.", d)
		}
		if err != nil {
			failures[d] = classify(err)
			continue
		}
		st.warnMissing(s.log, st.table)
		if st.incremental && st.changed {
			s.log.Warn(fmt.Sprintf("Stream %s: the table's columns were changed since the last sync, which changes its rows without an event for each: those at the destination keep what they had (nothing, in a column that was renamed, or added with a DEFAULT) until they are changed again or the stream is refreshed.", d))
		}
		if ahead := time.UnixMicro(st.cursor.Load()); ahead.After(time.Now()) {
			s.log.Warn(fmt.Sprintf("Stream %s: the last _ab_cdc_cursor is %s ahead of this machine's clock; cursors go on from there. Check the clock.", d, time.Until(ahead).Round(time.Second)))
		}
		s.streams = append(s.streams, st)
	}
	return failures
}

func (s *syncer) streamOf(c *airbyte.ConfiguredStream, t *table.Table, saved *state.Stream) (*stream, error) {
	d := c.Stream.Descriptor()
	switch {
	case d.Namespace != "" && d.Namespace != s.cfg.Database:
		return nil, configErrorf("Stream %s is of another database than the configured one, %s; refresh the source's schema.", d, s.cfg.Database)
	case t == nil:
		return nil, configErrorf("Stream %s does not exist in the database; refresh the source's schema and remove it from the connection.", d)
	}
	if saved != nil {
		if err := checkShards(d, saved, s.exist); err != nil {
			return nil, err
		}
	}
	st, err := newStream(c, t, saved)
	if err != nil {
		return nil, err
	}
	if !st.resharded(s.exist) {
		if err := s.checkStarting(st); err != nil {
			return nil, err
		}
		st.begin(s.shards, s.cfg.startingPositions)
	}
	return st, nil
}
