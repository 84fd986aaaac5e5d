package vstream

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/dial"
	"source-planetscale/internal/failure"
)

// TestVerdict lists what each error that ends a stream means. An error that is not listed has no verdict yet.
func TestVerdict(t *testing.T) {
	const config, transient = airbyte.ConfigError, airbyte.TransientError
	for _, c := range []struct {
		err    error
		kind   airbyte.FailureType
		action failure.Action
	}{
		{status.Error(codes.Unauthenticated, "no"), config, failure.GiveUp},
		{status.Error(codes.PermissionDenied, "no"), config, failure.GiveUp},
		{status.Error(codes.ResourceExhausted, "grpc: received message larger than max (17 vs. 16)"), config, failure.Split},
		{status.Error(codes.ResourceExhausted, "message after decompression larger than max"), config, failure.Split},
		{status.Error(codes.ResourceExhausted, "too many requests"), transient, failure.Retry},
		{status.Error(codes.Unknown, "Cannot replicate because the source purged required binary logs"), config, failure.Resync},
		{status.Error(codes.Unknown, "errno 1236"), config, failure.Resync},
		{status.Error(codes.Unknown, "GTIDSet Mismatch: requested source position"), config, failure.Resync},
		{status.Error(codes.InvalidArgument, "Incorrect DATE value: '0000-00-00' (errno 1525)"), transient, failure.Retry},
		{status.Error(codes.Unknown, "unknown table users in schema"), config, failure.Reopen},
		{status.Error(codes.Unknown, "cannot determine table columns for users: event has [8 15]"), config, failure.Reopen},
		{status.Error(codes.Unknown, "cannot determine table columns for order_dtls: event has [8 15]"), config, failure.Reopen},
		{status.Error(codes.Unknown, "cannot determine table columns for tls: event has [8 15]"), config, failure.Reopen},
		{status.Error(codes.FailedPrecondition, "shard provided in VGTID, -, not found in the shop keyspace"), transient, failure.GiveUp},
		{status.Error(codes.Unknown, "failed to reload schema after DDL: table others doesn't exist"), transient, failure.Retry},
		{status.Error(codes.InvalidArgument, "GOAWAY received"), transient, failure.Retry},
		{status.Error(codes.Internal, "stream terminated by RST_STREAM"), transient, failure.Retry},
		{status.Error(codes.Unavailable, "the tablet is gone"), transient, failure.Retry},
		{status.Error(codes.Canceled, "failed to find a PRIMARY tablet for VStream in shop/-"), transient, failure.Retry},
		{status.Error(codes.Unknown, "something new"), transient, failure.Retry},
		{fmt.Errorf("%w: %q has no address", dial.ErrUnknownHost, "h"), config, failure.Retry},
		{errors.New("tls: failed to verify certificate"), config, failure.GiveUp},
		{status.Error(codes.Unavailable, `connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate"`), config, failure.GiveUp},
		{status.Error(codes.Unavailable, `connection error: desc = "error reading server preface: remote error: tls: certificate required"`), config, failure.GiveUp},
		{status.Error(codes.Unavailable, `connection error: desc = "error reading from server: read tcp 10.0.0.1:5->10.0.0.2:6: reset"`), transient, failure.Retry},
		{status.Error(codes.Unavailable, `vttablet: rpc error: code = Unavailable desc = connection error: desc = "transport: authentication handshake failed: tls: x"`), transient, failure.Retry},
		{status.Error(codes.Unavailable, "target: acct_tls.-80.primary: no tablet of tls: x"), transient, failure.Retry},
		{ErrSilent, transient, failure.Retry},
		{errors.New("a response that cannot be read"), transient, failure.Retry},
		{failure.System("", "judged before"), airbyte.SystemError, failure.GiveUp},
	} {
		err := c.err
		if _, ok := status.FromError(err); ok {
			err = newError(err, names{})
		}
		v := Judge(err, "shop.users", "-80")
		if v.Kind != c.kind || v.Action != c.action {
			t.Errorf("%v: %s %q, expected %s %q", c.err, v.Kind, v.Action, c.kind, c.action)
		}
		if !errors.Is(v, err) && failure.In(err) == nil {
			t.Errorf("%v: the verdict has lost its cause", c.err)
		}
	}
}
