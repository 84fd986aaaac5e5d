package vstream

import (
	"source-planetscale/internal/dial"
	"source-planetscale/internal/failure"
)

// Judge returns the verdict on a stream's error: what says what was read (streams, or a keyspace) and shard where.
func Judge(err error, what, shard string) *failure.Verdict {
	if v := failure.In(err); v != nil {
		return v
	}
	if v := dial.Judge(err); v != nil {
		return v
	}
	switch KindOf(err) {
	case Unauthorized:
		return failure.Config("check both, "+failure.Option("gRPC authentication", "grpc_auth")+", and that the password has read access",
			"The server refused to stream with this username and password").Because(err)
	case TooLarge:
		return failure.Config("make it smaller, or leave out the table with the large column",
			"A row or transaction of %s in shard %s exceeds the maximum message size (%d MiB here; the server may allow less)", what, shard, MaxMessage>>20).
			Because(err).Do(failure.Split)
	case Purged:
		return failure.Config("clear the stream to copy it again, and sync more often than the binlog retention period",
			"Shard %s no longer has the changes since the saved position of %s, because its binary logs were purged (or the position is another "+
				"server's)", shard, what).
			Because(err).Do(failure.Resync)
	case BadTable:
		return failure.Config("refresh the source's schema; if the table's columns were changed, clear the stream's data and sync again; if Vitess does not stream such a table (TYPES.md lists the cases), remove it from the connection",
			"The server cannot stream %s in shard %s: a table or a column of it no longer exists, its columns were changed after the rows that have yet to be read were written, or Vitess does not stream it", what, shard).
			Because(err).Do(failure.Reopen)
	case Unreadable:
		return failure.Config("clear the stream to copy it again, and avoid such statements: XA transactions, and DDL behind a # comment",
			"Vitess cannot read a statement in the binary log of shard %s, and %s cannot be streamed past it", shard, what).
			Because(err).Do(failure.Resync)
	case NoShard:
		return broke(err, what, shard).Do(failure.GiveUp)
	}
	return broke(err, what, shard)
}

func broke(err error, what, shard string) *failure.Verdict {
	return failure.Transient("reconnecting did not help, and the next attempt resumes from the last checkpoint",
		"The stream of %s in shard %s broke", what, shard).Because(err)
}
