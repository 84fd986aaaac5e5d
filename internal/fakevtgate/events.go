package fakevtgate

import (
	"strconv"

	"vitess.io/vitess/go/mysql/collations"
	"vitess.io/vitess/go/sqltypes"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

// Script creates the events of one shard, as Vitess 24 sends them.
type Script struct{ Keyspace, Shard string }

// At is a time in whole seconds since 1970, zero for the events of a copy.
type At int64

// UUID is the server that positions of this script name.
const UUID = "16b1039f-22b6-11ed-b765-0a43f95f28a3"

// GTID is the position that contains the transactions 1 to n.
func GTID(n int) string { return "MySQL56/" + UUID + ":1-" + strconv.Itoa(n) }

// Begin opens transaction n; 0 for the batches of a copy.
func Begin(at At, n int) *binlogdatapb.VEvent {
	ev := &binlogdatapb.VEvent{Type: binlogdatapb.VEventType_BEGIN, Timestamp: int64(at)}
	if n > 0 {
		ev.EventGtid = UUID + ":" + strconv.Itoa(n)
	}
	return ev
}

// Commit ends a transaction.
func Commit(at At) *binlogdatapb.VEvent {
	return &binlogdatapb.VEvent{Type: binlogdatapb.VEventType_COMMIT, Timestamp: int64(at)}
}

// Other is the event of an empty or unrelated statement.
func Other() *binlogdatapb.VEvent { return &binlogdatapb.VEvent{Type: binlogdatapb.VEventType_OTHER} }

// Heartbeat is vtgate's sign of life.
func Heartbeat() *binlogdatapb.VEvent {
	return &binlogdatapb.VEvent{Type: binlogdatapb.VEventType_HEARTBEAT, Timestamp: 1}
}

// CopyCompleted ends a copy.
func (s Script) CopyCompleted() *binlogdatapb.VEvent {
	return &binlogdatapb.VEvent{Type: binlogdatapb.VEventType_COPY_COMPLETED, Keyspace: s.Keyspace, Shard: s.Shard}
}

// Fields describes a table of BIGINT id and VARCHAR name columns, or others by `name type`.
func Fields(at At, table string, fields ...*querypb.Field) *binlogdatapb.VEvent {
	return &binlogdatapb.VEvent{
		Type: binlogdatapb.VEventType_FIELD, Timestamp: int64(at),
		FieldEvent: &binlogdatapb.FieldEvent{TableName: table, Fields: fields, EnumSetStringValues: true},
	}
}

// Field is a column of a FIELD event.
func Field(name, columnType string, t querypb.Type) *querypb.Field {
	return &querypb.Field{Name: name, Type: t, ColumnType: columnType, Charset: collation(t)}
}

// collation is a column's, by number: utf8mb4_0900_ai_ci, or binary for what is not text.
func collation(t querypb.Type) uint32 {
	if sqltypes.IsText(t) {
		return collations.CollationUtf8mb4ID
	}
	return collations.CollationBinaryID
}

// Row is a row change; before or after may be nil. A value is given as text.
func Row(at At, table string, before, after []string) *binlogdatapb.VEvent {
	return &binlogdatapb.VEvent{
		Type: binlogdatapb.VEventType_ROW, Timestamp: int64(at),
		RowEvent: &binlogdatapb.RowEvent{TableName: table, RowChanges: []*binlogdatapb.RowChange{{Before: values(before), After: values(after)}}},
	}
}

func values(row []string) *querypb.Row {
	if row == nil {
		return nil
	}
	r := &querypb.Row{}
	for _, v := range row {
		r.Lengths = append(r.Lengths, int64(len(v)))
		r.Values = append(r.Values, v...)
	}
	return r
}

// VGTID is the position n, with the copy's key if there is one.
func (s Script) VGTID(n int, key *binlogdatapb.TableLastPK) *binlogdatapb.VEvent {
	g := &binlogdatapb.ShardGtid{Keyspace: s.Keyspace, Shard: s.Shard, Gtid: GTID(n)}
	if key != nil {
		g.TablePKs = []*binlogdatapb.TableLastPK{key}
	}
	return &binlogdatapb.VEvent{Type: binlogdatapb.VEventType_VGTID, Vgtid: &binlogdatapb.VGtid{ShardGtids: []*binlogdatapb.ShardGtid{g}}}
}

// LastPK is a copy's key.
func LastPK(table, column, value string, t querypb.Type) *binlogdatapb.TableLastPK {
	return &binlogdatapb.TableLastPK{TableName: table, Lastpk: &querypb.QueryResult{
		Fields: []*querypb.Field{{Name: column, Type: t, Charset: collation(t)}}, Rows: []*querypb.Row{values([]string{value})},
	}}
}
