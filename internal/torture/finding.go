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
	Stuck        = "a sync does not end within its bound"
	Protocol     = "the output breaks the protocol"
	Stderr       = "something was written to stderr"
	Leak         = "a row's value is where none may be"
	Silent       = "a failure without a trace"
	Undeserved   = "a stream failed and nothing had happened that it may fail for"
	NoRemedy     = "a failure does not say what to do"
	RemedyFails  = "what a failure says to do does not help"
	Differs      = "the destination differs from the source"
	Repeated     = "a record came again without need"
	Cursor       = "a cursor repeats or falls"
	KeyMissing   = "a record lacks its key"
	StateReplays = "a state does not lead to the source's rows"
)

func found(kind, stream, format string, args ...any) *Finding {
	return &Finding{Kind: kind, Stream: stream, Text: fmt.Sprintf(format, args...)}
}
