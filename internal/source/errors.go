package source

import (
	"context"
	"errors"
	"fmt"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/dial"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/vstream"
)

// failure is an error as the platform and a person are told of it.
type failure struct {
	kind    airbyte.FailureType
	message string // a sentence that says what to do
	cause   error  // the rest; may be nil
}

func (f *failure) Error() string {
	if f.cause == nil {
		return f.message
	}
	return f.message + " (" + f.cause.Error() + ")"
}

func (f *failure) Unwrap() error { return f.cause }

// configErrorf says that the user must change something: the platform does not try again.
func configErrorf(format string, args ...any) error {
	return &failure{kind: airbyte.ConfigError, message: fmt.Sprintf(format, args...)}
}

// because gives an error its kind and its sentence.
func because(kind airbyte.FailureType, cause error, format string, args ...any) error {
	return &failure{kind: kind, message: fmt.Sprintf(format, args...), cause: cause}
}

// errTerminated is the cause of a context that a signal cancelled.
var errTerminated = errors.New("asked to stop by a signal")

// classify is the one place where an error becomes a failure: what it is called, and whether trying again can help.
func classify(err error) *failure {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f
	case tunnelFailure(err) != nil:
		return tunnelFailure(err)
	case errors.Is(err, schema.ErrAuth):
		return &failure{airbyte.ConfigError, "The server refused the username or password; check both, and that the password was made for this branch and has not been deleted.", err}
	case errors.Is(err, schema.ErrUnknownKeyspace):
		return &failure{airbyte.ConfigError, "The configured database does not exist: " + err.Error() + ". Check the option database.", err}
	case dial.IsTLSError(err):
		return tlsFailure(err)
	case errors.Is(err, dial.ErrUnknownHost):
		return &failure{airbyte.ConfigError, "The host cannot be found: " + err.Error() + ".", err}
	case errors.Is(err, schema.ErrRefused):
		return &failure{airbyte.TransientError, "The server refused a question that a sync needs answered: " + err.Error() + ". Check that a tablet of the chosen type serves each shard, and that the password may read.", err}
	case errors.Is(err, schema.ErrAltered):
		return &failure{airbyte.TransientError, "The schema is being changed: " + err.Error() + ". Try again when it is done.", err}
	case errors.Is(err, errTerminated):
		return &failure{airbyte.TransientError, "The sync was asked to stop before it was done; the next one goes on from the last checkpoint.", err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, schema.ErrUnreachable):
		return &failure{airbyte.TransientError, "The server cannot be reached or does not answer in time; check host and ports, and whether a firewall lets this machine through.", err}
	}
	return &failure{airbyte.SystemError, "The connector failed in a way it does not know: " + err.Error() + ".", err}
}

func tlsFailure(err error) *failure {
	return &failure{airbyte.ConfigError, "The TLS options do not fit the server: " + err.Error() + ".", err}
}

// tunnelFailure is nil for errors that are not of the tunnel.
func tunnelFailure(err error) *failure {
	var t *dial.TunnelError
	switch {
	case !errors.As(err, &t):
		return nil
	case t.Permanent:
		return &failure{airbyte.ConfigError, "The SSH tunnel cannot be used: " + t.Error() + ".", err}
	}
	return &failure{airbyte.TransientError, "The SSH tunnel cannot be made: " + t.Error() + ".", err}
}

// classifyStream says what the end of a stream over the given tables and shard means.
func classifyStream(err error, tables, shard string) *failure {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f
	case tunnelFailure(err) != nil:
		return tunnelFailure(err)
	case dial.IsTLSError(err):
		return tlsFailure(err)
	}
	switch vstream.KindOf(err) {
	case vstream.Unauthorized:
		return &failure{airbyte.ConfigError, "The server refused to stream with this username and password; check both, the option grpc_auth, and that the password may read.", err}
	case vstream.TooLarge:
		return &failure{airbyte.ConfigError, fmt.Sprintf("A row or transaction of %s in shard %s is larger than a message may be (%d MiB here, and the server may allow less); make it smaller, or leave the large column's table out.", tables, shard, vstream.MaxMessage>>20), err}
	case vstream.Purged:
		return &failure{airbyte.ConfigError, fmt.Sprintf("Shard %s no longer has the changes since the saved position of %s, because its binary logs were purged (or the position is another server's); clear the stream to read it afresh, and sync more often than the logs are kept.", shard, tables), err}
	case vstream.BadTable:
		return &failure{airbyte.ConfigError, fmt.Sprintf("The server cannot stream %s in shard %s: the table or a column of it no longer exists (refresh the source's schema), or it is of a kind that Vitess does not stream (TYPES.md lists them; remove it from the connection).", tables, shard), err}
	}
	if errors.Is(err, errStalled) {
		// Seen on Vitess 24: vtgate asks again for ever for what its vttablet cannot send it, and sends heartbeats meanwhile.
		return &failure{airbyte.TransientError, fmt.Sprintf("The stream of %s in shard %s is alive, but gives nothing, and the server does not say why: it is throttled, or a row or transaction is larger than the messages between its vttablet and vtgate may be. If it stays so, raise --grpc-max-message-size of both (16 MiB unless set), make the row smaller, or leave the table out.", tables, shard), err}
	}
	return &failure{airbyte.TransientError, fmt.Sprintf("The stream of %s in shard %s broke, and opening it again did not help; the next attempt goes on from the last checkpoint.", tables, shard), err}
}

func (f *failure) trace(d *airbyte.StreamDescriptor) *airbyte.TraceError {
	t := &airbyte.TraceError{Message: f.message, FailureType: f.kind, Stream: d}
	if f.cause != nil {
		t.InternalMessage = f.cause.Error()
	}
	return t
}
