package state

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"

	"google.golang.org/protobuf/encoding/protowire"
)

// ParseLegacy splits the document in which earlier releases of planetscale/airbyte-source have the states of all streams:
//
//	{"streams":{"<keyspace>:<table>":{"shards":{"<shard>":{"cursor":"<base64>"}}}}}
//
// ParseFormer parses each. Its later releases save one such state for each stream.
func ParseLegacy(data []byte) (map[airbyte.StreamDescriptor]json.RawMessage, error) {
	var in struct {
		Streams map[string]json.RawMessage `json:"streams"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("it is not a state of planetscale/airbyte-source: %w", airbyte.Malformed(err))
	}
	if in.Streams == nil {
		return nil, fmt.Errorf(`it has no "streams": neither a state of this source nor of planetscale/airbyte-source`)
	}
	streams := map[airbyte.StreamDescriptor]json.RawMessage{}
	for name, stream := range in.Streams {
		keyspace, table, ok := strings.Cut(name, ":")
		if !ok {
			return nil, fmt.Errorf("its stream %q is not named keyspace:table", name)
		}
		streams[airbyte.StreamDescriptor{Name: table, Namespace: keyspace}] = stream
	}
	return streams, nil
}

// IsFormer reports whether planetscale/airbyte-source has written the state of a stream: it has no version, and cursors of shards, or
// shards with nothing in them.
func IsFormer(data []byte) bool {
	var in map[string]json.RawMessage
	var shards map[string]map[string]json.RawMessage
	if json.Unmarshal(data, &in) != nil || in["version"] != nil || json.Unmarshal(in["shards"], &shards) != nil {
		return false
	}
	for _, shard := range shards {
		if shard["cursor"] == nil && len(shard) > 0 {
			return false
		}
	}
	return true
}

// ParseFormer parses the state that planetscale/airbyte-source has written for a stream of the keyspace:
//
//	{"shards":{"<shard>":{"cursor":"<base64>"}}}
//
// A finished copy is continued by replication. An unfinished one starts over: that connector resumed copies without replaying changes
// made in the meantime.
func ParseFormer(data []byte, keyspace string) (*Stream, error) {
	var in struct {
		Shards map[string]struct {
			Cursor string `json:"cursor"`
		} `json:"shards"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("it is not a state of planetscale/airbyte-source: %w", airbyte.Malformed(err))
	}
	s := &Stream{Shards: map[gtid.Shard]*Shard{}}
	for shard, saved := range in.Shards {
		position, copying, err := parseCursor(saved.Cursor, keyspace, shard)
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", shard, err)
		}
		at := gtid.Shard{Keyspace: keyspace, Name: shard}
		switch {
		case copying:
			s.Shards[at] = &Shard{Copy: &Copy{Oldest: position}}
		case !position.IsZero():
			s.Shards[at] = &Shard{Position: position}
		}
	}
	return s, nil
}

// parseCursor parses {1: shard, 2: keyspace, 3: position, 4: last_known_pk}. It reports whether the copy was unfinished.
func parseCursor(text, keyspace, shard string) (p gtid.Position, copying bool, err error) {
	if text == "" {
		return p, false, nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return p, false, fmt.Errorf("its cursor is not base64")
	}
	fields := map[protowire.Number]string{}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 || kind != protowire.BytesType {
			return p, false, fmt.Errorf("its cursor is damaged")
		}
		value, m := protowire.ConsumeBytes(data[n:])
		if m < 0 {
			return p, false, fmt.Errorf("its cursor is damaged")
		}
		fields[number] = string(value)
		data = data[n+m:]
	}
	if fields[1] != shard || fields[2] != keyspace {
		return p, false, fmt.Errorf("its cursor is of shard %q of keyspace %q", fields[1], fields[2])
	}
	p, err = gtid.Parse(fields[3])
	return p, fields[4] != "", err
}
