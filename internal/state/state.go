// Package state is what is passed to Airbyte between syncs and back: for each stream, per shard, how far it was read. It also parses the
// cursors of the connector that this one replaces (legacy.go).
package state

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"

	querypb "vitess.io/vitess/go/vt/proto/query"
)

// version is written into every state, so that a later release can recognize it.
const version = 1

const (
	// maxCursor keeps _ab_cdc_cursor an exact integer where numbers are doubles.
	maxCursor = 1 << 53
	// maxSaved leaves room for later cursors: in microseconds, it is the year 2219.
	maxSaved = maxCursor - 1<<50
)

// Stream is the state of one stream.
type Stream struct {
	// FullRefresh is set for a state of a full_refresh sync, which has no position to replicate from.
	FullRefresh bool
	// SyncID is the platform's job that a full refresh belongs to; a completed one is not repeated by that job's retries.
	SyncID int64
	// Cursor is the last _ab_cdc_cursor of a record.
	Cursor int64
	// Columns are the table's columns, in order, at the start of the sync that saved this. VStream reads old rows with today's columns,
	// so that a change between the two must be detected: see Layout.
	Columns []table.Column
	Shards  map[gtid.Shard]*Shard
}

// Shard says how far one shard of a stream was read.
type Shard struct {
	// Position up to which the stream has every change; while a copy is unfinished, of the rows copied so far.
	Position gtid.Position
	// Layout is that of the changes after Position or, once Moved is set, after the positions there.
	Layout table.Layout
	// Moved is set once the shard was read up to its end by a split or merge: it is where the shards that replaced it continue.
	Moved map[gtid.Shard]gtid.Position
	// Copy is nil once the copy is complete.
	Copy *Copy
	// Incarnation is the table's identity at Position, as far as the server reports it.
	Incarnation table.Incarnation
}

// Replay returns the position since which changes must be read whatever becomes of the copy, and their layout; zero if no row was read.
func (s *Shard) Replay() (gtid.Position, table.Layout) {
	if s.Copy != nil && (s.Copy.LastPK == nil || s.Copy.Restarted) {
		return s.Copy.Oldest, s.Copy.Layout
	}
	return s.Position, s.Layout
}

// Begun reports whether rows of the shard were sent that later changes may concern.
func (s *Shard) Begun() bool {
	from, _ := s.Replay()
	return !from.IsZero()
}

// Copy is an unfinished copy.
type Copy struct {
	// Oldest is the oldest position of a snapshot that any attempt at this copy took, mostly the first one's; zero before the first one.
	Oldest gtid.Position
	// Layout is that of the changes after Oldest.
	Layout table.Layout
	// Restarted is set if a later attempt did not resume after a key but began again with the first row.
	Restarted bool
	// LastPK is the key of the last row written, nil if there is none to resume after.
	LastPK *querypb.QueryResult
}

// Start records that a copy begins with the first row, from a snapshot at that position. Another attempt's may be older, on a replica that
// lags: changes since then are not in it.
func (c *Copy) Start(at gtid.Position, layout table.Layout) {
	c.Restarted, c.LastPK = !c.Oldest.IsZero(), nil
	if !c.Restarted || c.Oldest.Contains(at) {
		c.Oldest, c.Layout = at, layout
	}
}

// Complete records that the copy is complete and its stream is at the given position, from which to replicate. After a restart, that is
// the oldest attempt's snapshot: otherwise a row that the first attempt wrote and that was deleted before the next one began would stay in
// the destination permanently.
func (s *Shard) Complete(at gtid.Position, layout table.Layout) {
	if s.Copy.Restarted {
		at, layout = s.Copy.Oldest, s.Copy.Layout
	}
	s.Position, s.Layout, s.Copy = at, layout, nil
}

type streamJSON struct {
	Version  int                   `json:"version"`
	SyncMode string                `json:"sync_mode"`
	SyncID   int64                 `json:"sync_id,omitempty"`
	Shards   map[string]*shardJSON `json:"shards"`
	Cursor   int64                 `json:"last_cursor,omitempty"`
	Columns  columnsJSON           `json:"columns,omitempty"`
}

type shardJSON struct {
	Position string    `json:"position"`
	Copy     *copyJSON `json:"copy,omitempty"`
	layoutJSON
	Moved       map[string]string `json:"moved_to,omitempty"`
	Incarnation string            `json:"incarnation,omitempty"`
}

type copyJSON struct {
	Oldest string `json:"oldest_position"`
	layoutJSON
	Restarted bool   `json:"restarted,omitempty"`
	LastPK    string `json:"last_pk,omitempty"`
}

const (
	incremental = "incremental"
	fullRefresh = "full_refresh"
)

// MarshalJSON writes positions in readable form; a key as base64 of its protobuf message, which preserves its bytes and types exactly.
func (s *Stream) MarshalJSON() ([]byte, error) {
	out := streamJSON{
		Version:  version,
		SyncMode: incremental,
		SyncID:   s.SyncID,
		Cursor:   s.Cursor,
		Columns:  newColumnsJSON(s.Columns),
		Shards:   make(map[string]*shardJSON, len(s.Shards)),
	}
	if s.FullRefresh {
		out.SyncMode = fullRefresh
	}
	for at, shard := range s.Shards {
		name := at.Name
		j := &shardJSON{Position: shard.Position.String(), layoutJSON: newLayoutJSON(shard.Layout), Incarnation: shard.Incarnation.String()}
		for successor, p := range shard.Moved {
			if j.Moved == nil {
				j.Moved = make(map[string]string, len(shard.Moved))
			}
			j.Moved[successor.Name] = p.String()
		}
		if c := shard.Copy; c != nil {
			j.Copy = &copyJSON{Oldest: c.Oldest.String(), layoutJSON: newLayoutJSON(c.Layout), Restarted: c.Restarted}
			if c.LastPK != nil {
				key, err := c.LastPK.MarshalVT()
				if err != nil {
					return nil, fmt.Errorf("the key reached in shard %s cannot be saved: %w", name, err)
				}
				j.Copy.LastPK = base64.StdEncoding.EncodeToString(key)
			}
		}
		out.Shards[name] = j
	}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	// It contains what a server sent. A state that could not be read again would end every later sync.
	again, err := parse(data, "", maxCursor)
	if err == nil && len(again.Shards) != len(s.Shards) {
		err = errors.New("two shards have the same name")
	}
	if err != nil {
		return nil, fmt.Errorf("a state that could not be read back is not saved: %w", err)
	}
	return data, nil
}

// Parse parses the state of a stream of the keyspace as written by MarshalJSON. It rejects whatever it does not know: a misread state
// loses rows.
func Parse(data []byte, keyspace string) (*Stream, error) { return parse(data, keyspace, maxSaved) }

func parse(data []byte, keyspace string, most int64) (*Stream, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("it is not a state of this source: %w", airbyte.Malformed(err))
	}
	switch {
	case head.Version == 0:
		return nil, errors.New("it is not a state of this source: it has no version")
	case head.Version > version:
		return nil, fmt.Errorf("its version is %d and this release knows %d: it was written by a newer release", head.Version, version)
	}
	var in streamJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("it is not a state of this source: %w", airbyte.Malformed(err))
	}
	switch {
	case in.Cursor < 0 || in.Cursor > most:
		return nil, fmt.Errorf("its last_cursor is %d", in.Cursor)
	case in.SyncMode != incremental && in.SyncMode != fullRefresh:
		return nil, fmt.Errorf("its sync_mode is %q", in.SyncMode)
	}
	s := &Stream{
		FullRefresh: in.SyncMode == fullRefresh,
		SyncID:      in.SyncID,
		Cursor:      in.Cursor,
		Shards:      make(map[gtid.Shard]*Shard, len(in.Shards)),
	}
	var err error
	if s.Columns, err = in.Columns.parse(); err != nil {
		return nil, err
	}
	for name, j := range in.Shards {
		shard, err := j.parse(keyspace)
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", name, err)
		}
		if err := shard.check(); err != nil && !s.FullRefresh {
			return nil, fmt.Errorf("shard %s %w", name, err)
		}
		s.Shards[gtid.Shard{Keyspace: keyspace, Name: name}] = shard
	}
	return s, nil
}

// check rejects what this source never writes, and what would lose changes: for the server, no position means a request to copy.
func (s *Shard) check() error {
	switch c := s.Copy; {
	case c == nil && s.Position.IsZero():
		return errors.New("has neither a position nor a copy")
	case c != nil && c.LastPK != nil && s.Position.IsZero():
		return errors.New("has a last_pk without a position")
	case c != nil && c.Restarted && c.Oldest.IsZero():
		return errors.New("has a restarted copy without an oldest_position")
	}
	for successor, p := range s.Moved {
		if p.IsZero() || successor.Name == "" {
			return errors.New("was moved to a shard without a position or name")
		}
	}
	return nil
}

func (j *shardJSON) parse(keyspace string) (*Shard, error) {
	if j == nil {
		return nil, fmt.Errorf("its state is null")
	}
	position, err := gtid.Parse(j.Position)
	if err != nil {
		return nil, err
	}
	layout, err := j.layoutJSON.parse()
	if err != nil {
		return nil, err
	}
	incarnation, err := table.ParseIncarnation(j.Incarnation)
	if err != nil {
		return nil, err
	}
	shard := &Shard{Position: position, Layout: layout, Incarnation: incarnation}
	for successor, text := range j.Moved {
		p, err := gtid.Parse(text)
		if err != nil {
			return nil, err
		}
		if shard.Moved == nil {
			shard.Moved = make(map[gtid.Shard]gtid.Position, len(j.Moved))
		}
		shard.Moved[gtid.Shard{Keyspace: keyspace, Name: successor}] = p
	}
	if j.Copy != nil {
		shard.Copy, err = j.Copy.parse()
	}
	return shard, err
}

func (j *copyJSON) parse() (*Copy, error) {
	oldest, err := gtid.Parse(j.Oldest)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(j.LastPK)
	if err != nil {
		return nil, err
	}
	layout, err := j.layoutJSON.parse()
	return &Copy{Oldest: oldest, Layout: layout, Restarted: j.Restarted, LastPK: key}, err
}

func parseKey(text string) (*querypb.QueryResult, error) {
	if text == "" {
		return nil, nil
	}
	// The key itself is a row's, and stays out of the error.
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("its last_pk is not base64")
	}
	key := &querypb.QueryResult{}
	if err := key.UnmarshalVT(data); err != nil {
		return nil, fmt.Errorf("its last_pk is not a key that this source wrote")
	}
	if len(key.Fields) == 0 || len(key.Rows) != 1 || len(key.Rows[0].Lengths) != len(key.Fields) || !isWhole(key.Rows[0]) {
		return nil, fmt.Errorf("its last_pk is not one row")
	}
	return key, nil
}

// isWhole reports whether a row has all bytes of its values: the server slices them without checking.
func isWhole(row *querypb.Row) bool {
	left := int64(len(row.Values))
	for _, n := range row.Lengths {
		if n < -1 || n > left {
			return false
		}
		left -= max(n, 0)
	}
	return left == 0
}
