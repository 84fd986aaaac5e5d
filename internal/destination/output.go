// Package destination is a small Airbyte destination: it reads what the connector prints and folds the records into tables,
// as a warehouse with deduplication does. The demo and the end-to-end tests judge the connector by it.
package destination

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Stream names a stream.
type Stream struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

func (s Stream) String() string { return s.Namespace + "." + s.Name }

// Record is one RECORD; its numbers are json.Number, so that every digit is kept.
type Record struct {
	Stream  Stream
	Data    map[string]any
	Changes []map[string]string
}

// Output is what one run of the connector printed.
type Output struct {
	Records  []Record
	States   []State // in order
	Logs     []Log
	Errors   []Error
	Statuses map[Stream]string // the last one
	Catalog  json.RawMessage
	Check    *Check
	Spec     json.RawMessage
	// Kinds counts messages by type; a TRACE also by its own type.
	Kinds map[string]int
}

// State is one STATE message.
type State struct {
	Stream  Stream
	Message json.RawMessage // what the platform stores and passes back
	// Before is how many RECORDs of all streams preceded it in the run.
	Before int
	Count  float64 // sourceStats.recordCount
}

// Log is one LOG message.
type Log struct{ Level, Message string }

// Error is one ERROR trace.
type Error struct {
	Message         string  `json:"message"`
	InternalMessage string  `json:"internal_message"`
	FailureType     string  `json:"failure_type"`
	Stream          *Stream `json:"stream_descriptor"`
}

// Check is a CONNECTION_STATUS.
type Check struct{ Status, Message string }

type message struct {
	Type   string `json:"type"`
	Record *struct {
		Namespace string         `json:"namespace"`
		Stream    string         `json:"stream"`
		Data      map[string]any `json:"data"`
		Meta      struct {
			Changes []map[string]string `json:"changes"`
		} `json:"meta"`
	} `json:"record"`
	State            json.RawMessage `json:"state"`
	Log              *Log            `json:"log"`
	Catalog          json.RawMessage `json:"catalog"`
	Spec             json.RawMessage `json:"spec"`
	ConnectionStatus *Check          `json:"connectionStatus"`
	Trace            *struct {
		Type         string `json:"type"`
		Error        *Error `json:"error"`
		StreamStatus *struct {
			Stream Stream `json:"stream_descriptor"`
			Status string `json:"status"`
		} `json:"stream_status"`
	} `json:"trace"`
}

// Parse parses a run's output. An unterminated last line, as a killed connector leaves it, is ignored.
func Parse(r io.Reader) (*Output, error) {
	o := &Output{Statuses: map[Stream]string{}, Kinds: map[string]int{}}
	lines := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return o, nil
		}
		if err != nil {
			return nil, err
		}
		if err := o.add(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
}

func (o *Output) add(line []byte) error {
	var m message
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return fmt.Errorf("not an Airbyte message: %w", err)
	}
	o.Kinds[m.Type]++
	switch {
	case m.Record != nil:
		o.Records = append(o.Records, Record{
			Stream: Stream{m.Record.Stream, m.Record.Namespace}, Data: m.Record.Data, Changes: m.Record.Meta.Changes,
		})
	case m.State != nil:
		return o.addState(m.State)
	case m.Log != nil:
		o.Logs = append(o.Logs, *m.Log)
	case m.Trace != nil:
		o.Kinds[m.Trace.Type]++
		if m.Trace.Error != nil {
			o.Errors = append(o.Errors, *m.Trace.Error)
		}
		if s := m.Trace.StreamStatus; s != nil {
			o.Statuses[s.Stream] = s.Status
		}
	case m.Catalog != nil:
		o.Catalog = m.Catalog
	case m.Spec != nil:
		o.Spec = m.Spec
	case m.ConnectionStatus != nil:
		o.Check = m.ConnectionStatus
	default:
		return fmt.Errorf("a message of the type %q without its payload", m.Type)
	}
	return nil
}

func (o *Output) addState(data json.RawMessage) error {
	var s struct {
		Type   string `json:"type"`
		Stream struct {
			Descriptor Stream `json:"stream_descriptor"`
		} `json:"stream"`
		SourceStats struct {
			RecordCount float64 `json:"recordCount"`
		} `json:"sourceStats"`
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if s.Type != "STREAM" || s.Stream.Descriptor.Name == "" {
		return fmt.Errorf("a STATE that is not of type STREAM, or names no stream")
	}
	o.States = append(o.States, State{Stream: s.Stream.Descriptor, Message: data, Before: len(o.Records), Count: s.SourceStats.RecordCount})
	return nil
}

// StateFile returns what the platform passes to the next run: the last state of each stream among the given states, which may come from
// several runs.
func StateFile(states []State) ([]byte, error) {
	last := map[Stream]json.RawMessage{}
	var order []Stream
	for _, s := range states {
		if _, ok := last[s.Stream]; !ok {
			order = append(order, s.Stream)
		}
		last[s.Stream] = s.Message
	}
	list := make([]json.RawMessage, 0, len(order))
	for _, s := range order {
		list = append(list, last[s])
	}
	return json.Marshal(list)
}

// Configure creates a configured catalog from the discovered one: the named streams, or all if none is named.
func Configure(catalog json.RawMessage, mode string, streams ...string) ([]byte, error) {
	var c struct {
		Streams []map[string]any `json:"streams"`
	}
	if err := json.Unmarshal(catalog, &c); err != nil {
		return nil, fmt.Errorf("not a catalog: %w", err)
	}
	configured := []map[string]any{}
	found := 0
	for _, s := range c.Streams {
		name, _ := s["name"].(string)
		if len(streams) > 0 && !slices.Contains(streams, name) {
			continue
		}
		found++
		one := map[string]any{"stream": s, "sync_mode": mode, "destination_sync_mode": "append"}
		if key, ok := s["source_defined_primary_key"]; ok {
			one["primary_key"], one["destination_sync_mode"] = key, "append_dedup"
		}
		if mode == "incremental" {
			one["cursor_field"] = s["default_cursor_field"]
		}
		configured = append(configured, one)
	}
	if found < len(streams) {
		return nil, fmt.Errorf("the catalog has only %d of the streams %v", found, streams)
	}
	return json.MarshalIndent(map[string]any{"streams": configured}, "", "  ")
}
