package script

import (
	"encoding/base64"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protowire"
)

// LegacyState is what earlier releases of planetscale/airbyte-source leave for streams at the positions that the command position
// printed: after their copies or, with the last key that it knows, in the middle of one.
func LegacyState(positions []byte, names []string, lastKey ...string) ([]byte, error) {
	byKeyspace, err := formerStates(positions, lastKey)
	if err != nil {
		return nil, err
	}
	streams := map[string]any{}
	for keyspace, saved := range byKeyspace {
		for _, name := range names {
			streams[keyspace+":"+name] = saved
		}
	}
	return json.Marshal(map[string]any{"streams": streams})
}

// FormerState is what its later releases leave: a state for each stream.
func FormerState(positions []byte, names []string, lastKey ...string) ([]byte, error) {
	byKeyspace, err := formerStates(positions, lastKey)
	if err != nil {
		return nil, err
	}
	var states []any
	for keyspace, saved := range byKeyspace {
		for _, name := range names {
			states = append(states, map[string]any{"type": "STREAM", "stream": map[string]any{
				"stream_descriptor": map[string]string{"name": name, "namespace": keyspace}, "stream_state": saved,
			}})
		}
	}
	return json.Marshal(states)
}

// formerStates is the state of a stream of each keyspace.
func formerStates(positions []byte, lastKey []string) (map[string]any, error) {
	var byKeyspace map[string]map[string]string
	if err := json.Unmarshal(positions, &byKeyspace); err != nil {
		return nil, err
	}
	states := map[string]any{}
	for keyspace, byShard := range byKeyspace {
		shards := map[string]any{}
		for shard, position := range byShard {
			var cursor []byte // {1: shard, 2: keyspace, 3: position, 4: last_known_pk}
			for i, field := range append([]string{shard, keyspace, position}, lastKey...) {
				cursor = protowire.AppendString(protowire.AppendTag(cursor, protowire.Number(i+1), protowire.BytesType), field)
			}
			shards[shard] = map[string]string{"cursor": base64.StdEncoding.EncodeToString(cursor)}
		}
		states[keyspace] = map[string]any{"shards": shards}
	}
	return states, nil
}
