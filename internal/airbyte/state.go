package airbyte

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// State is what the platform passes back to read, unchanged.
type State struct {
	// Streams holds the stream_state of each STREAM message. A state of null ("start over") is left out.
	Streams map[StreamDescriptor]json.RawMessage
	// Legacy holds the document of a legacy state, nil if there is none.
	Legacy json.RawMessage
}

// ParseState parses the file given with --state: a JSON array of state messages, one such message, or a bare legacy document. Empty
// input, null, [] and {} are an empty state.
func ParseState(data []byte) (*State, error) {
	s := &State{Streams: map[StreamDescriptor]json.RawMessage{}}
	data = bytes.TrimSpace(data)
	if len(data) == 0 || isNull(data) {
		return s, nil
	}
	if data[0] != '[' {
		return s, s.add(data)
	}
	var messages []json.RawMessage
	if err := json.Unmarshal(data, &messages); err != nil {
		return nil, fmt.Errorf("the state is not valid JSON: %w", Malformed(err))
	}
	for _, m := range messages {
		if err := s.add(m); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Resolve gives states without a namespace the keyspace's, which they refer to. If a stream has one of each kind, the one with the
// namespace is used, and the other one stays: Unused has it.
func (s *State) Resolve(keyspace string) {
	for d, data := range s.Streams {
		resolved := StreamDescriptor{Name: d.Name, Namespace: keyspace}
		if _, taken := s.Streams[resolved]; d.Namespace != "" || taken {
			continue
		}
		delete(s.Streams, d)
		s.Streams[resolved] = data
	}
}

// Unused returns the states, ordered by name, that belong to no stream of the catalog although a stream has the same name.
func (s *State) Unused(c *ConfiguredCatalog) []StreamDescriptor {
	names, streams := map[string]bool{}, map[StreamDescriptor]bool{}
	for i := range c.Streams {
		d := c.Streams[i].Stream.Descriptor()
		names[d.Name], streams[d] = true, true
	}
	var unused []StreamDescriptor
	for d := range s.Streams {
		if names[d.Name] && !streams[d] {
			unused = append(unused, d)
		}
	}
	slices.SortFunc(unused, func(a, b StreamDescriptor) int { return strings.Compare(a.String(), b.String()) })
	return unused
}

func (s *State) add(data json.RawMessage) error {
	var m struct {
		Type   string `json:"type"`
		Stream *struct {
			Descriptor StreamDescriptor `json:"stream_descriptor"`
			State      json.RawMessage  `json:"stream_state"`
		} `json:"stream"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("the state is not a list of Airbyte state messages: %w", Malformed(err))
	}
	switch {
	case m.Type == "STREAM" && m.Stream != nil && m.Stream.Descriptor.Name != "":
		if !isNull(m.Stream.State) {
			s.Streams[m.Stream.Descriptor] = m.Stream.State
		}
		return nil
	case m.Type == "STREAM":
		return errors.New("the state has a STREAM message without a stream_descriptor; clear the connection's state, or fix it under Settings > Advanced")
	case m.Type == "GLOBAL":
		return errors.New("the state is of type GLOBAL, which this source never writes; clear the connection's state and sync again")
	case m.Type != "" && m.Type != "LEGACY":
		return fmt.Errorf("the state has a message of the unknown type %q; clear the connection's state and sync again", m.Type)
	}
	return s.addLegacy(data, m.Data)
}

func (s *State) addLegacy(whole, data json.RawMessage) error {
	if isNull(data) {
		data = whole
	}
	if bytes.Equal(data, []byte("{}")) {
		return nil
	}
	if s.Legacy != nil {
		return errors.New("the state holds two legacy states; pass one")
	}
	s.Legacy = data
	return nil
}

func isNull(data json.RawMessage) bool {
	return len(data) == 0 || bytes.Equal(data, []byte("null"))
}
