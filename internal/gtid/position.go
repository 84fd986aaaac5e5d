// Package gtid implements positions: sets of transactions, in the formats of VStream and MySQL. It does no I/O.
package gtid

import (
	"cmp"
	"fmt"
	"strings"

	"vitess.io/vitess/go/mysql/replication"
)

// flavor is VStream's prefix of a MySQL GTID set, as in "MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-615".
const flavor = "MySQL56/"

// Position is the set of transactions that one shard's stream has sent: a GTID set. The zero Position contains no transactions. Positions
// are immutable.
type Position struct {
	text string
	// set is nil for a position created by Follow; parsed returns it.
	set replication.Mysql56GTIDSet
}

// Parse parses a position as VStream writes it, with or without the flavor prefix; "" is the zero Position.
func Parse(s string) (Position, error) {
	// MySQL itself prints sets of several servers on several lines.
	gtids := strings.TrimPrefix(strings.Join(strings.Fields(s), ""), flavor)
	if gtids == "" {
		return Position{}, nil
	}
	set, err := replication.ParseMysql56GTIDSet(gtids)
	if err != nil || set.Empty() {
		return Position{}, fmt.Errorf("%q is not a position; expected a MySQL GTID set such as "+
			"MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-615", s)
	}
	return Position{set: set, text: flavor + set.String()}, nil
}

// Follow parses a position that a stream sends after p. Most only advance one server's transactions, which can be seen without parsing
// the set: a stream has one position per transaction.
func (p Position) Follow(s string) (Position, error) {
	if order, ok := compareEnds(s, p.text); ok && order >= 0 {
		return Position{text: s}, nil
	}
	return Parse(s)
}

func (p Position) parsed() replication.Mysql56GTIDSet {
	if p.set == nil && p.text != "" {
		q, err := Parse(p.text)
		if err != nil {
			panic(err) // Follow compared it with one that was parsed
		}
		return q.set
	}
	return p.set
}

// String returns the position as VStream writes it, "" for the zero Position.
func (p Position) String() string { return p.text }

// GTIDSet returns the position as MySQL writes it, without the flavor.
func (p Position) GTIDSet() string { return strings.TrimPrefix(p.text, flavor) }

// IsZero reports whether p contains no transactions.
func (p Position) IsZero() bool { return p.text == "" }

// Contains reports whether p contains every transaction of q. After a failover, the positions of the old and the new primary may not
// contain one another.
func (p Position) Contains(q Position) bool {
	if q.IsZero() || p.IsZero() {
		return q.IsZero()
	}
	if order, ok := compareEnds(p.text, q.text); ok {
		return order >= 0
	}
	return p.parsed().Contains(q.parsed())
}

// Equal reports whether p and q contain the same transactions.
func (p Position) Equal(q Position) bool {
	if order, ok := compareEnds(p.text, q.text); ok {
		return order == 0
	}
	return p.parsed().Equal(q.parsed())
}

// Union returns the position that contains the transactions of both.
func (p Position) Union(q Position) Position {
	switch {
	case q.IsZero():
		return p
	case p.IsZero():
		return q
	}
	return of(p.parsed().Union(q.parsed()))
}

// Intersect returns the position with the transactions that both contain.
func (p Position) Intersect(q Position) Position {
	if p.IsZero() || q.IsZero() {
		return Position{}
	}
	if p.text == q.text {
		return p
	}
	mine := p.parsed()
	return of(mine.Difference(mine.Difference(q.parsed())))
}

// Of returns the transactions that a server, whose UUID it is, has written itself; none if it is not a UUID.
func (p Position) Of(server string) Position {
	sid, err := replication.ParseSID(server)
	own := p.parsed()[sid]
	if err != nil || len(own) == 0 {
		return Position{}
	}
	return of(replication.Mysql56GTIDSet{sid: own})
}

// First returns the first transaction of q that p does not contain; ok only if those are consecutive ones of one server, which are
// replicated in this order.
func (p Position) First(q Position) (first Position, ok bool) {
	server, numbers, _ := strings.Cut(of(q.parsed().Difference(p.parsed())).GTIDSet(), ":")
	number, _, _ := strings.Cut(numbers, "-")
	if numbers == "" || strings.ContainsAny(numbers, ",:") {
		return Position{}, false
	}
	first, err := Parse(server + ":" + number)
	return first, err == nil
}

// Lacks counts the transactions of q that p does not contain.
func (p Position) Lacks(q Position) int64 { return q.parsed().Difference(p.parsed()).Count() }

func of(set replication.GTIDSet) Position {
	mysql, ok := set.(replication.Mysql56GTIDSet)
	if !ok || mysql.Empty() {
		return Position{}
	}
	return Position{set: mysql, text: flavor + mysql.String()}
}

// compareEnds compares two sets, written as GTIDSet.String does, that are equal except for the end of one server's last interval
// ("…:1-615" and "…:1-620"); ok is false for others. It allocates nothing.
func compareEnds(a, b string) (order int, ok bool) {
	if a == b {
		return 0, true
	}
	start := 0
	for start < min(len(a), len(b)) && a[start] == b[start] {
		start++
	}
	for start > 0 && isDigit(a[start-1]) {
		start--
	}
	x, afterX := cutNumber(a[start:])
	y, afterY := cutNumber(b[start:])
	if x == 0 || y == 0 || afterX != afterY || afterX != "" && afterX[0] != ',' || !endsInterval(a[:start]) {
		return 0, false
	}
	return cmp.Compare(x, y), true
}

// cutNumber parses the number at the beginning of s; 0 for none, and for one that cannot be in a GTID: too large or with a leading zero.
func cutNumber(s string) (n int64, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		n = n*10 + int64(s[i]-'0')
		i++
	}
	if i == 0 || i > 18 || s[0] == '0' {
		return 0, s
	}
	return n, s[i:]
}

// endsInterval reports whether s is followed by the end of an interval (":1-"), and not by a part of a UUID.
func endsInterval(s string) bool {
	s, dash := strings.CutSuffix(s, "-")
	start := len(s)
	for start > 0 && isDigit(s[start-1]) {
		start--
	}
	return dash && start < len(s) && start > 0 && s[start-1] == ':'
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
