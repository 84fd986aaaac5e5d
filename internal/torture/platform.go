package torture

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"source-planetscale/internal/destination"
)

// Platform plays the role of Airbyte: it has a connection's catalog and states and the destination's contents. Streams are identified by
// their bare names, since a connection has one keyspace.
type Platform struct {
	Streams map[string]*Stream
	Sharded bool
	// States and catalogs are passed without namespaces.
	BareStates, BareCatalog bool
	job                     int
}

// Stream is a configured stream and the destination's data of it.
type Stream struct {
	Name       string
	Namespace  string
	Mode, Dest string // sync_mode, destination_sync_mode
	Key        []string
	Columns    map[string]Property
	Types      map[string]string // COLUMN_TYPE of each column when the schema was read
	entry      map[string]any    // the configured catalog's
	State      json.RawMessage   // the last message
	Rows       map[string]Row    // by key as JSON; of append without key by number
	Gone       map[string]int64  // cursors of deleted rows
	Last       int64             // the largest cursor
	added      map[string]int64  // columns that the catalog got later: rows whose cursor is not larger do not have them
	floor      int64             // its value when the run began
	seen       map[int64]bool    // the run's cursors
	Status     string            // in the last run
	completed  bool              // by the last run
	broken     bool              // the last run did not complete it
	settled    bool              // so that nothing is sent twice from here on
	since      int               // records since its last state
	Repeats    bool              // some records may have been sent twice: a run of it did not complete
	Deleted    bool              // rows of it were deleted
	Updated    bool              // rows of it were updated: without a key nothing identifies the previous row
	Outdated   bool              // its table was altered since the schema was read, and may have columns that are not in the catalog
	Changed    bool              // and since the last quiet point: older rows may still be read, whose columns had other types
	Given      map[string]bool   // for a stream without key: contents that arrived
	Count      map[string]int    // for a stream without key: how often each content was sent, less its deletes
}

// Property is what the stream's json_schema says of a column.
type Property struct{ Bool bool }

// Row is the contents of a record.
type Row struct {
	Data   map[string]any
	cursor int64
	nulled bool // it has values that no JSON can show: a change of these may not be visible
}

// Choice is how a stream is configured; zero values are incremental, append_dedup, all columns and the source's key.
type Choice struct {
	Mode, Dest string
	Without    []string
	Key        []string
}

// NewPlatform creates a connection that has read no schema.
func NewPlatform() *Platform { return &Platform{Streams: map[string]*Stream{}} }

type discovered struct {
	Streams []map[string]any `json:"streams"`
}

// Configure takes a discovered catalog: these tables, each as chosen.
func (p *Platform) Configure(catalog json.RawMessage, choices map[string]Choice, types map[string][]Column) error {
	var d discovered
	if err := json.Unmarshal(catalog, &d); err != nil {
		return fmt.Errorf("not a catalog: %w", err)
	}
	before := p.Streams
	p.Streams = map[string]*Stream{}
	for _, entry := range d.Streams {
		name, _ := entry["name"].(string)
		choice, ok := choices[name]
		if !ok {
			continue
		}
		s := newStream(name, entry, choice)
		for _, c := range types[name] {
			s.Types[c.Name] = c.ColumnType
		}
		if old := before[name]; old != nil {
			s.keep(old)
		}
		p.Streams[name] = s
	}
	return nil
}

// Lacks compares a discovered catalog with the tables that the source has: each is a stream, of its namespace, with all of its columns.
func Lacks(catalog json.RawMessage, tables map[string][]Column, homes map[string]string) *Finding {
	var d discovered
	if err := json.Unmarshal(catalog, &d); err != nil {
		return found(Protocol, "", "not a catalog: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		at := slices.IndexFunc(d.Streams, func(entry map[string]any) bool { return entry["name"] == name })
		if at < 0 {
			return found(Undiscovered, name, "the catalog does not have it")
		}
		entry := d.Streams[at]
		if entry["namespace"] != homes[name] {
			return found(Undiscovered, name, "its namespace is %q, not %q", entry["namespace"], homes[name])
		}
		schema, _ := entry["json_schema"].(map[string]any)
		properties, _ := schema["properties"].(map[string]any)
		for _, c := range tables[name] {
			if properties[c.Name] == nil {
				return found(Undiscovered, name, "its column %s (%s) is not in the catalog", c.Name, c.ColumnType)
			}
		}
	}
	return nil
}

func newStream(name string, entry map[string]any, choice Choice) *Stream {
	s := &Stream{Name: name, Mode: choice.Mode, Dest: choice.Dest, Columns: map[string]Property{}, Types: map[string]string{}}
	s.Namespace, _ = entry["namespace"].(string)
	if s.Mode == "" {
		s.Mode = "incremental"
	}
	schema, _ := entry["json_schema"].(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	selected := map[string]any{}
	for column, property := range properties {
		if slices.Contains(choice.Without, column) {
			continue
		}
		selected[column] = property
		if !strings.HasPrefix(column, "_ab_cdc_") && column != "_planetscale_metadata" {
			encoded, _ := json.Marshal(property)
			s.Columns[column] = Property{Bool: strings.Contains(string(encoded), `"boolean"`) && !strings.Contains(string(encoded), `"json"`)}
		}
	}
	entry = maps.Clone(entry)
	entry["json_schema"] = map[string]any{"type": "object", "properties": selected}
	s.Key = choice.Key
	if list, ok := entry["source_defined_primary_key"].([]any); ok && len(list) > 0 {
		s.Key = nil
		for _, path := range list {
			s.Key = append(s.Key, fmt.Sprint(path.([]any)[0]))
		}
	}
	s.Dest = choice.Dest
	if s.Dest == "" {
		s.Dest = "append_dedup"
	}
	if len(s.Key) == 0 && s.Dest == "append_dedup" {
		s.Dest = "append"
	}
	s.entry = map[string]any{"stream": entry, "sync_mode": s.Mode, "destination_sync_mode": s.Dest}
	if len(s.Key) > 0 {
		path := [][]string{}
		for _, column := range s.Key {
			path = append(path, []string{column})
		}
		s.entry["primary_key"] = path
	}
	if s.Mode == "incremental" {
		s.entry["cursor_field"] = entry["default_cursor_field"]
	}
	s.empty()
	return s
}

func (s *Stream) empty() {
	s.added = map[string]int64{}
	s.Repeats, s.Updated, s.Deleted, s.Given = false, false, false, map[string]bool{}
	s.Rows, s.Gone, s.Count = map[string]Row{}, map[string]int64{}, map[string]int{}
}

// keep carries over what a stream had before its schema was read again. Airbyte keeps state and rows.
func (s *Stream) keep(old *Stream) {
	s.State, s.Rows, s.Gone, s.Last = old.State, old.Rows, old.Gone, old.Last
	s.Count, s.Given, s.Repeats, s.Updated, s.Deleted = old.Count, old.Given, old.Repeats, old.Updated, old.Deleted
	s.settled, s.Changed = false, old.Changed // columns may differ
	maps.Copy(s.added, old.added)
	for column := range s.Columns {
		if _, ok := old.Columns[column]; !ok {
			s.added[column] = old.Last
		}
	}
	if !slices.Equal(s.Key, old.Key) {
		s.rekey()
	}
}

// rekey stores the rows under another key, as a destination does that deduplicates again.
func (s *Stream) rekey() {
	rows := s.Rows
	s.Rows = map[string]Row{}
	for _, r := range rows {
		if key, missing := s.keyOf(r.Data); missing == "" {
			s.Rows[key] = r
		}
	}
}

// End says how the stream's run ended: it may be sent again what came since, unless the run completed it. A copy that started over is
// followed by the changes since its first snapshot. Those after the position where this run was to stop are left to the next one: there are
// some if rows were written before the copy began again, or if the replica that was asked where to stop is behind the one that copied.
func (s *Stream) End(completed, replicas bool) {
	s.settled = completed && (s.completed || !s.broken && !replicas)
	s.completed, s.broken = completed, !completed
	s.Repeats = s.Repeats || !s.settled
}

// Clear does what Airbyte does when a stream's data is cleared. Later records are not compared with the deleted ones: cursors start over,
// possibly below those that ran ahead of the clock after a kill.
func (s *Stream) Clear() {
	s.State, s.completed, s.broken, s.settled, s.Last = nil, false, false, false, 0
	s.empty()
}

// BeginJob starts a sync as the platform does: full refreshes begin from the start.
func (p *Platform) BeginJob() {
	p.job++
	for _, s := range p.Streams {
		if s.Mode == "full_refresh" {
			s.State = nil
			s.empty()
			s.entry["generation_id"], s.entry["minimum_generation_id"] = p.job, p.job
		} else {
			s.entry["generation_id"], s.entry["minimum_generation_id"] = 0, 0
		}
		s.entry["sync_id"] = p.job
	}
}

// BeginRun starts an attempt.
func (p *Platform) BeginRun() {
	for _, s := range p.Streams {
		s.Status, s.since = "", 0
		s.floor, s.seen = s.Last, map[int64]bool{}
	}
}

// Catalog is the configured catalog.
func (p *Platform) Catalog() []byte {
	list := []any{}
	for _, name := range p.Names() {
		entry := p.Streams[name].entry
		if p.BareCatalog {
			entry = maps.Clone(entry)
			stream := maps.Clone(entry["stream"].(map[string]any))
			delete(stream, "namespace")
			entry["stream"] = stream
		}
		list = append(list, entry)
	}
	data, _ := json.Marshal(map[string]any{"streams": list})
	return data
}

// Names are the streams' names, sorted.
func (p *Platform) Names() []string {
	names := make([]string, 0, len(p.Streams))
	for name := range p.Streams {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// States is the state file, or nil when there is none.
func (p *Platform) States() []byte {
	list := []any{}
	for _, name := range p.Names() {
		if s := p.Streams[name].State; s != nil {
			var message map[string]any
			_ = json.Unmarshal(s, &message) // it was parsed when it was received
			if p.BareStates {
				stream, _ := message["stream"].(map[string]any)
				descriptor, _ := stream["stream_descriptor"].(map[string]any)
				delete(descriptor, "namespace")
			}
			list = append(list, message)
		}
	}
	if len(list) == 0 {
		return nil
	}
	data, _ := json.Marshal(list)
	return data
}

// Deliver applies one run's output in the order of its records and states, up to that many of the states (-1: all).
func (p *Platform) Deliver(out *destination.Output, steady bool) *Finding {
	state := 0
	for n := 0; n <= len(out.Records); n++ {
		for ; state < len(out.States) && out.States[state].Before == n; state++ {
			if f := p.takeState(&out.States[state]); f != nil {
				return f
			}
		}
		if n < len(out.Records) {
			if f := p.takeRecord(&out.Records[n], steady); f != nil {
				return f
			}
		}
	}
	for stream, status := range out.Statuses {
		if s := p.Streams[stream.Name]; s != nil {
			s.Status = status
		}
	}
	return nil
}

func (p *Platform) takeState(state *destination.State) *Finding {
	s := p.Streams[state.Stream.Name]
	if s == nil {
		return found(Protocol, state.Stream.Name, "a state of a stream that is not configured")
	}
	if int(state.Count) != s.since {
		return found(Protocol, s.Name, "a state counts %v records, %d were emitted", state.Count, s.since)
	}
	s.since, s.State = 0, state.Message
	return nil
}

func (p *Platform) takeRecord(r *destination.Record, steady bool) *Finding {
	s := p.Streams[r.Stream.Name]
	if s == nil {
		return found(Protocol, r.Stream.Name, "a record of a stream that is not configured")
	}
	s.since++
	for column := range r.Data {
		if _, ok := s.Columns[column]; !ok && !strings.HasPrefix(column, "_ab_cdc_") && column != "_planetscale_metadata" {
			return found(Protocol, s.Name, "a record has the column %s, which is not in the catalog", column)
		}
	}
	cursor := int64(0)
	n, ok := r.Data["_ab_cdc_cursor"].(json.Number)
	if !ok && s.Mode == "incremental" {
		return found(Protocol, s.Name, "a record has no cursor, but %v", r.Data["_ab_cdc_cursor"])
	}
	if ok {
		var err error
		if cursor, err = strconv.ParseInt(n.String(), 10, 64); err != nil {
			return found(Protocol, s.Name, "_ab_cdc_cursor is %s", n)
		}
		if f := p.takeCursor(s, cursor); f != nil {
			return f
		}
	}
	return s.fold(r, cursor, steady && s.settled)
}

// takeCursor checks that a stream's cursors only increase. Those of two shards may be printed out of order, but none twice, and none that
// is not later than those of earlier runs.
func (p *Platform) takeCursor(s *Stream, cursor int64) *Finding {
	floor := s.Last
	if p.Sharded {
		floor = s.floor
	}
	if cursor <= floor || s.seen[cursor] {
		return found(Cursor, s.Name, "%d comes after %d", cursor, s.Last)
	}
	s.seen[cursor] = true
	s.Last = max(s.Last, cursor)
	return nil
}

// fold applies a record. exact: no record may arrive that is already there.
func (s *Stream) fold(r *destination.Record, cursor int64, exact bool) *Finding {
	deleted := r.Data["_ab_cdc_deleted_at"] != nil
	if len(s.Key) == 0 {
		content := s.content(r.Data)
		if deleted {
			s.Deleted = true
			s.Count[content]--
		} else {
			s.Count[content]++
			s.Given[content] = true
		}
		return nil
	}
	key, missing := s.keyOf(r.Data)
	if missing != "" {
		return found(KeyMissing, s.Name, "no value of %s", missing)
	}
	old, there := s.Rows[key]
	if before := max(old.cursor, s.Gone[key]); cursor > 0 && cursor <= before {
		return found(Cursor, s.Name, "row %s has %d after %d", key, cursor, before)
	}
	if exact && len(r.Changes) == 0 && !old.nulled {
		if deleted && !there {
			return found(Repeated, s.Name, "row %s is deleted, but does not exist", key)
		}
		if !deleted && there && s.complete() && s.content(old.Data) == s.content(r.Data) {
			return found(Repeated, s.Name, "row %s is emitted unchanged", key)
		}
	}
	if deleted {
		delete(s.Rows, key)
		s.Gone[key] = cursor
		return nil
	}
	s.Rows[key] = Row{Data: r.Data, cursor: cursor, nulled: len(r.Changes) > 0 || s.hidesNull(r.Data)}
	return nil
}

// hidesNull reports whether a document is null, or there is none: their JSON is the same.
func (s *Stream) hidesNull(data map[string]any) bool {
	for column, columnType := range s.Types {
		if value, ok := data[column]; ok && columnType == "json" && value == nil {
			return true
		}
	}
	return false
}

// decode reads what was encoded here.
func decode(encoded string, v any) {
	d := json.NewDecoder(strings.NewReader(encoded))
	d.UseNumber()
	_ = d.Decode(v)
}

// complete reports whether every change of a row shows in its records: all columns are there, and none has fewer distinct values in JSON
// than in MySQL.
func (s *Stream) complete() bool {
	if s.Outdated {
		return false
	}
	for column, columnType := range s.Types {
		if p, ok := s.Columns[column]; !ok || p.Bool && columnType != "bit(1)" {
			return false
		}
	}
	return true
}

// content is a record without our own columns.
func (s *Stream) content(data map[string]any) string {
	bare := map[string]any{}
	for column, v := range data {
		if _, ok := s.Columns[column]; ok {
			bare[column] = v
		}
	}
	encoded, _ := json.Marshal(bare)
	return string(encoded)
}

func (s *Stream) keyOf(data map[string]any) (key, missing string) {
	values := make([]any, len(s.Key))
	for i, column := range s.Key {
		if values[i] = data[column]; values[i] == nil {
			return "", column
		}
	}
	encoded, _ := json.Marshal(values)
	return string(encoded), ""
}

// Quiet is called when all streams have read everything that there is: from here on, rows have their tables' present columns. Replicas may
// still have others.
func (p *Platform) Quiet(replicas bool) {
	for _, s := range p.Streams {
		s.Changed = s.Changed && (s.Outdated || replicas)
	}
}

// Clone is the platform as it is now, to continue from later.
func (p *Platform) Clone() *Platform {
	c := *p
	c.Streams = map[string]*Stream{}
	for name, s := range p.Streams {
		one := *s
		one.Rows, one.Gone, one.Count = maps.Clone(s.Rows), maps.Clone(s.Gone), maps.Clone(s.Count)
		one.entry, one.seen, one.Given = maps.Clone(s.entry), maps.Clone(s.seen), maps.Clone(s.Given)
		c.Streams[name] = &one
	}
	return &c
}
