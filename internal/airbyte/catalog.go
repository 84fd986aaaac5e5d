package airbyte

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// SyncMode is how a stream is read.
type SyncMode string

// The protocol's sync modes.
const (
	FullRefresh SyncMode = "full_refresh"
	Incremental SyncMode = "incremental"
)

// DestinationSyncMode is what the destination does with a stream's records.
type DestinationSyncMode string

// The modes in which the destination keeps every record.
const (
	appends    DestinationSyncMode = "append"
	overwrites DestinationSyncMode = "overwrite"
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

// Schemas returns the JSON schemas of the stream's columns: what is under json_schema.properties.
func (s *Stream) Schemas() (map[string]json.RawMessage, error) {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(s.JSONSchema, &schema); err != nil {
		return nil, fmt.Errorf("the json_schema of stream %s is not a JSON schema: %w", s.Descriptor(), Malformed(err))
	}
	return schema.Properties, nil
}

// Properties returns the names of the stream's columns.
func (s *Stream) Properties() (map[string]bool, error) {
	schemas, err := s.Schemas()
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(schemas))
	for name := range schemas {
		names[name] = true
	}
	return names, nil
}

// ConfiguredCatalog is the file passed to read: the streams to read, and how.
type ConfiguredCatalog struct {
	Streams []ConfiguredStream `json:"streams"`
}

// ConfiguredStream is one stream to read.
type ConfiguredStream struct {
	Stream   Stream   `json:"stream"`
	SyncMode SyncMode `json:"sync_mode"`
	// DestinationSyncMode is empty if the catalog does not have it.
	DestinationSyncMode DestinationSyncMode `json:"destination_sync_mode"`
	// PrimaryKey is what the destination deduplicates by: paths of names.
	PrimaryKey [][]string `json:"primary_key"`
	// CursorField is a path of names. Of two records of a row, the destination keeps the one that is larger there.
	CursorField []string `json:"cursor_field"`
	// SyncID is the platform's job, the same for all its attempts; 0 if the platform sends none.
	SyncID int64 `json:"sync_id"`
}

// Deduplicates reports whether the destination keeps one record for each key.
func (c *ConfiguredStream) Deduplicates() bool {
	return c.DestinationSyncMode != "" && c.DestinationSyncMode != appends && c.DestinationSyncMode != overwrites
}

// Key returns the columns by which the destination identifies rows: the configured key, or the source's if none is configured. A key
// inside a column is an error.
func (c *ConfiguredStream) Key() ([]string, error) {
	paths := c.PrimaryKey
	if len(paths) == 0 {
		paths = c.Stream.SourceDefinedPrimaryKey
	}
	var key []string
	for _, path := range paths {
		if len(path) != 1 {
			return nil, fmt.Errorf("its primary key has the field %q, which is not a column; choose columns", strings.Join(path, "."))
		}
		key = append(key, path[0])
	}
	return key, nil
}

// Has reports whether a stream has that name, in any namespace.
func (c *ConfiguredCatalog) Has(name string) bool {
	return slices.ContainsFunc(c.Streams, func(s ConfiguredStream) bool { return s.Stream.Name == name })
}

// Namespaces are those of the streams, each once, in catalog order.
func (c *ConfiguredCatalog) Namespaces() []string {
	var names []string
	for i := range c.Streams {
		if name := c.Streams[i].Stream.Namespace; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Resolve gives streams without a namespace the keyspace's, which they refer to.
func (c *ConfiguredCatalog) Resolve(keyspace string) error {
	seen := make(map[StreamDescriptor]bool, len(c.Streams))
	for i := range c.Streams {
		s := &c.Streams[i].Stream
		s.Namespace = cmp.Or(s.Namespace, keyspace)
		if d := s.Descriptor(); seen[d] {
			return fmt.Errorf("stream %s is in the catalog twice, once without a namespace", d)
		}
		seen[s.Descriptor()] = true
	}
	return nil
}

// ParseConfiguredCatalog parses and validates a ConfiguredAirbyteCatalog.
func ParseConfiguredCatalog(data []byte) (*ConfiguredCatalog, error) {
	var c ConfiguredCatalog
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("the catalog is not a ConfiguredAirbyteCatalog: %w", Malformed(err))
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
			return nil, fmt.Errorf("stream %d of the catalog has no name (a configured catalog has "+
				"{\"streams\":[{\"stream\":{\"name\":…},\"sync_mode\":…}]})", i+1)
		case s.SyncMode != FullRefresh && s.SyncMode != Incremental:
			return nil, fmt.Errorf("stream %s has the sync mode %q; it must be full_refresh or incremental", d, s.SyncMode)
		case seen[d]:
			return nil, fmt.Errorf("stream %s is in the catalog twice", d)
		}
		seen[d] = true
	}
	return &c, nil
}
