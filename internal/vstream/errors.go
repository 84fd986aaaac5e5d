package vstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/dial"
)

// Kind is what an error of a stream means for its reader.
type Kind int

// The kinds of errors.
const (
	// Transient errors may disappear on a retry; errors not known here are assumed to be transient.
	Transient Kind = iota
	// Unauthorized: the username or password is wrong, or may not stream.
	Unauthorized
	// Purged: the server no longer has the binary logs that the position needs, or never had them.
	Purged
	// TooLarge: a message is larger than MaxMessage or than the server's own limit.
	TooLarge
	// BadTable: the table, or a column of it, does not exist, or is of a kind that Vitess cannot stream.
	BadTable
	// NoShard: the shard no longer exists, because it was split or merged.
	NoShard
	// BadKey: the server refuses the key after which a copy is to resume.
	BadKey
	// Unreadable: vttablet stops at an unknown statement in the binary log, every time.
	Unreadable
)

// Error is a stream's error, without the row values that Vitess puts into its messages.
type Error struct {
	Kind Kind
	Code codes.Code
	// Table is the requested table that the server could not stream, for a BadTable that names it.
	Table    string
	text     string
	noTablet bool
	// notLoaded reports that vttablet does not know the table, unlabelled that it cannot determine the labels of an ENUM or SET.
	notLoaded, unlabelled bool
	answered              bool  // by vtgate, or a tablet behind it
	cause                 error // the dialer's error if there was no connection, dial.ErrTLS for a failed handshake, else nil
}

func (e *Error) Error() string { return e.text }

func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the kind of an error of this package.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Transient
}

// IsNoTablet reports whether vtgate found no tablet to stream from. It also says so, after a minute and a half, if it has tried all of
// them and blames each error on the tablet, above all for a purged position.
func IsNoTablet(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == Transient && e.noTablet
}

// IsUnexplained reports whether the server answered with an error that this package does not know. If it is repeated again and again, it
// may be caused by one table, although it names none.
func IsUnexplained(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == Transient && e.cause == nil &&
		slices.Contains([]codes.Code{codes.Unknown, codes.InvalidArgument, codes.FailedPrecondition, codes.Internal}, e.Code)
}

// NotLoaded is the table that vttablet does not know, "" for none: it does not exist, or was created after vttablet last read the schema,
// which a replica's vttablet may do rarely.
func NotLoaded(err error) string {
	var e *Error
	if errors.As(err, &e) && e.notLoaded {
		return e.Table
	}
	return ""
}

// IsUnlabelled reports whether vttablet cannot determine the labels of an ENUM or SET in older rows, because the table's columns have
// changed.
func IsUnlabelled(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.unlabelled
}

// IsUnanswered reports whether nothing arrived at all: neither what was requested nor an error.
func IsUnanswered(err error) bool { return errors.Is(err, ErrSilent) }

// IsAnswer reports whether the error came from vtgate or a tablet behind it, and not from the network.
func IsAnswer(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.answered
}

// newError creates an error of a stream that these names were requested for.
func newError(err error, names names) *Error {
	var u *undialled
	if errors.As(err, &u) {
		return &Error{Kind: Transient, Code: codes.Unavailable, text: shorten(u.Error()), cause: u.cause}
	}
	s := status.Convert(err)
	e := &Error{Kind: classify(s.Code(), s.Message()), Code: s.Code(), noTablet: strings.Contains(s.Message(), "tablet for VStream in")}
	e.answered = containsAny(s.Message(), "vttablet: ", "error starting stream from shard", " in vstream for ")
	e.text = shorten(s.Code().String() + ": " + redact(s.Message(), names.all()))
	if own, ok := strings.CutPrefix(s.Message(), connectionError); ok && strings.Contains(own, " tls: ") {
		e.cause = dial.ErrTLS
	}
	if e.Kind == BadTable {
		e.Table = blamed(s.Message(), names.tables)
		e.unlabelled = containsAny(s.Message(), labels...)
		e.notLoaded = strings.Contains(s.Message(), "is not present in the database") ||
			strings.Contains(s.Message(), "unknown table") && strings.Contains(s.Message(), " in schema")
	}
	return e
}

// names are what a stream was requested for.
type names struct {
	places []string // keyspace and shards
	tables []string
}

func newNames(r *vtgatepb.VStreamRequest) names {
	var n names
	for _, g := range r.GetVgtid().GetShardGtids() {
		n.places = append(n.places, g.Keyspace, "vt_"+g.Keyspace, g.Shard)
	}
	for _, rule := range r.GetFilter().GetRules() {
		n.tables = append(n.tables, rule.Match)
	}
	return n
}

// all contains no empty name.
func (n names) all() []string {
	return slices.DeleteFunc(slices.Concat(n.places, n.tables), func(name string) bool { return name == "" })
}

// blamed finds the table that the server could not stream, from Vitess' wording: a name alone may be that of a shard, a column or
// anything else in a message.
func blamed(text string, tables []string) string {
	var longest string
	for _, words := range []string{"columns for %s", "replication plan for table %s", "unknown table %s", "table %s is not present", "table %s not found", ".%s' doesn't exist", "in table %s", "schema for table %s"} {
		for _, name := range tables {
			_, after, found := strings.Cut(text, fmt.Sprintf(words, name))
			if found && len(name) > len(longest) && (after == "" || !isWord(after[0])) {
				longest = name
			}
		}
	}
	return longest
}

// labels are Vitess' messages when it cannot determine the labels of an ENUM or SET (24: vstreamer.go, all of them).
var labels = []string{
	"does not have valid string values", "no valid integer value found for column", "no valid integer value found for SET column",
	"no string value found for ENUM column", "failed to build ENUM and SET column integer to string mappings",
	"failed to build ENUM column integer to string mappings", "failed to build SET column integer to string mappings",
	"failed to perform ENUM column integer to string value mapping", "failed to perform SET column integer to string value mapping",
}

// classify uses the gRPC code and, if Vitess uses one code for many things (above all Unknown), the wording of Vitess 24's messages.
func classify(code codes.Code, text string) Kind {
	switch {
	case containsAny(text, "GOAWAY", "RST_STREAM"):
		return Transient // shows as InvalidArgument and Internal
	case strings.Contains(text, "failed to reload schema after DDL"):
		return Transient // another table disappeared while vttablet examined all of them, and is named
	case code == codes.Unauthenticated, code == codes.PermissionDenied:
		return Unauthorized
	case strings.Contains(text, "message larger than max"), strings.Contains(text, "message after decompression larger than max"):
		return TooLarge
	case code == codes.FailedPrecondition && strings.Contains(text, "shard provided in VGTID"):
		return NoShard
	case containsAny(text, "purged required binary logs", "errno 1236", "errno 1789", "GTIDSet Mismatch"):
		return Purged
	case containsAny(text, "errno 1525", "invalid lastpk value"): // MySQL refuses zero dates; later Vitess, values of another type
		return BadKey
	case strings.Contains(text, "unexpected statement type UNKNOWN"):
		return Unreadable
	case containsAny(text, labels...):
		return BadTable
	case strings.Contains(text, "node doesn't exist"):
		return Transient // the topology server has no entry, for a tablet or a shard
	case containsAny(text, "unknown table", "doesn't exist", "not found in schema", "cannot determine table columns", "unknown column", "Unknown column", "table not found", "is not present in the database",
		"failed to build table replication plan for table", "UnescapeID err"):
		return BadTable
	}
	return Transient
}

func containsAny(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
