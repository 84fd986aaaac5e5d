package wire

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"
)

// plainEvent is what the reader uses of an event, whichever decoder read it.
type plainEvent struct {
	Type      binlogdatapb.VEventType
	Timestamp int64
	GTID      string
	Table     string
	Changes   []plainChange
	Position  []string // shard and GTID set, if the VGTID has one position and no last key of a copy
}

type plainChange struct {
	Before, After []string // NULL is "\x00null"; nil where there is no row
	Partial       bool
}

const null = "\x00null"

// fast decodes a response in place.
func fast(data []byte) ([]plainEvent, error) {
	var list []plainEvent
	response := NewResponse(data)
	for {
		var ev Event
		more, err := response.Next(&ev)
		if err != nil || !more {
			return list, err
		}
		e := plainEvent{Type: ev.Type, Timestamp: ev.Timestamp, GTID: string(ev.GTID)}
		rows, err := ev.Rows()
		if err != nil {
			return nil, err
		}
		e.Table = string(rows.Table)
		if shard, gtid, ok := ev.Position(); ok {
			e.Position = []string{string(shard), string(gtid)}
		} else if ev.vgtid != nil { // as the reader does
			m, err := ev.Message()
			if err != nil {
				return nil, err
			}
			e.Position = position(m)
		}
		for {
			message, err := rows.Next()
			if err != nil {
				return nil, err
			}
			if message == nil {
				break
			}
			ch, err := NewChange(message)
			if err != nil {
				return nil, err
			}
			e.Changes = append(e.Changes, plainChange{values(ch.Before), values(ch.After), ch.Partial})
		}
		list = append(list, e)
	}
}

// values splits a row into its values; a row that ends inside a value ends with "\x00short".
func values(r Row) []string {
	if !r.Exists {
		return nil
	}
	list := []string{}
	for r.More() {
		value, isNull, ok := r.Next()
		switch {
		case !ok:
			return append(list, "\x00short")
		case isNull:
			list = append(list, null)
		default:
			list = append(list, string(value))
		}
	}
	return list
}

// slow decodes a response in the obvious way, with Vitess' generated code.
func slow(data []byte) ([]plainEvent, error) {
	var response vtgatepb.VStreamResponse
	if err := response.UnmarshalVT(data); err != nil {
		return nil, err
	}
	var list []plainEvent
	for _, ev := range response.Events {
		e := plainEvent{Type: ev.Type, Timestamp: ev.Timestamp, GTID: ev.EventGtid, Table: ev.RowEvent.GetTableName()}
		e.Position = position(ev)
		for _, ch := range ev.RowEvent.GetRowChanges() {
			e.Changes = append(
				e.Changes,
				plainChange{slowValues(ch.Before), slowValues(ch.After), ch.DataColumns != nil || ch.JsonPartialValues != nil},
			)
		}
		list = append(list, e)
	}
	return list, nil
}

func position(ev *binlogdatapb.VEvent) []string {
	if v := ev.Vgtid.GetShardGtids(); len(v) == 1 && v[0].TablePKs == nil {
		return []string{v[0].Shard, v[0].Gtid}
	}
	return nil
}

func slowValues(r *querypb.Row) []string {
	if r == nil {
		return nil
	}
	list := []string{}
	rest := r.Values
	for _, n := range r.Lengths {
		switch {
		case n == -1:
			list = append(list, null)
		case n < 0 || n > int64(len(rest)):
			return append(list, "\x00short")
		default:
			list, rest = append(list, string(rest[:n])), rest[n:]
		}
	}
	return list
}

func sample() *vtgatepb.VStreamResponse {
	row := &querypb.Row{Lengths: []int64{1, -1, 0, 70}, Values: append([]byte("1"), make([]byte, 70)...)}
	return &vtgatepb.VStreamResponse{Events: []*binlogdatapb.VEvent{
		{Type: binlogdatapb.VEventType_BEGIN, Timestamp: 1700000000, EventGtid: "u:7", Keyspace: "ks", Shard: "-80"},
		{Type: binlogdatapb.VEventType_ROW, Timestamp: 1700000000, Keyspace: "ks", RowEvent: &binlogdatapb.RowEvent{
			TableName: "users", Keyspace: "ks", Shard: "-80", Flags: 1, RowChanges: []*binlogdatapb.RowChange{
				{After: row},
				{Before: row, After: &querypb.Row{}},
				{Before: row},
				{After: row, DataColumns: &binlogdatapb.RowChange_Bitmap{Count: 3, Cols: []byte{1}}},
				{After: row, JsonPartialValues: &binlogdatapb.RowChange_Bitmap{}},
			},
		}},
		{
			Type:  binlogdatapb.VEventType_VGTID,
			Vgtid: &binlogdatapb.VGtid{ShardGtids: []*binlogdatapb.ShardGtid{{Keyspace: "ks", Shard: "-80", Gtid: "g"}}},
		},
		{
			Type: binlogdatapb.VEventType_VGTID,
			Vgtid: &binlogdatapb.VGtid{
				ShardGtids: []*binlogdatapb.ShardGtid{{Shard: "-80", Gtid: "g", TablePKs: []*binlogdatapb.TableLastPK{{TableName: "t"}}}},
			},
		},
		{Type: binlogdatapb.VEventType_VGTID, Vgtid: &binlogdatapb.VGtid{ShardGtids: []*binlogdatapb.ShardGtid{{Shard: "-80"}, {Shard: "80-"}}}},
		{Type: binlogdatapb.VEventType_VGTID, Vgtid: &binlogdatapb.VGtid{ShardGtids: []*binlogdatapb.ShardGtid{{}}}},
		{},
	}}
}

func encode(t testing.TB, m interface{ MarshalVT() ([]byte, error) }) []byte {
	t.Helper()
	data, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestFastAndSlowAgree(t *testing.T) {
	data := encode(t, sample())
	got, err := fast(data)
	if err != nil {
		t.Fatal(err)
	}
	want, err := slow(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(got) != 7 || len(got[1].Changes) != 5 || got[1].Changes[1].After == nil {
		t.Errorf("the sample was not read completely: %+v", got)
	}
}

// unusual are encodings that no known encoder writes but every decoder must read.
func unusual(t testing.TB) map[string][]byte {
	row := encode(t, &querypb.Row{Lengths: []int64{1, 2}, Values: []byte("abb")})
	field := func(number protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	in := func(change []byte) []byte {
		return field(1, append([]byte{8, 2}, field(5, append(field(1, []byte("t")), field(2, change)...))...))
	}
	unpacked := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), protowire.EncodeZigZag(1))
	return map[string][]byte{
		"a row in two pieces": in(
			append(field(2, field(1, []byte{2})), field(2, append(field(1, []byte{2}), field(2, []byte("ab"))...))...),
		),
		"lengths in two lists":       in(field(2, append(append(field(1, []byte{2}), field(1, []byte{4})...), field(2, []byte("abb"))...))),
		"lengths that are no list":   in(field(2, append(unpacked, field(2, []byte("a"))...))),
		"values before lengths":      in(field(2, append(field(2, []byte("abb")), field(1, []byte{2, 4})...))),
		"values twice":               in(field(2, append(append(field(2, []byte("x")), field(1, []byte{2, 4})...), field(2, []byte("abb"))...))),
		"a row event in two pieces":  field(1, append(field(5, field(1, []byte("t"))), field(5, field(2, field(2, row)))...)),
		"the table's name last":      field(1, field(5, append(field(2, field(2, row)), field(1, []byte("t"))...))),
		"a number in too many bytes": field(1, []byte{8, 0x82, 0x80, 0x00}),
		"two VGtids":                 field(1, append(field(7, field(1, field(2, []byte("s")))), field(7, nil)...)),
		"an unknown field":           field(1, append(protowire.AppendFixed32(protowire.AppendTag(nil, 99, protowire.Fixed32Type), 7), 8, 2)),
		"a length in many bytes":     in(field(2, append(field(1, []byte{0x82, 0x80, 0x00, 4}), field(2, []byte("abb"))...))),
	}
}

func TestUnusualEncodings(t *testing.T) {
	for name, data := range unusual(t) {
		want, err := slow(data)
		if err != nil {
			t.Errorf("%s: the test is wrong: %v", name, err)
		}
		got, err := fast(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestMalformed(t *testing.T) {
	data := encode(t, sample())
	for end := range data {
		got, err := fast(data[:end])
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut at %d: %v", end, err)
		}
		if want, slowErr := slow(data[:end]); (slowErr == nil) != (err == nil) {
			t.Errorf("cut at %d: fast %v, slow %v (%d and %d events)", end, err, slowErr, len(got), len(want))
		}
	}
	for name, data := range map[string][]byte{
		"field 0":                   {0, 1},
		"a wire type for another":   {10, 2, 13, 1},
		"a number without end":      {10, 11, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
		"a row that is a number":    {10, 2, 40, 1},
		"changes that are a number": {10, 4, 42, 2, 16, 1},
		"a table that is a number":  {10, 4, 42, 2, 8, 1},
		"an event of two tables":    {10, 8, 42, 6, 10, 1, 's', 10, 1, 't'},
	} {
		if _, err := fast(data); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMessage(t *testing.T) {
	want := sample().Events[2]
	response := NewResponse(encode(t, &vtgatepb.VStreamResponse{Events: []*binlogdatapb.VEvent{want}}))
	var ev Event
	if more, err := response.Next(&ev); !more || err != nil {
		t.Fatal(more, err)
	}
	got, err := ev.Message()
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("%v %v", got, err)
	}
	ev = Event{message: []byte{58, 1, 1}}
	if _, err := ev.Message(); !errors.Is(err, ErrMalformed) {
		t.Errorf("a malformed message: %v", err)
	}
}

func TestRow(t *testing.T) {
	row := &querypb.Row{Lengths: []int64{1, -1, 0, 300}, Values: make([]byte, 302)}
	change, err := NewChange(encode(t, &binlogdatapb.RowChange{After: row}))
	if err != nil {
		t.Fatal(err)
	}
	if change.Before.Exists || !change.After.Exists || change.After.Len() != 4 {
		t.Errorf("%+v", change)
	}
	r := change.After
	for r.More() {
		if _, _, ok := r.Next(); !ok {
			t.Fatal("the row ends too soon")
		}
	}
	if len(r.Values) != 1 {
		t.Errorf("%d bytes left, want 1", len(r.Values))
	}
	for _, length := range []int64{-2, 1, 1 << 62} {
		change, err := NewChange(encode(t, &binlogdatapb.RowChange{After: &querypb.Row{Lengths: []int64{length}}}))
		if _, _, ok := change.After.Next(); ok || err != nil {
			t.Errorf("a value of length %d in a row without bytes was read: %v", length, err)
		}
	}
}

func TestReadingRowsAllocatesNothing(t *testing.T) {
	data := encode(t, sample())
	if n := testing.AllocsPerRun(100, func() {
		response := NewResponse(data)
		var ev Event
		for more, err := response.Next(&ev); more && err == nil; more, err = response.Next(&ev) {
			rows, _ := ev.Rows()
			for message, err := rows.Next(); message != nil && err == nil; message, err = rows.Next() {
				ch, _ := NewChange(message)
				for ch.After.More() {
					ch.After.Next()
				}
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzResponse checks that both decoders read the same wherever both accept a response, and that both accept what an encoder writes.
func FuzzResponse(f *testing.F) {
	f.Add(encode(f, sample()))
	for _, data := range unusual(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := fast(data)
		want, slowErr := slow(data)
		if slowErr != nil {
			return
		}
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			t.Error(diff)
		}
		usual, ok := canonical(t, data)
		if !ok {
			return
		}
		got, err = fast(usual)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
}

// canonical encodes a response again, as an encoder would, without its unknown fields; it returns false if those cannot be
// determined.
func canonical(t *testing.T, data []byte) ([]byte, bool) {
	t.Helper()
	var m vtgatepb.VStreamResponse
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, &m); err != nil {
		return nil, false // text that is not UTF-8, or groups that do not end
	}
	return encode(t, &m), true
}
