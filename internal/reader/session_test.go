package reader

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/row"
	"source-planetscale/internal/wire"
)

// After a split or merge vtgate continues with the new shards in the same stream. Their positions are not the old shard's: a state
// with one of them under its name would skip changes, and a copy would have the rows of one new shard only.
func TestPositionOfOtherShardsEndsTheReader(t *testing.T) {
	other := func(shard string, e *event) *event {
		e.Vgtid.ShardGtids[0].Shard = shard
		return e
	}
	split := other("-40", script.VGTID(9, nil))
	split.Vgtid.ShardGtids = append(split.Vgtid.ShardGtids, other("40-80", script.VGTID(9, nil)).Vgtid.ShardGtids...)
	for name, c := range map[string]struct {
		position *event
		copying  bool
	}{
		"split":                {position: split},
		"split during a copy":  {position: split, copying: true},
		"merged":               {position: other("0", script.VGTID(9, nil))},
		"merged during a copy": {position: other("0", script.VGTID(9, fakevtgate.LastPK("users", "id", "1", querypb.Type_INT64))), copying: true},
	} {
		t.Run(name, func(t *testing.T) {
			users, tab := stream(t, "users")
			s := newRig(io.Discard, at(9), tab).session(users)
			if c.copying {
				s.copying = &copying{}
			}
			response := encodeEvents(t, fakevtgate.Begin(7, 9), c.position, fakevtgate.Commit(7))
			_, err := s.applyAll(context.Background(), wire.NewResponse(response))
			v := failure.In(err)
			if v == nil || v.Kind != airbyte.TransientError || v.Action != failure.GiveUp || !strings.Contains(v.What, "was split or merged while it was read") {
				t.Errorf("error %v", err)
			}
			if !s.at.Equal(at(5)) {
				t.Errorf("the reader is at %s", s.at)
			}
		})
	}
}

func TestEventsWithoutPayloadDoNotPanic(t *testing.T) {
	for _, kind := range []binlogdatapb.VEventType{
		binlogdatapb.VEventType_ROW, binlogdatapb.VEventType_FIELD, binlogdatapb.VEventType_VGTID, binlogdatapb.VEventType_JOURNAL,
		binlogdatapb.VEventType_DDL,
	} {
		users, tab := stream(t, "users")
		s := newRig(io.Discard, at(9), tab).session(users)
		if done, err := s.applyAll(context.Background(), wire.NewResponse(encodeEvents(t, &event{Type: kind, Timestamp: 1}))); done {
			t.Errorf("%v ends the stream (%v)", kind, err)
		}
	}
}

func TestRowsOfACopyAndOfTheBinaryLogAreReadDifferently(t *testing.T) {
	if phaseOf(fakevtgate.Begin(0, 0).Timestamp) != row.Copy || phaseOf(fakevtgate.Begin(1, 1).Timestamp) != row.Replicate {
		t.Error("the phase does not follow from the time")
	}
}

// A stream is connected but sends nothing: the message names the causes that the server does not distinguish.
func TestAStallNamesItsCauses(t *testing.T) {
	users, tab := stream(t, "users")
	s := newRig(io.Discard, at(9), tab).session(users)
	s.waited = s.env.Settings.Timeout + time.Second
	v := failure.In(s.checkMoving(t.Context()))
	if v == nil || v.Kind != airbyte.TransientError || v.Action != failure.Retry {
		t.Fatalf("a stall is %+v", v)
	}
	for _, part := range []string{"users in shard -", "throttled", "--grpc-max-message-size"} {
		if !strings.Contains(v.Message(), part) {
			t.Errorf("the message of a stall lacks %q: %s", part, v.Message())
		}
	}
}

// Before Vitess 23 a transaction that ends in a COMMIT statement has no position, and is not told apart from one that is sent again.
func TestTransactionsWithoutAPositionEndAtTheTarget(t *testing.T) {
	const heartbeat, patience = "heartbeat", "patience, heartbeat"
	far := 5 + mostSteps + 1
	one := []string{"", heartbeat}
	two := []string{"", "", heartbeat}
	many := append(slices.Repeat([]string{""}, far-5), heartbeat)
	for name, c := range map[string]struct {
		target  int
		replica bool
		events  []string // "" for a transaction
		at      int      // afterwards
		again   bool     // another stream is opened from there
	}{
		"the only one":           {6, false, one, 6, false},
		"the only one, repeated": {6, false, two, 6, false},
		"none":                   {6, false, []string{patience}, 5, false},
		"one of two":             {7, false, one, 6, true},
		"two, or one repeated":   {7, false, two, 6, true},
		"two, for long":          {7, false, []string{"", "", patience}, 7, false},
		"many":                   {far, false, many, 5, false},
		"many, for long":         {far, false, append(slices.Clone(many), patience), far, false},
		"many, too few":          {far, false, append(slices.Clone(many[1:]), patience), 5, false},
		"a replica, which may have one of its own":  {6, true, one, 5, false},
		"a replica, for long":                       {6, true, append(slices.Clone(one), patience), 6, false},
		"two of a replica, repeated in a silence":   {7, true, []string{"", heartbeat, "", patience}, 5, false},
		"two of a replica, repeated at its end":     {7, true, []string{"", patience, "", heartbeat}, 5, false},
		"two of a replica, after a longer silence":  {7, true, []string{patience, "", "", heartbeat}, 5, false},
		"two of a replica, the silence began again": {7, true, []string{"", "", heartbeat, "", "", heartbeat}, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			users, tab := stream(t, "users")
			s := newRig(io.Discard, at(c.target), tab).session(users)
			s.target, s.env.Settings.Primary = at(c.target), !c.replica
			var done bool
			var err error
			for _, event := range c.events {
				events := []*binlogdatapb.VEvent{fakevtgate.Begin(7, 0), fakevtgate.Commit(7)}
				switch event {
				case patience:
					s.waits(mostSilence)
					fallthrough
				case heartbeat:
					s.waits(time.Second)
					events = []*binlogdatapb.VEvent{fakevtgate.Heartbeat()}
				}
				done, err = s.applyAll(t.Context(), wire.NewResponse(encodeEvents(t, events...)))
			}
			v := failure.In(err)
			if again := v != nil && v.Kind == airbyte.TransientError && v.Action == failure.Retry; again != c.again || !c.again && err != nil {
				t.Errorf("error %v", err)
			}
			if done != (c.at == c.target) || !s.at.Equal(at(c.at)) {
				t.Errorf("done %v, at %s", done, s.at)
			}
		})
	}
}

// A replica may not have its primary's journal yet.
func TestReplicaOfAFormerShardIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		primary bool
		passed  time.Duration
		lost    bool
	}{
		"a primary":                   {true, 0, true},
		"a replica":                   {false, 0, false},
		"a replica after two minutes": {false, journalPatience, true},
	} {
		f := &former{passed: time.Now().Add(-c.passed)}
		if v := failure.In(f.check(at(21), at(20), c.primary)); (v != nil) != c.lost || v != nil && v.Action != failure.Resync {
			t.Errorf("%s: %v", name, v)
		}
		if err := f.check(at(19), at(20), c.primary); err != nil {
			t.Errorf("%s, before the peek: %v", name, err)
		}
	}
}

// Records that are encoded again, after a row that cannot be read, have the time at which their rows were read.
func TestRecordsMadeAgainHaveTheirTime(t *testing.T) {
	var out bytes.Buffer
	orders, ordersTable := stream(t, "orders")
	users, usersTable := stream(t, "users")
	s := newRig(&out, at(7), ordersTable, usersTable).session(orders, users)
	for made := time.Now().UnixMilli(); time.Now().UnixMilli() == made; { //nolint:revive // until the clock shows another time
	}
	began := time.Now().UnixMilli()
	bad := fakevtgate.Row(7, "users", nil, []string{"1", "a"})
	bad.RowEvent.RowChanges[0].After.Lengths[0] = -7
	apply(t, s, fakevtgate.Begin(7, 6), fakevtgate.Fields(7, "orders", idAndName...), fakevtgate.Fields(7, "users", idAndName...),
		fakevtgate.Row(7, "orders", nil, []string{"1", "a"}), bad)
	emitted := regexp.MustCompile(`"emitted_at":(\d+),"data"`).FindSubmatch(out.Bytes())
	if emitted == nil {
		t.Fatalf("no record in %s", out.Bytes())
	}
	if n, _ := strconv.ParseInt(string(emitted[1]), 10, 64); n < began {
		t.Errorf("emitted_at is %d ms before the row was received", began-n)
	}
}

// A response with many rows, which is encoded and written while it is read, leaves little memory allocated.
func TestALargeResponseIsNotKept(t *testing.T) {
	orders, tab := stream(t, "orders")
	s := newRig(io.Discard, at(7), tab).session(orders)
	apply(t, s, fakevtgate.Begin(7, 6), fakevtgate.Fields(7, "orders", idAndName...))
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	func() {
		var events []*event
		for i := range 200_000 {
			events = append(events, fakevtgate.Row(7, "orders", nil, []string{fmt.Sprint(i), strings.Repeat("x", 100)}))
		}
		apply(t, s, events...)
	}()
	if kept := heap() - before; kept > 10<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
	runtime.KeepAlive(s)
}

func TestStatesGetRarerWhereTheyAreMuchOfTheOutput(t *testing.T) {
	p := pace{interval: time.Minute}
	for i, c := range []struct {
		records, states int64
		want            time.Duration
	}{
		{1000, 200, 2 * time.Minute},
		{1000, 200, 4 * time.Minute},
		{10_000, 200, time.Minute},
		{0, 0, time.Minute},
	} {
		if p.adjust(c.records, c.states, time.Minute); p.interval != c.want {
			t.Errorf("step %d: %s, expected %s", i, p.interval, c.want)
		}
	}
	p.interval = 50 * time.Minute
	if p.adjust(0, 1, time.Minute); p.interval != time.Hour {
		t.Errorf("%s is longer than the platform waits for a message", p.interval)
	}
}
