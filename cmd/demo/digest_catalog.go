package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"source-planetscale/internal/destination"
)

// streamDigest is one stream of a configured catalog.
type streamDigest struct {
	destination.Stream
	key     string
	columns []string // with their types
	schema  json.RawMessage
}

// property is a column's JSON schema, as far as its name in the digest goes.
type property struct {
	Type     any    `json:"type"`
	Airbyte  string `json:"airbyte_type"`
	Format   string `json:"format"`
	Encoding string `json:"contentEncoding"`
}

func parseStreams(catalog []byte) ([]streamDigest, error) {
	var c struct {
		Streams []struct {
			Stream struct {
				destination.Stream
				Schema json.RawMessage `json:"json_schema"`
			} `json:"stream"`
			Key [][]string `json:"primary_key"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(catalog, &c); err != nil {
		return nil, fmt.Errorf("the catalog cannot be read: %w", err)
	}
	var streams []streamDigest
	for _, s := range c.Streams {
		columns, err := describeColumns(s.Stream.Schema, columnNames(s.Stream.Namespace, s.Stream.Name))
		if err != nil {
			return nil, fmt.Errorf("the schema of stream %s cannot be read: %w", s.Stream.Stream, err)
		}
		var key []string
		for _, path := range s.Key {
			key = append(key, strings.Join(path, "."))
		}
		streams = append(streams, streamDigest{
			Stream: s.Stream.Stream, key: strings.Join(key, ", "), columns: columns, schema: s.Stream.Schema,
		})
	}
	return streams, nil
}

// describeColumns lists the table's own columns: the named ones in their order, then the others.
func describeColumns(schema json.RawMessage, order []string) ([]string, error) {
	var s struct {
		Properties map[string]property `json:"properties"`
	}
	if err := json.Unmarshal(schema, &s); err != nil {
		return nil, err
	}
	for _, name := range cdcColumns {
		delete(s.Properties, name)
	}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Properties)), func(name string) bool { return slices.Contains(order, name) })
	var columns []string
	for _, name := range slices.Concat(order, rest) {
		if p, ok := s.Properties[name]; ok {
			columns = append(columns, name+" "+p.String())
		}
	}
	return columns, nil
}

// String is the shortest name of the type: the last keyword of the schema says most.
func (p property) String() string {
	switch {
	case p.Airbyte != "":
		return p.Airbyte
	case p.Format != "":
		return p.Format
	case p.Encoding != "":
		return p.Encoding
	}
	if types, ok := p.Type.([]any); ok && len(types) > 0 {
		return fmt.Sprint(types[len(types)-1]) // the first is null
	}
	return fmt.Sprint(p.Type)
}
