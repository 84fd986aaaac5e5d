package schema

import (
	"errors"

	"source-planetscale/internal/dial"
	"source-planetscale/internal/failure"
)

// judged gives an error its verdict, if it is one of this package's or the network's.
func judged(err error) error {
	if v := dial.Judge(err); v != nil {
		return v
	}
	switch {
	case errors.Is(err, ErrAuth):
		return failure.Config("check both, and that the password was made for this branch and has not been deleted",
			"The server refused the username or password").Because(err)
	case errors.Is(err, ErrUnknownKeyspace):
		return failure.Config("check "+failure.Option("Database", "database")+" and "+failure.Option("Keyspaces", "keyspaces"), "The configured database does not exist: %s", err).Because(err)
	case errors.Is(err, ErrRefused):
		return failure.Transient("check that a tablet of the selected type serves each shard, and that the password has read access",
			"The server rejected a query the sync depends on: %s", err).Because(err)
	case errors.Is(err, ErrAltered):
		return failure.Transient("try again when it is done", "The schema is being changed: %s", err).Because(err)
	case errors.Is(err, ErrUnreachable):
		return failure.Unreachable(err)
	}
	return err
}
