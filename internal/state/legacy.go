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

// ParseLegacy parses the state of planetscale/airbyte-source:
//
//	{"streams":{"<keyspace>:<table>":{"shards":{"<shard>":{"cursor":"<base64>"}}}}}
//
// It returns the streams of the keyspace by table name; reads reports for other keyspaces whether they are read as well. A finished copy
// is continued by replication. An unfinished one starts over: that connector resumed copies without replaying changes made in the
// meantime.
func ParseLegacy(data []byte, keyspace string, reads func(keyspace string) bool) (map[string]*Stream, error) {
	var in struct {
		Streams map[string]struct {
			Shards map[string]struct {
				Cursor string `json:"cursor"`
			} `json:"shards"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("it is not a state of planetscale/airbyte-source: %w", airbyte.Malformed(err))
	}
	if in.Streams == nil {
		return nil, fmt.Errorf(`it has no "streams": neither a state of this source nor of planetscale/airbyte-source`)
	}
	streams := map[string]*Stream{}
	for name, stream := range in.Streams {
		ks, table, ok := strings.Cut(name, ":")
		if !ok {
			return nil, fmt.Errorf("its stream %q is not named keyspace:table", name)
		}
		if ks != keyspace && reads(ks) {
			continue
		}
		if ks != keyspace {
			return nil, fmt.Errorf("its stream %q is of another keyspace than the configured database %q", name, keyspace)
		}
		s := &Stream{Shards: map[gtid.Shard]*Shard{}}
		for shard, cursor := range stream.Shards {
			at := gtid.Shard{Keyspace: keyspace, Name: shard}
			position, copying, err := parseCursor(cursor.Cursor, keyspace, shard)
			if err != nil {
				return nil, fmt.Errorf("stream %s, shard %s: %w", name, shard, err)
			}
			switch {
			case copying:
				s.Shards[at] = &Shard{Copy: &Copy{Oldest: position}}
			case !position.IsZero():
				s.Shards[at] = &Shard{Position: position}
			}
		}
		streams[table] = s
	}
	return streams, nil
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
