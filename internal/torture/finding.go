package torture

import "fmt"

// Finding is what a connector did wrong. Two findings of one kind are treated as the same while a history is reduced.
type Finding struct {
	Kind   string
	Stream string
	Text   string
}

func (f *Finding) String() string {
	if f.Stream == "" {
		return f.Kind + ": " + f.Text
	}
	return f.Kind + ", stream " + f.Stream + ": " + f.Text
}

// Kinds of findings.
const (
	Stuck        = "a sync does not end in time"
	Protocol     = "the output breaks the protocol"
	Stderr       = "something was written to stderr"
	Undiscovered = "discover leaves something out"
	Leak         = "a row's value is in a place where values are not allowed"
	Silent       = "a failure without a trace"
	Undeserved   = "a stream failed without a reason for which it may fail"
	NoRemedy     = "a failure does not say what to do"
	RemedyFails  = "following a failure's instructions does not help"
	Differs      = "the destination differs from the source"
	Repeated     = "a record was emitted again unnecessarily"
	Cursor       = "a cursor repeats or decreases"
	KeyMissing   = "a record lacks its key"
	StateReplays = "continuing from a state does not end with the source's rows"
)

func found(kind, stream, format string, args ...any) *Finding {
	return &Finding{Kind: kind, Stream: stream, Text: fmt.Sprintf(format, args...)}
}
