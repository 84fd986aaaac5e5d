package vstream

import (
	"fmt"
	"strings"

	"vitess.io/vitess/go/mysql/replication"
)

// flavor is how VStream marks a MySQL GTID set, as in "MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-615".
const flavor = "MySQL56/"

// Position is the set of transactions that one shard's stream has given: a GTID set, parsed once. The zero Position holds
// no transaction. Positions are immutable.
type Position struct {
	set  replication.Mysql56GTIDSet
	text string
}

// ParsePosition parses a position as VStream writes it, with or without the flavor before it; "" is the zero Position.
func ParsePosition(s string) (Position, error) {
	// MySQL itself prints sets of several servers on several lines.
	gtids := strings.TrimPrefix(strings.Join(strings.Fields(s), ""), flavor)
	if gtids == "" {
		return Position{}, nil
	}
	set, err := replication.ParseMysql56GTIDSet(gtids)
	if err != nil || set.Empty() {
		return Position{}, fmt.Errorf("%q is not a position; expected a MySQL GTID set such as MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-615", s)
	}
	return Position{set: set, text: flavor + gtids}, nil
}

// String returns the position as VStream writes it, "" for the zero Position.
func (p Position) String() string { return p.text }

// GTIDSet returns the position as MySQL writes it, without the flavor.
func (p Position) GTIDSet() string { return strings.TrimPrefix(p.text, flavor) }

// IsZero tells whether p holds no transaction.
func (p Position) IsZero() bool { return p.set.Empty() }

// Contains tells whether p holds every transaction of q. After a failover positions of old and new primary may not
// contain one another.
func (p Position) Contains(q Position) bool { return p.set.Contains(q.set) }

// Equal tells whether p and q hold the same transactions.
func (p Position) Equal(q Position) bool { return p.set.Equal(q.set) }
