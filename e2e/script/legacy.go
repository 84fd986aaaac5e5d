package script

import (
	"encoding/base64"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protowire"
)

// LegacyState is what planetscale/airbyte-source leaves for streams at the positions that the command position printed: after their
// copies or, with the last key that it knows, in the middle of one.
func LegacyState(positions []byte, names []string, lastKey ...string) ([]byte, error) {
	var byKeyspace map[string]map[string]string
	if err := json.Unmarshal(positions, &byKeyspace); err != nil {
		return nil, err
	}
	streams := map[string]any{}
	for keyspace, byShard := range byKeyspace {
		shards := map[string]any{}
		for shard, position := range byShard {
			var cursor []byte // {1: shard, 2: keyspace, 3: position, 4: last_known_pk}
			for i, field := range append([]string{shard, keyspace, position}, lastKey...) {
				cursor = protowire.AppendString(protowire.AppendTag(cursor, protowire.Number(i+1), protowire.BytesType), field)
			}
			shards[shard] = map[string]string{"cursor": base64.StdEncoding.EncodeToString(cursor)}
		}
		for _, name := range names {
			streams[keyspace+":"+name] = map[string]any{"shards": shards}
		}
	}
	return json.Marshal(map[string]any{"streams": streams})
}
