// Package failure is the meaning of an error: what happened, what a person can do about it, whether the platform should retry, and what
// the connector itself may do before it gives up. A verdict is created once, where the error occurs; no later code judges an error by its
// text.
package failure

import (
	"context"
	"errors"
	"fmt"

	"source-planetscale/internal/airbyte"
)

// Action is what the connector may do about a failure before it reports it to the platform.
type Action string

// The actions. The zero value is GiveUp.
const (
	// GiveUp: the same attempt would fail again.
	GiveUp Action = ""
	// Retry: the same attempt may succeed later.
	Retry Action = "retry"
	// Restart: the copy must begin with the first row again.
	Restart Action = "restart"
	// Reopen: the stream continues without the one table that broke it.
	Reopen Action = "reopen"
	// Split: one of several tables broke the stream, and the error does not say which.
	Split Action = "split"
	// Resync: the saved position is no longer usable. The stream may be copied again, if the user allows it.
	Resync Action = "resync"
	// Follow: the columns of the one table were changed. It is read again by itself, each row with the columns that it was written with.
	Follow Action = "follow"
)

// Verdict is an error with its meaning.
type Verdict struct {
	Kind   airbyte.FailureType // what it is to the platform
	Action Action
	Table  string // the one table that it is about; "" for all
	What   string // a sentence without its full stop: what happened, and where
	Remedy string // what to do, likewise; may be empty
	Cause  error  // may be nil
}

// Option refers to an option of the configuration in a sentence: by its title on the settings page, and its key.
func Option(title, key string) string { return `"` + title + `" (` + key + ")" }

// Message is the text for a person.
func (v *Verdict) Message() string {
	if v.Remedy == "" {
		return v.What + "."
	}
	return v.What + "; " + v.Remedy + "."
}

func (v *Verdict) Error() string {
	if v.Cause == nil {
		return v.Message()
	}
	return v.Message() + " (" + v.Cause.Error() + ")"
}

// Trouble is what happened, for a log line about an attempt that is repeated, without what a person could do.
func (v *Verdict) Trouble() string {
	if v.Cause == nil {
		return v.What
	}
	return v.What + " (" + v.Cause.Error() + ")"
}

func (v *Verdict) Unwrap() error { return v.Cause }

// Config reports that the user must change something: the platform does not retry.
func Config(remedy, format string, args ...any) *Verdict {
	return &Verdict{Kind: airbyte.ConfigError, Remedy: remedy, What: fmt.Sprintf(format, args...)}
}

// Transient reports that it may be temporary: both the connector and the platform may retry.
func Transient(remedy, format string, args ...any) *Verdict {
	return &Verdict{Kind: airbyte.TransientError, Action: Retry, Remedy: remedy, What: fmt.Sprintf(format, args...)}
}

// System reports that the connector or the server did something that it should not.
func System(remedy, format string, args ...any) *Verdict {
	return &Verdict{Kind: airbyte.SystemError, Remedy: remedy, What: fmt.Sprintf(format, args...)}
}

// Because returns the verdict with its cause.
func (v *Verdict) Because(cause error) *Verdict {
	v.Cause = cause
	return v
}

// Do returns the verdict with another action.
func (v *Verdict) Do(a Action) *Verdict {
	v.Action = a
	return v
}

// Of sets the one table that the verdict is about.
func (v *Verdict) Of(table string) *Verdict {
	v.Table = table
	return v
}

// Within adds a context before the verdict's sentence, for example if it names a shard and there are several keyspaces.
func (v *Verdict) Within(what string) *Verdict {
	within := *v
	within.What = what + ": " + v.What
	return &within
}

// In finds the verdict of an error, nil if it has none.
func In(err error) *Verdict {
	var v *Verdict
	if errors.As(err, &v) {
		return v
	}
	return nil
}

// ErrTerminated is the cause of a context that a signal cancelled.
var ErrTerminated = errors.New("asked to stop by a signal")

// Judge returns an error's verdict, or one for an error that has none.
func Judge(err error) *Verdict {
	switch v := In(err); {
	case v != nil:
		return v
	case errors.Is(err, ErrTerminated):
		return Transient("the next sync resumes from the last checkpoint", "The sync was asked to stop before it was done").Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return Unreachable(err)
	}
	return System("", "Unexpected error in the connector: %s", err).Because(err)
}

// Unreachable is the verdict on a server that does not answer.
func Unreachable(err error) *Verdict {
	return Transient("check host and ports, and whether a firewall blocks this machine", "The server cannot be reached or does not "+
		"answer in time").Because(err)
}

// Trace is the verdict in the form that the platform gets; d is the stream that it is about, nil for all.
func (v *Verdict) Trace(d *airbyte.StreamDescriptor) *airbyte.TraceError {
	t := &airbyte.TraceError{Message: v.Message(), FailureType: v.Kind, Stream: d}
	if v.Cause != nil {
		t.InternalMessage = v.Cause.Error()
	}
	return t
}
