package gtid

// Shard is a shard of a keyspace, to which a position belongs. Shard names repeat across keyspaces, so nothing is identified by the
// shard's name alone.
type Shard struct{ Keyspace, Name string }

// String is the shard in the format of Vitess' own messages.
func (s Shard) String() string { return s.Keyspace + "/" + s.Name }

// Shards lists shards of one keyspace.
func Shards(keyspace string, names ...string) []Shard {
	shards := make([]Shard, len(names))
	for i, name := range names {
		shards[i] = Shard{keyspace, name}
	}
	return shards
}

// Names are the shards' names without their keyspace.
func Names(shards []Shard) []string {
	names := make([]string, len(shards))
	for i, s := range shards {
		names[i] = s.Name
	}
	return names
}
