package airbyte

import (
	"encoding/json"
	"errors"
	"fmt"
)

// SyncMode is how a stream is read.
type SyncMode string

// The protocol's sync modes.
const (
	FullRefresh SyncMode = "full_refresh"
	Incremental SyncMode = "incremental"
)

// Catalog is what discover prints.
type Catalog struct {
	Streams []Stream `json:"streams"`
}

// Stream describes one stream of a catalog.
type Stream struct {
	Name                    string          `json:"name"`
	Namespace               string          `json:"namespace,omitempty"`
	JSONSchema              json.RawMessage `json:"json_schema"`
	SupportedSyncModes      []SyncMode      `json:"supported_sync_modes"`
	SourceDefinedCursor     bool            `json:"source_defined_cursor"`
	DefaultCursorField      []string        `json:"default_cursor_field,omitempty"`
	SourceDefinedPrimaryKey [][]string      `json:"source_defined_primary_key,omitempty"`
	IsResumable             bool            `json:"is_resumable"`
}

// Descriptor names the stream.
func (s *Stream) Descriptor() StreamDescriptor {
	return StreamDescriptor{Name: s.Name, Namespace: s.Namespace}
}

// Properties returns the stream's columns: the names under json_schema.properties.
func (s *Stream) Properties() (map[string]bool, error) {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(s.JSONSchema, &schema); err != nil {
		return nil, fmt.Errorf("the json_schema of stream %s is not a JSON schema: %w", s.Descriptor(), err)
	}
	names := make(map[string]bool, len(schema.Properties))
	for name := range schema.Properties {
		names[name] = true
	}
	return names, nil
}

// ConfiguredCatalog is the file that read is given: the streams to read, and how.
type ConfiguredCatalog struct {
	Streams []ConfiguredStream `json:"streams"`
}

// ConfiguredStream is one stream to read.
type ConfiguredStream struct {
	Stream   Stream   `json:"stream"`
	SyncMode SyncMode `json:"sync_mode"`
	// PrimaryKey is what the destination removes duplicates by: paths of names.
	PrimaryKey [][]string `json:"primary_key"`
	// SyncID is the platform's job, the same for all its attempts; 0 where the platform has none.
	SyncID int64 `json:"sync_id"`
}

// ParseConfiguredCatalog parses and checks a ConfiguredAirbyteCatalog.
func ParseConfiguredCatalog(data []byte) (*ConfiguredCatalog, error) {
	var c ConfiguredCatalog
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("the catalog is not a ConfiguredAirbyteCatalog: %w", err)
	}
	if len(c.Streams) == 0 {
		return nil, errors.New("the catalog names no stream; select at least one in the connection")
	}
	seen := make(map[StreamDescriptor]bool, len(c.Streams))
	for i := range c.Streams {
		s := &c.Streams[i]
		d := s.Stream.Descriptor()
		switch {
		case d.Name == "":
			return nil, fmt.Errorf("stream %d of the catalog has no name (a configured catalog has {\"streams\":[{\"stream\":{\"name\":…},\"sync_mode\":…}]})", i+1)
		case s.SyncMode != FullRefresh && s.SyncMode != Incremental:
			return nil, fmt.Errorf("stream %s has the sync mode %q; it must be full_refresh or incremental", d, s.SyncMode)
		case seen[d]:
			return nil, fmt.Errorf("stream %s is in the catalog twice", d)
		}
		seen[d] = true
	}
	return &c, nil
}
