package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

// Statements that give the rows other values in the key's column, or not, although its name and type are the same afterwards. Where the
// destination deduplicates, rows would stay there under their former keys.
var keyStatements = map[string]bool{
	"alter table users drop column id, add column id bigint first":                                    true,
	"alter table users drop column id; alter table users add column id bigint first":                  true,
	"alter table users modify id bigint not null":                                                     false,
	"alter table users modify id double; alter table users modify id bigint":                          true,
	"alter table users rename column id to other; alter table users rename column other to id":        false,
	"alter table users drop column name, add column name varchar(50) character set utf8mb4":           false,
	"alter table users modify id int; alter table users modify id bigint":                             true,
	"alter table users add column other int first; alter table users drop column other":               false,
	"alter table users add index (name)":                                                              false,
	"alter table users change id ident bigint; alter table users change ident id bigint default null": false,
}

func TestAKeyWhoseValuesWereReplaced(t *testing.T) {
	for statements, replaces := range keyStatements {
		for _, dedup := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, dedup %v", statements, dedup), func(t *testing.T) {
				r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
					if q.Vgtid.ShardGtids[0].Gtid == "" {
						return copyOfUsers()(q, send, done)
					}
					for _, statement := range strings.Split(statements, "; ") {
						send(changed(6, statement)...)
					}
					if slices.Contains(tablesIn(q), "others") {
						send(insert(7, "others")...)
					} else {
						send(script.VGTID(7, nil), fakevtgate.Other())
					}
					return hold(done)
				})
				r.dedup, r.patience, r.cfg.MaxRetries = dedup, 1, 1
				r.configure(`,"invalid_cdc_cursor_position_behavior":"Re-sync data"`) // a new copy would leave the former keys in the destination
				r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
				r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
				if dedup && replaces {
					r.failsAlone(`the column "id" of its primary key got other values in shard -`)
				} else {
					r.must()
				}
			})
		}
	}
}

// A copy starts over when the columns change, but the rows that it has sent have the former keys.
func TestAKeyWhoseValuesWereReplacedDuringACopy(t *testing.T) {
	for _, sent := range []bool{true, false} {
		for statement, replaces := range map[string]bool{
			"alter table users drop column id, add column id bigint first": true,
			"alter table users modify id bigint not null":                  false,
		} {
			t.Run(fmt.Sprintf("%s, rows sent %v", statement, sent), func(t *testing.T) {
				opened := 0
				r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
					if slices.Contains(tablesIn(q), "others") {
						send(insert(6, "others")...)
						return hold(done)
					}
					if opened++; opened > 1 {
						return copyOfUsers()(q, send, done)
					}
					send(begin(0, 0), fields(0, "users"), script.VGTID(6, nil), commit(0))
					if sent {
						send(begin(0, 0), rowOf(0, "users", nil, []string{"1", "x"}), script.VGTID(6, pk("users", "1")), commit(0))
					}
					send(script.VGTID(6, nil), ddl(statement))
					return hold(done)
				})
				r.dedup, r.patience, r.cfg.MaxRetries = true, 1, 1
				r.add(testTable("users"), airbyte.Incremental, nil)
				r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
				if sent && replaces {
					r.failsAlone(`the column "id" of its primary key got other values in shard -`)
				} else {
					r.must()
				}
			})
		}
	}
}
