package torture

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"source-planetscale/internal/destination"
)

// line is what one line of the output says of a stream.
type line struct {
	Type   string
	Record *struct {
		Stream    string
		Namespace *string
		Data      json.RawMessage
	}
	State *struct {
		Stream struct {
			Descriptor descriptor `json:"stream_descriptor"`
		}
	}
	Trace *struct {
		Status *struct {
			Descriptor descriptor `json:"stream_descriptor"`
			Status     string
		} `json:"stream_status"`
		Error *struct {
			Descriptor *descriptor `json:"stream_descriptor"`
		}
	}
}

type descriptor struct {
	Name      string
	Namespace *string
}

// subject is the stream that a line is about, if it is about one.
func (l *line) subject() *descriptor {
	switch {
	case l.Record != nil:
		return &descriptor{l.Record.Stream, l.Record.Namespace}
	case l.State != nil:
		return &l.State.Stream.Descriptor
	case l.Trace != nil && l.Trace.Status != nil:
		return &l.Trace.Status.Descriptor
	case l.Trace != nil && l.Trace.Error != nil:
		return l.Trace.Error.Descriptor
	}
	return nil
}

// progress is where a stream is in a run.
type progress struct {
	*Stream
	schema *jsonschema.Schema
	status string
	since  int // records since its last state
}

// Obeys holds each line of a run against the protocol: the order of a stream's statuses, what comes while it has which, its namespace, and
// the values of records against the schema. Any line may be the last: a run may be killed.
func (p *Platform) Obeys(output []byte) *Finding {
	streams := map[string]*progress{}
	for name, s := range p.Streams {
		schema, err := s.compile()
		if err != nil {
			return found(Protocol, name, "the schema: %v", err)
		}
		streams[name] = &progress{Stream: s, schema: schema}
	}
	for text := range bytes.Lines(output) {
		var l line
		if !bytes.HasSuffix(text, []byte("\n")) || json.Unmarshal(text, &l) != nil {
			continue // cut, or refused by whoever parses all of it
		}
		of := l.subject()
		if of == nil {
			continue
		}
		s := streams[of.Name]
		if s == nil {
			return found(Protocol, of.Name, "a message of a stream that is not configured: %.300s", text)
		}
		if !p.homely(s.Stream, of.Namespace) {
			return found(Protocol, of.Name, "the namespace should be %q: %.300s", s.Namespace, text)
		}
		if problem := s.take(&l); problem != "" {
			return found(Protocol, of.Name, "%s: %.300s", problem, text)
		}
	}
	return nil
}

// homely reports whether a message has its stream's namespace, or none if the catalog had none.
func (p *Platform) homely(s *Stream, namespace *string) bool {
	if namespace == nil {
		return p.BareCatalog
	}
	return *namespace == s.Namespace
}

// take returns what is wrong with the stream's next line, or "".
func (s *progress) take(l *line) string {
	open := s.status == "STARTED" || s.status == "RUNNING"
	switch {
	case l.Record != nil && !open, l.State != nil && !open:
		return fmt.Sprintf("the stream's status is %q", s.status)
	case l.Record != nil:
		s.since++
		return s.violates(l.Record.Data)
	case l.State != nil:
		s.since = 0
	case l.Trace.Status != nil:
		next := l.Trace.Status.Status
		if !destination.MayFollow(s.status, next) {
			return fmt.Sprintf("%q follows %q", next, s.status)
		}
		if s.status = next; next == "COMPLETE" && s.since > 0 {
			return fmt.Sprintf("%d records came after the last state", s.since)
		}
	}
	return ""
}

// violates holds values against the schema, while the catalog and all rows that may be read have the table's columns as they are.
func (s *progress) violates(data []byte) string {
	if s.Changed {
		return ""
	}
	values, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err == nil {
		err = s.schema.Validate(values)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// compile prepares the stream's json_schema.
func (s *Stream) compile() (*jsonschema.Schema, error) {
	stream, _ := s.entry["stream"].(map[string]any)
	encoded, err := json.Marshal(stream["json_schema"])
	if err != nil {
		return nil, err
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	return destination.CompileSchema(schema)
}
