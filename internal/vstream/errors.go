package vstream

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Kind is what an error of a stream means for its reader.
type Kind int

// The kinds of errors.
const (
	// Transient errors may be gone at the next try, which is what to assume of an error not known here.
	Transient Kind = iota
	// Unauthorized: the user name or password is wrong, or may not stream.
	Unauthorized
	// Purged: the server no longer has the binary logs that the position needs, or never had them.
	Purged
	// TooLarge: a message is larger than MaxMessage or than the server's own limit.
	TooLarge
	// BadTable: the table, or a column of it, does not exist, or is of a kind that Vitess cannot stream.
	BadTable
	// NoShard: the shard no longer exists, since it was split or merged.
	NoShard
	// Unreadable: vttablet stops at a statement in the binary log that it does not know, and does so each time.
	Unreadable
)

// Error is what went wrong with a stream, without the key values that vtgate puts into its messages.
type Error struct {
	Kind  Kind
	Code  codes.Code
	text  string
	cause error // the dialer's error when there was no connection, else nil
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

// IsNoTablet tells whether vtgate found no tablet to stream from. It also says so, after a minute and a half, when it has tried
// all and puts down the error of each to the tablet: a purged position's above all.
func IsNoTablet(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == Transient && strings.Contains(e.text, "tablet for VStream in")
}

// IsUnexplained reports whether the server was there, and answered with an error that this package does not know. Said again and again it may
// be about one table, though it names none.
func IsUnexplained(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == Transient && e.cause == nil &&
		slices.Contains([]codes.Code{codes.Unknown, codes.InvalidArgument, codes.FailedPrecondition, codes.Internal}, e.Code)
}

// IsAnswer reports whether vtgate or a tablet behind it said what went wrong, and not the way there.
func IsAnswer(err error) bool {
	var e *Error
	return errors.As(err, &e) && containsAny(e.text, "vttablet: ", "error starting stream from shard", " in vstream for ")
}

func newError(err error) *Error {
	var u *undialled
	if errors.As(err, &u) {
		return &Error{Kind: Transient, Code: codes.Unavailable, text: u.Error(), cause: u.cause}
	}
	s := status.Convert(err)
	return &Error{Kind: classify(s.Code(), s.Message()), Code: s.Code(), text: s.Code().String() + ": " + redact(s.Message())}
}

// connectionError is how gRPC itself, not the server, begins the message of a connection that failed; a quoted Go string
// follows, a failed TLS handshake's error say.
const connectionError = "connection error: desc = "

// classify rests on the gRPC code and, where Vitess uses one code for many things (Unknown above all), on the words of
// Vitess 24's messages.
func classify(code codes.Code, text string) Kind {
	switch {
	case containsAny(text, "GOAWAY", "RST_STREAM"):
		return Transient // shows as InvalidArgument and Internal
	case strings.Contains(text, "failed to reload schema after DDL"):
		return Transient // another table went while vttablet looked at all of them, and is named
	case code == codes.Unauthenticated, code == codes.PermissionDenied:
		return Unauthorized
	case strings.Contains(text, "message larger than max"), strings.Contains(text, "message after decompression larger than max"):
		return TooLarge
	case code == codes.FailedPrecondition && strings.Contains(text, "shard provided in VGTID"):
		return NoShard
	case containsAny(text, "purged required binary logs", "errno 1236", "errno 1789", "GTIDSet Mismatch"):
		return Purged
	case strings.Contains(text, "unexpected statement type UNKNOWN"):
		return Unreadable
	case containsAny(text, "does not have valid string values", "no valid integer value found for column"):
		return BadTable
	case strings.Contains(text, "node doesn't exist"):
		return Transient // the topology server has no entry, for a tablet or a shard
	case containsAny(text, "unknown table", "doesn't exist", "not found in schema", "cannot determine table columns", "unknown column", "Unknown column", "table not found", "is not present in the database",
		"failed to build table replication plan for table", "UnescapeID err"):
		return BadTable
	}
	return Transient
}

// quoted matches what stands in quotes, with the word before it.
var quoted = regexp.MustCompile(`([\w.]*[ :]?)('(?:[^'\\]|\\.|'\')*'|"(?:[^"\\]|\\.)*")`)

// list matches a row's values as Vitess prints them: ([INT64(5) VARCHAR("x")]).
var list = regexp.MustCompile(`\(\[.*\]\)`)

// named are the words before names of tables and the like, which may be told; anything else in quotes may be a row's.
var named = []string{"Table ", "table ", "column ", "keyspace:", "shard:", "gtid:", "table_name:", "match:"}

// redact takes the values of rows out of a message: the key that vtgate quotes when a stream cannot be started, the
// statement that MySQL failed on, its variables, and literals.
func redact(text string) string {
	if desc, ok := strings.CutPrefix(text, connectionError); ok {
		if desc, err := strconv.Unquote(desc); err == nil {
			return "no connection: " + desc
		}
	}
	for _, statement := range []string{" during query:", " Sql:", " BindVars:"} {
		text, _, _ = strings.Cut(text, statement)
	}
	text = list.ReplaceAllString(text, "(…)")
	return quoted.ReplaceAllStringFunc(text, func(match string) string {
		parts := quoted.FindStringSubmatch(match)
		if slices.Contains(named, parts[1]) {
			return match
		}
		return parts[1] + "…"
	})
}

func containsAny(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
