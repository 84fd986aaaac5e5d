package sandbox

import "fmt"

// Topology describes a cluster: its keyspaces in order. It is plain data, so
// that a test can ask for another cluster by writing it down.
type Topology []Keyspace

// Keyspace is a Vitess keyspace. VSchema is its VSchema as JSON; empty leaves
// what Vitess makes itself, an unsharded one.
type Keyspace struct {
	Name    string  `json:"name"`
	Shards  []Shard `json:"shards"`
	VSchema string  `json:"vschema,omitempty"`
}

// Shard is a shard, named by its key range ("-" alone is the whole of it), and
// how many tablets it has. Tablet 0 becomes the first primary.
type Shard struct {
	Name    string `json:"name"`
	Tablets int    `json:"tablets"`
}

// Default is the cluster of `sandbox up`: commerce is unsharded, customer has
// two shards and the vindexes hash and xxhash to give tables with
// `alter vschema on t add vindex xxhash(id)`.
func Default() Topology {
	return Topology{
		{Name: "commerce", Shards: []Shard{{Name: "-", Tablets: 1}}},
		{
			Name:    "customer",
			Shards:  []Shard{{Name: "-80", Tablets: 1}, {Name: "80-", Tablets: 1}},
			VSchema: `{"sharded": true, "vindexes": {"hash": {"type": "hash"}, "xxhash": {"type": "xxhash"}}}`,
		},
	}
}

// tablet is one vttablet and its mysqld. UID is its number in Vitess, Index its
// place in the shard.
type tablet struct {
	Keyspace string `json:"keyspace"`
	Shard    string `json:"shard"`
	Index    int    `json:"index"`
	UID      int    `json:"uid"`
}

func (t tablet) id() string       { return fmt.Sprintf("%s-%s-%d", t.Keyspace, t.Shard, t.Index) }
func (t tablet) mysqld() string   { return "mysqld-" + t.id() }
func (t tablet) vttablet() string { return "vttablet-" + t.id() }
func (t tablet) target() string   { return t.Keyspace + "/" + t.Shard }
func (t tablet) alias() string    { return fmt.Sprintf("%s-%010d", cell, t.UID) }

func (t tablet) listeners() []string {
	return []string{t.mysqld(), t.vttablet() + "-grpc", t.vttablet() + "-web"}
}

// tablets are those that the cluster starts with.
func (t Topology) tablets() []tablet {
	var all []tablet
	for _, ks := range t {
		for _, shard := range ks.Shards {
			for i := range shard.Tablets {
				all = append(all, tablet{Keyspace: ks.Name, Shard: shard.Name, Index: i, UID: firstTablet + len(all)})
			}
		}
	}
	return all
}
