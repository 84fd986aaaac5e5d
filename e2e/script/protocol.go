package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"source-planetscale/internal/destination"
)

// protocolStream is what validate knows of one configured stream.
type protocolStream struct {
	schema     *jsonschema.Schema
	properties map[string]any
	status     string
	records    int
	since      int // records since the last STATE
}

// protocolCatalog is the configured streams.
type protocolCatalog map[destination.Stream]*protocolStream

// find returns the stream of a message, by the fields of its name and namespace, which the catalog may have left out; nil for none.
func (c protocolCatalog) find(message map[string]any, name string) *protocolStream {
	stream := destination.Stream{Name: message[name].(string)}
	bare := c[stream]
	stream.Namespace, _ = message["namespace"].(string)
	if s := c[stream]; s != nil {
		return s
	}
	return bare
}

// Validate holds a read's output against the protocol: every record has its stream's columns and obeys its schema, each
// STATE counts the records since the last one, no record comes after its stream's end, and every stream ends COMPLETE
// and with a state after its last record.
func Validate(output, catalog string) error {
	streams, err := protocolStreams(catalog)
	if err != nil {
		return err
	}
	var problems []error
	for n, line := range strings.Split(strings.TrimSpace(output), "\n") {
		m, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			return fmt.Errorf("line %d is not JSON: %w", n+1, err)
		}
		if err := validateMessage(streams, m.(map[string]any)); err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", n+1, err))
		}
	}
	for name, s := range streams {
		if s.status != "COMPLETE" {
			problems = append(problems, fmt.Errorf("stream %s ends with status %q", name, s.status))
		}
		if s.since > 0 {
			problems = append(problems, fmt.Errorf("stream %s has %d records after its last state", name, s.since))
		}
	}
	if len(problems) > 20 {
		problems = problems[:20]
	}
	return errors.Join(problems...)
}

func protocolStreams(catalog string) (protocolCatalog, error) {
	var c struct {
		Streams []struct {
			Stream struct {
				destination.Stream
				Schema map[string]any `json:"json_schema"`
			} `json:"stream"`
		} `json:"streams"`
	}
	if err := json.Unmarshal([]byte(catalog), &c); err != nil {
		return nil, err
	}
	streams := protocolCatalog{}
	for _, s := range c.Streams {
		schema, err := destination.CompileSchema(s.Stream.Schema)
		if err != nil {
			return nil, err
		}
		properties, _ := s.Stream.Schema["properties"].(map[string]any)
		streams[s.Stream.Stream] = &protocolStream{schema: schema, properties: properties}
	}
	return streams, nil
}

func validateMessage(streams protocolCatalog, m map[string]any) error {
	switch m["type"] {
	case "RECORD":
		record := m["record"].(map[string]any)
		s := streams.find(record, "stream")
		if s == nil {
			return fmt.Errorf("a record of stream %v, which is not configured", record["stream"])
		}
		return s.record(record["data"].(map[string]any))
	case "STATE":
		state := m["state"].(map[string]any)
		descriptor := state["stream"].(map[string]any)["stream_descriptor"].(map[string]any)
		s := streams.find(descriptor, "name")
		count, want := fmt.Sprint(state["sourceStats"].(map[string]any)["recordCount"]), fmt.Sprintf("%d.0", s.since)
		s.since = 0
		if count != want {
			return fmt.Errorf("the state of %v counts %s records, %s came", descriptor["name"], count, want)
		}
	case "TRACE":
		trace := m["trace"].(map[string]any)
		if status, ok := trace["stream_status"].(map[string]any); ok {
			s := streams.find(status["stream_descriptor"].(map[string]any), "name")
			next := status["status"].(string)
			if !destination.MayFollow(s.status, next) {
				return fmt.Errorf("status %s after %q", next, s.status)
			}
			s.status = next
		}
	}
	return nil
}

func (s *protocolStream) record(data map[string]any) error {
	s.records++
	s.since++
	if s.status != "STARTED" && s.status != "RUNNING" {
		return fmt.Errorf("a record while the status is %q", s.status)
	}
	for column := range data {
		if s.properties[column] == nil {
			return fmt.Errorf("column %s is not in the schema", column)
		}
	}
	return s.schema.Validate(data)
}
