package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// createKeyspace creates a keyspace without shards, for which vtgate still plans queries, and deletes it at the end.
func createKeyspace(t *testing.T, name string, vschema any) {
	t.Helper()
	sandboxServer(t)
	vtctl := func(args ...string) error {
		out, err := exec.Command(os.Getenv("SANDBOX_VTCTLDCLIENT"), append([]string{"--server", os.Getenv("SANDBOX_VTCTLD")}, args...)...).
			CombinedOutput()
		if err != nil {
			return errors.Join(err, errors.New(string(out)))
		}
		return nil
	}
	_ = vtctl("DeleteKeyspace", name)
	if err := vtctl("CreateKeyspace", "--durability-policy", "none", name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vtctl("DeleteKeyspace", name); err != nil {
			t.Error(err)
		}
	})
	text, err := json.Marshal(vschema)
	if err != nil {
		t.Fatal(err)
	}
	if err := vtctl("ApplyVSchema", "--vschema", string(text), name); err != nil {
		t.Fatal(err)
	}
}

// How a real vtgate plans queries of each kind of table.
func TestReferencesOfARealServer(t *testing.T) {
	const name = "sch_reference"
	type object = map[string]any
	createKeyspace(t, name, object{
		"sharded": true, "vindexes": object{"xxhash": object{"type": "xxhash"}},
		"tables": object{
			"countries":    object{"type": "reference"},
			"odd `n.m`":    object{"type": "reference"},
			"materialized": object{"type": "reference", "source": "commerce.materialized"},
			"orders":       object{"column_vindexes": []any{object{"column": "id", "name": "xxhash"}}},
			"pinned":       object{"pinned": "80"},
		},
	})
	db := openSandbox(t, name)
	names := []string{"countries", "none", "orders", "odd `n.m`", "materialized", "pinned", "none either"}
	want := []string{"countries", "materialized", "odd `n.m`"}
	for _, size := range []int{1, 2, batchStatements} {
		db.batchSize = size
		eventually(t, "references", func() error { // until vtgate has received the vschema
			got, err := db.References(t.Context(), names)
			if err == nil && !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
				return errors.New("got " + strings.Join(slices.Sorted(maps.Keys(got)), " "))
			}
			return err
		})
	}
}

func TestNoReferencesWithoutShards(t *testing.T) {
	db := openSandbox(t, "commerce")
	if got, err := db.References(t.Context(), []string{"any"}); err != nil || len(got) != 0 {
		t.Errorf("in an unsharded keyspace: %v, %v", got, err)
	}
}

func TestReferencesRefused(t *testing.T) {
	for _, refusal := range []*mysql.MySQLError{errNotAllowed, {Number: erParse}, {Number: erSyntax}} {
		db := scripted(func(statement string) ([][]string, error) {
			switch {
			case strings.HasPrefix(statement, "vexplain"):
				return nil, refusal
			case statement == "show vschema keyspaces":
				return [][]string{{"Keyspace", "Sharded"}, {"shop", "true"}}, nil
			}
			return nil, nil
		}).open(t)
		if got, err := db.References(t.Context(), []string{"a", "b"}); !errors.Is(err, ErrRefused) {
			t.Errorf("%v: got %v, %v, want ErrRefused", refusal, got, err)
		}
	}
}

// A keyspace whose shards do not serve is not a network error.
func TestShardsOfAKeyspaceWithout(t *testing.T) {
	const name = "sch_empty"
	createKeyspace(t, name, map[string]any{"sharded": false})
	eventually(t, "no shards", func() error {
		db := openSandbox(t, name)
		if shards, err := db.Shards(t.Context()); !errors.Is(err, ErrNoShards) || !errors.Is(err, ErrRefused) || errors.Is(err, ErrUnreachable) {
			return fmt.Errorf("got %q, %w", shards, err)
		}
		return nil
	})
}
