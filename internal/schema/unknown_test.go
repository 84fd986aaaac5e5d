package schema

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/internal/failure"
)

// An unknown keyspace is the user's mistake only if the server's list of keyspaces shows that it does not exist: a server that has just
// started knows none, and is queried again.
func TestAKeyspaceThatTheServerDoesNotKnow(t *testing.T) {
	noDB := &mysql.MySQLError{Number: erNoDB, Message: "no database available"}
	const mistyped, loading = `The configured database does not exist: no such database: "shop"`, "The server has not loaded keyspace shop yet"
	for name, c := range map[string]struct {
		list   [][]string
		err    error
		kind   string
		action failure.Action
		says   string
	}{
		"others are listed":       {[][]string{{"Database"}, {"shopping"}, {"billing"}}, nil, "config_error", failure.GiveUp, mistyped + "; there are: billing, shopping; check \"Database\" (database) and \"Keyspaces\" (keyspaces)."},
		"in other letters":        {[][]string{{"Database"}, {"Shop"}}, nil, "config_error", failure.GiveUp, mistyped + "; there are: Shop; "},
		"loaded a moment later":   {[][]string{{"Database"}, {"billing"}, {"shop"}}, nil, "transient_error", failure.Retry, loading},
		"none is listed":          {[][]string{{"Database"}}, nil, "transient_error", failure.Retry, loading},
		"none is loaded":          {nil, noDB, "transient_error", failure.Retry, loading},
		"the list is refused":     {nil, errNotAllowed, "config_error", failure.Retry, mistyped + "; check "},
		"the connection is lost":  {nil, io.ErrUnexpectedEOF, "transient_error", failure.Retry, "The server cannot be reached"},
		"the keyspace is a shard": {[][]string{{"Database"}, {"shop/-80"}}, nil, "config_error", failure.GiveUp, mistyped},
	} {
		t.Run(name, func(t *testing.T) {
			db := scripted(func(statement string) ([][]string, error) {
				if statement == "show keyspaces" {
					return c.list, c.err
				}
				return nil, &mysql.MySQLError{Number: erBadDB, Message: "VT05003: unknown database 'shop' in vschema"}
			}).open(t)
			for question, ask := range map[string]func() error{ // discover asks for tables first, check for shards
				"shards": func() error { _, err := db.Shards(t.Context()); return err },
				"tables": func() error { _, err := db.Tables(t.Context()); return err },
				"count":  func() error { _, err := db.Count(t.Context()); return err },
			} {
				err := ask()
				v := failure.In(err)
				if v == nil || string(v.Kind) != c.kind || v.Action != c.action || !strings.HasPrefix(v.Message(), c.says) {
					t.Errorf("%s: got %+v", question, v)
				}
				if known := strings.HasPrefix(name, "the connection"); errors.Is(err, ErrUnknownKeyspace) == known {
					t.Errorf("%s: ErrUnknownKeyspace: %v", question, err)
				}
			}
		})
	}
}

// An unknown keyspace in a login is treated as in a query: a single keyspace is refused; with several, the others can be read.
func TestALoginToAKeyspaceThatTheServerDoesNotKnow(t *testing.T) {
	for list, want := range map[string]failure.Action{"shopping": failure.GiveUp, "shop": failure.Retry} {
		server := serve(t, func() *rawServer {
			return &rawServer{unknown: "shop", answer: func(string) [][]string { return [][]string{{"Database"}, {list}} }}
		})
		_, err := Open(t.Context(), server, "u", "p", "shop", "primary")
		if v := failure.In(err); v == nil || v.Action != want || !errors.Is(err, ErrUnknownKeyspace) {
			t.Errorf("%s is listed: got %v", list, err)
		}
		db, err := OpenSeveral(t.Context(), server, "u", "p", "shop", "primary")
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Shards(t.Context())
		if v := failure.In(err); v == nil || v.Action != want {
			t.Errorf("%s is listed, of several: got %v", list, err)
		}
		_ = db.Close()
	}
}
