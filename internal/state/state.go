// Package state is what we hand Airbyte between syncs and get back: for each stream, per shard, how far it was read. It
// also reads the cursors of the connector that this one replaces (legacy.go).
package state

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/schema"
	"source-planetscale/internal/vstream"
)

// version is written into every state, so that a later release can tell what it reads.
const version = 1

// maxCursor keeps _ab_cdc_cursor a whole number wherever numbers are doubles.
const maxCursor = 1 << 53

// Stream is the state of one stream.
type Stream struct {
	// FullRefresh is set for a state of a full_refresh sync, which holds no position to replicate from.
	FullRefresh bool
	// SyncID is the platform's job that a full refresh belongs to; a completed one is not repeated by that job's retries.
	SyncID int64
	// Cursor is the last _ab_cdc_cursor given to a record.
	Cursor int64
	// Columns are the table's columns when the positions were saved, in order, but for shards that are Stale. VStream reads
	// old rows with today's columns, so a change between the two must be noticed.
	Columns []schema.Column
	Shards  map[string]*Shard
}

// Shard says how far one shard of a stream was read.
type Shard struct {
	// Position up to which the stream has every change; while a copy is unfinished, of the rows copied so far.
	Position vstream.Position
	// Moved is set once the shard was read to the end that a split or merge put to it: where the shards that replaced it
	// go on.
	Moved map[string]vstream.Position
	// Copy is nil once the copy is complete.
	Copy *Copy
	// Stale is set while changes made under other columns than Stream.Columns are to be read.
	Stale bool
	// Assumed says whether the columns of the changes to be read are known.
	Assumed Assumption
	// Had is set while changes are to be read that were made before columns were added at the end: how many of
	// Stream.Columns the table had when Position was saved.
	Had int
}

// Assumption is how far the columns of a shard's changes are assumed to be Stream.Columns, instead of known to be.
type Assumption int

// The assumptions.
const (
	// Known: the columns were Stream.Columns at Position, and no change of them has come since.
	Known Assumption = iota
	// Assumed: a change of columns came, after which they are Stream.Columns unless another one comes; or they were never
	// looked up, as for a position that the user gave.
	Assumed
	// Relied: changes were given on that assumption. Another change of columns shows that they may be wrong.
	Relied
)

// ReplayFrom is the position since which changes are to be read whatever becomes of the copy; zero if no row was read.
func (s *Shard) ReplayFrom() vstream.Position {
	if s.Copy != nil && (s.Copy.LastPK == nil || s.Copy.Restarted) {
		return s.Copy.Oldest
	}
	return s.Position
}

// Copy is an unfinished copy.
type Copy struct {
	// Oldest is the position of the first snapshot that any attempt at this copy took; zero before the first one.
	Oldest vstream.Position
	// Restarted is set when a later attempt did not go on after a key but began again with the first row.
	Restarted bool
	// LastPK is the key of the last row written, nil if there is none to go on after.
	LastPK *querypb.QueryResult
}

// Start notes that a copy begins with the first row, from a snapshot at that position.
func (c *Copy) Start(at vstream.Position) {
	if c.Oldest.IsZero() {
		c.Oldest = at
		return
	}
	c.Restarted, c.LastPK = true, nil
}

// End returns the position to replicate from when the copy is complete and its stream stands at the given position. After
// a restart that is the first attempt's snapshot: a row that the first attempt wrote and that was deleted before the next
// one began would otherwise stay at the destination for ever.
func (c *Copy) End(at vstream.Position) vstream.Position {
	if c.Restarted {
		return c.Oldest
	}
	return at
}

type streamJSON struct {
	Version  int                   `json:"version"`
	SyncMode string                `json:"sync_mode"`
	SyncID   int64                 `json:"sync_id,omitempty"`
	Shards   map[string]*shardJSON `json:"shards"`
	Cursor   int64                 `json:"last_cursor,omitempty"`
	// Columns are name, type or its digest, and, where there is one, character set.
	Columns [][]string `json:"columns,omitempty"`
}

type shardJSON struct {
	Position string            `json:"position"`
	Copy     *copyJSON         `json:"copy,omitempty"`
	Stale    bool              `json:"stale_columns,omitempty"`
	Assumed  Assumption        `json:"assumed_columns,omitempty"`
	Had      int               `json:"had_columns,omitempty"`
	Moved    map[string]string `json:"moved_to,omitempty"`
}

type copyJSON struct {
	Oldest    string `json:"oldest_position"`
	Restarted bool   `json:"restarted,omitempty"`
	LastPK    string `json:"last_pk,omitempty"`
}

const (
	incremental = "incremental"
	fullRefresh = "full_refresh"
)

// MarshalJSON writes positions as a person can read them; a key as base64 of its protobuf message, which keeps its bytes
// and types exactly.
func (s *Stream) MarshalJSON() ([]byte, error) {
	out := streamJSON{Version: version, SyncMode: incremental, SyncID: s.SyncID, Cursor: s.Cursor, Shards: make(map[string]*shardJSON, len(s.Shards))}
	if s.FullRefresh {
		out.SyncMode = fullRefresh
	}
	for _, c := range s.Columns {
		column := []string{c.Name, schema.DigestType(c.Type)}
		if c.Charset != "" {
			column = append(column, c.Charset)
		}
		out.Columns = append(out.Columns, column)
	}
	for name, shard := range s.Shards {
		j := &shardJSON{Position: shard.Position.String(), Stale: shard.Stale, Assumed: shard.Assumed, Had: shard.Had}
		for successor, p := range shard.Moved {
			if j.Moved == nil {
				j.Moved = make(map[string]string, len(shard.Moved))
			}
			j.Moved[successor] = p.String()
		}
		if c := shard.Copy; c != nil {
			j.Copy = &copyJSON{Oldest: c.Oldest.String(), Restarted: c.Restarted}
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
	return json.Marshal(out)
}

// Parse reads a stream's state as MarshalJSON wrote it. What it does not know, it refuses: a state read wrongly loses rows.
func Parse(data []byte) (*Stream, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("it is not a state of this source: %w", err)
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
		return nil, fmt.Errorf("it is not a state of this source: %w", err)
	}
	switch {
	case in.Cursor < 0 || in.Cursor > maxCursor:
		return nil, fmt.Errorf("its last_cursor is %d", in.Cursor)
	case in.SyncMode != incremental && in.SyncMode != fullRefresh:
		return nil, fmt.Errorf("its sync_mode is %q", in.SyncMode)
	}
	s := &Stream{FullRefresh: in.SyncMode == fullRefresh, SyncID: in.SyncID, Cursor: in.Cursor, Shards: make(map[string]*Shard, len(in.Shards))}
	for _, c := range in.Columns {
		if len(c) < 2 || len(c) > 3 {
			return nil, errors.New("a column of it has not name, type and character set")
		}
		column := schema.Column{Name: c[0], Type: c[1]}
		if len(c) == 3 {
			column.Charset = c[2]
		}
		s.Columns = append(s.Columns, column)
	}
	for name, j := range in.Shards {
		shard, err := j.parse()
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", name, err)
		}
		if err := shard.check(); err != nil && !s.FullRefresh {
			return nil, fmt.Errorf("shard %s %w", name, err)
		}
		s.Shards[name] = shard
	}
	return s, nil
}

// check refuses what this source never writes, and would lose changes by: the server takes no position for a wish to copy.
func (s *Shard) check() error {
	switch c := s.Copy; {
	case c == nil && s.Position.IsZero():
		return errors.New("has neither a position nor a copy")
	case c != nil && c.LastPK != nil && s.Position.IsZero():
		return errors.New("has a last_pk without a position")
	case c != nil && c.Restarted && c.Oldest.IsZero():
		return errors.New("has a restarted copy without an oldest_position")
	}
	for _, p := range s.Moved {
		if p.IsZero() {
			return errors.New("was moved to a shard without a position")
		}
	}
	return nil
}

func (j *shardJSON) parse() (*Shard, error) {
	if j == nil {
		return nil, fmt.Errorf("its state is null")
	}
	position, err := vstream.ParsePosition(j.Position)
	if err != nil {
		return nil, err
	}
	shard := &Shard{Position: position, Stale: j.Stale, Assumed: j.Assumed, Had: j.Had}
	for successor, text := range j.Moved {
		p, err := vstream.ParsePosition(text)
		if err != nil {
			return nil, err
		}
		if shard.Moved == nil {
			shard.Moved = make(map[string]vstream.Position, len(j.Moved))
		}
		shard.Moved[successor] = p
	}
	if j.Copy != nil {
		shard.Copy, err = j.Copy.parse()
	}
	return shard, err
}

func (j *copyJSON) parse() (*Copy, error) {
	oldest, err := vstream.ParsePosition(j.Oldest)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(j.LastPK)
	if err != nil {
		return nil, err
	}
	return &Copy{Oldest: oldest, Restarted: j.Restarted, LastPK: key}, nil
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
	if len(key.Fields) == 0 || len(key.Rows) != 1 || len(key.Rows[0].Lengths) != len(key.Fields) {
		return nil, fmt.Errorf("its last_pk is not one row")
	}
	return key, nil
}
