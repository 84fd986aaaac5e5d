package engine

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
)

// formerState is the state of a stream that the former connector saved; fields are its cursor's: shard, keyspace, position, last known key.
func formerState(fields ...string) string {
	var b []byte
	for i, text := range fields {
		b = protowire.AppendString(protowire.AppendTag(b, protowire.Number(i+1), protowire.BytesType), text)
	}
	return `{"shards":{"-":{"cursor":"` + base64.StdEncoding.EncodeToString(b) + `"}}}`
}

// legacyDocument is how earlier releases of the former connector saved the states of streams.
func legacyDocument(states map[string]string) json.RawMessage {
	var streams []string
	for name, saved := range states {
		streams = append(streams, `"`+name+`":`+saved)
	}
	return json.RawMessage(`{"streams":{` + strings.Join(streams, ",") + `}}`)
}

func inShop(name string) airbyte.StreamDescriptor {
	return airbyte.StreamDescriptor{Name: name, Namespace: "shop"}
}

// keptAfter is what the platform passes to the sync after one that was passed in: states of streams replace the document.
func keptAfter(t *testing.T, in *airbyte.State, out *destination.Output) *airbyte.State {
	t.Helper()
	kept := &airbyte.State{Streams: rawStates{}, Legacy: in.Legacy}
	for d, data := range in.Streams {
		kept.Streams[d] = data
	}
	for _, s := range out.States {
		one, err := airbyte.ParseState(s.Message)
		if err != nil {
			t.Fatal(err)
		}
		for d, data := range one.Streams {
			kept.Streams[d], kept.Legacy = data, nil
		}
	}
	return kept
}

// sixth is a source at transaction 6, which inserted 6:x; a copy has two rows and ends at 5.
func sixth(q *request, send func(...*event), done <-chan struct{}) error {
	if at := q.Vgtid.ShardGtids[0]; at.Gtid != "" {
		s := fakevtgate.Script{Keyspace: at.Keyspace, Shard: at.Shard}
		events := insert(6, tablesIn(q)...)
		events[len(events)-2] = s.VGTID(6, nil)
		send(events...)
		return hold(done)
	}
	return copies(func(string) {})(q, send, done)
}

// The platform deletes the former connector's document when it receives the first state of this one: all positions are saved once, before
// anything is read.
func TestFormerConnectorsPositionsAreSavedFirst(t *testing.T) {
	five := formerState("-", "shop", fakevtgate.GTID(5))
	for name, c := range map[string]struct {
		in   func(r *rig) *airbyte.State
		want int
	}{
		"the former connector's": {func(*rig) *airbyte.State {
			return &airbyte.State{Legacy: legacyDocument(map[string]string{"shop:users": five, "shop:others": five})}
		}, 2},
		"its states of streams, which the platform keeps": {func(*rig) *airbyte.State {
			return &airbyte.State{Streams: rawStates{inShop("users"): json.RawMessage(five), inShop("others"): json.RawMessage(five)}}
		}, 0},
		"ours": {func(r *rig) *airbyte.State {
			return r.atPosition(map[string]gtid.Position{"users": at(5), "others": at(5)})
		}, 0},
		"none": {func(*rig) *airbyte.State { return &airbyte.State{} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(*request, func(...*event), <-chan struct{}) error {
				return status.Error(codes.PermissionDenied, "no")
			})
			r.exists("users", "others", "third")
			out, err := r.read(c.in(r), "users", "others", "third")
			if !errors.Is(err, ErrIncomplete) || len(out.States) != c.want {
				t.Fatalf("error %v, %d states", err, len(out.States))
			}
			for _, s := range out.States {
				if !shardOf(t, s).Position.Equal(at(5)) || s.Stream.Name == "third" {
					t.Errorf("state %s", s.Message)
				}
			}
			text := r.out.buf.String()
			if first := strings.Index(text, `"STATE"`); c.want > 0 && (first < strings.LastIndex(text, `"STARTED"`) || first > strings.Index(text, `"Reading 3`)) {
				t.Errorf("the states are not right after the streams have started:\n%s", text)
			}
		})
	}
}

// A stream that cannot be read this time keeps its position of the former connector, too: the next sync goes on from there.
func TestAFormerPositionOfAStreamThatIsRefusedIsSaved(t *testing.T) {
	five, none := formerState("-", "shop", fakevtgate.GTID(5)), formerState("-", "shop", "")
	for form, in := range map[string]*airbyte.State{
		"their own": {Streams: rawStates{
			inShop("users"): json.RawMessage(five), inShop("others"): json.RawMessage(five), inShop("third"): json.RawMessage(none),
		}},
		"in the document": {Legacy: legacyDocument(map[string]string{"shop:users": five, "shop:others": five, "shop:third": none})},
		"in both": {
			Streams: rawStates{inShop("others"): json.RawMessage(five)},
			Legacy:  legacyDocument(map[string]string{"shop:users": five, "shop:others": formerState("-", "shop", fakevtgate.GTID(3)), "shop:third": none}),
		},
	} {
		t.Run(form, func(t *testing.T) {
			r := newRig(t, 6, sixth)
			r.exists("users") // and not the others, as if the schema had to be refreshed
			out, err := r.read(in, "users", "others", "third")
			if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 2 || out.Statuses[streamNamed("users")] != "COMPLETE" {
				t.Fatalf("error %v, traces %+v, statuses %v", err, out.Errors, out.Statuses)
			}
			text := r.out.buf.String()
			if first := strings.Index(text, `"STATE"`); in.Legacy != nil &&
				(first < strings.LastIndex(text, `"STARTED"`) || first > strings.Index(text, `"INCOMPLETE"`)) {
				t.Errorf("the states are not right after the streams have started:\n%s", text)
			}
			for _, s := range out.States {
				if s.Stream.Name == "third" {
					t.Errorf("a stream that was never read has the state %s", s.Message)
				}
			}
			next := newRig(t, 6, sixth)
			next.exists("users", "others")
			out, err = next.read(keptAfter(t, in, out), "users", "others")
			if got := rows(out); err != nil || !slices.Equal(got, []string{"6:x"}) {
				t.Errorf("error %v, records %v", err, got)
			}
			if asked := next.asked(); !slices.Equal(asked, []string{"others from 5"}) {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

// The former connector's state of a stream is used whether it is the stream's own or in a document with others, next to a state of ours.
// One that is damaged fails its stream, in this sync and the next.
func TestTheFormerConnectorsState(t *testing.T) {
	five := formerState("-", "shop", fakevtgate.GTID(5))
	starting := `,"starting_gtids":"{\"shop\":{\"-\":\"` + fakevtgate.GTID(4) + `\"}}"`
	for name, c := range map[string]struct {
		saved   string
		options string
		full    bool
		asked   []string // from where users is requested
		problem string
	}{
		"a finished copy":                        {saved: five, asked: []string{"5"}},
		"an unfinished copy":                     {saved: formerState("-", "shop", fakevtgate.GTID(4), "key"), asked: []string{"", "4"}},
		"an unfinished copy without a position":  {saved: formerState("-", "shop", "", "key"), asked: []string{"", "5"}},
		"more than a cursor":                     {saved: strings.Replace(five, `"}`, `","user_defined_cursor_value":"NQ=="}`, 1), asked: []string{"5"}},
		"nothing was read":                       {saved: formerState("-", "shop", ""), asked: []string{"", "5"}},
		"an empty cursor":                        {saved: `{"shards":{"-":{"cursor":""}}}`, asked: []string{"", "5"}},
		"a shard of null":                        {saved: `{"shards":{"-":null}}`, asked: []string{"", "5"}},
		"no shards":                              {saved: `{"shards":{}}`, asked: []string{"", "5"}},
		"a position, and starting positions":     {saved: five, options: starting, asked: []string{"5"}},
		"nothing was read, starting positions":   {saved: `{"shards":{"-":{"cursor":""}}}`, options: starting, asked: []string{"4"}},
		"a full refresh":                         {saved: five, full: true, asked: []string{""}},
		"a full refresh whose cursor is damaged": {saved: `{"shards":{"-":{"cursor":"%"}}}`, full: true, asked: []string{""}},
		"a damaged cursor":                       {saved: `{"shards":{"-":{"cursor":"%"}}}`, problem: "shard -: its cursor is not base64"},
		"another shard's cursor":                 {saved: formerState("-80", "shop", fakevtgate.GTID(5)), problem: `its cursor is of shard "-80"`},
		"another keyspace's cursor":              {saved: formerState("-", "old", fakevtgate.GTID(5)), problem: `of keyspace "old"`},
	} {
		own := func(r *rig) *airbyte.State {
			in := r.atPosition(map[string]gtid.Position{"others": at(5)})
			in.Streams[inShop("users")] = json.RawMessage(c.saved)
			return in
		}
		document := func(r *rig) *airbyte.State {
			in := r.atPosition(map[string]gtid.Position{"others": at(5)})
			in.Legacy = legacyDocument(map[string]string{"shop:users": c.saved})
			return in
		}
		for form, first := range map[string]func(*rig) *airbyte.State{"its own": own, "in the document": document} {
			t.Run(name+", "+form, func(t *testing.T) {
				read := func(passed func(*rig) *airbyte.State) (requests []string, out *destination.Output, kept func(*rig) *airbyte.State) {
					r := newRig(t, 6, sixth)
					r.configure(c.options)
					r.exists("users", "others")
					catalog, in := r.catalog(inShop("users"), inShop("others")), passed(r)
					if c.full {
						catalog.Streams[0].SyncMode = airbyte.FullRefresh
					}
					out, err := r.ended(r.engine().Read(t.Context(), catalog, in))
					if problem := mustFail(out, err, "users"); !strings.Contains(problem, c.problem) || (problem == "") != (c.problem == "") {
						t.Errorf("error %v, traces %+v, expected one about %q", err, out.Errors, c.problem)
					}
					for _, asked := range r.asked() {
						if tables, from, _ := strings.Cut(asked, " from "); strings.HasSuffix(tables, "users") {
							requests = append(requests, from)
						}
					}
					return requests, out, func(*rig) *airbyte.State { return keptAfter(t, in, out) }
				}
				requests, out, kept := read(first)
				if !slices.Equal(requests, c.asked) {
					t.Errorf("users was requested from %q, expected %q", requests, c.asked)
				}
				if got := rowsByTable(out); !slices.Contains(got, "others 6:x") {
					t.Errorf("records %v", got)
				}
				if requests, _, _ = read(kept); len(requests) > 0 && !c.full {
					t.Errorf("the next sync requested users from %q", requests)
				}
			})
		}
	}
}

// mustFail is the message of the only stream that failed, "" if none did.
func mustFail(out *destination.Output, err error, name string) string {
	if err == nil && len(out.Errors) == 0 {
		return ""
	}
	if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || *out.Errors[0].Stream != streamNamed(name) ||
		out.Errors[0].FailureType != "config_error" {
		return "another error"
	}
	return out.Errors[0].Message
}

// A source's database was changed once, and the former connector has kept the states of the earlier one: they are of no stream that is
// read. If there are no others, the option is wrong.
func TestTheFormerConnectorsStatesOfOtherKeyspaces(t *testing.T) {
	five, old := formerState("-", "shop", fakevtgate.GTID(5)), formerState("-", "old", fakevtgate.GTID(3))
	for name, c := range map[string]struct {
		streams rawStates
		legacy  map[string]string
		warns   string
		problem string
	}{
		"next to ours in the document":   {nil, map[string]string{"old:users": old, "shop:users": five}, "one, shop (stream old.users, one of 1). ", ""},
		"next to ours, of their own":     {rawStates{users("old"): json.RawMessage(old), users("shop"): json.RawMessage(five)}, nil, "one, shop (stream old.users, one of 1). ", ""},
		"in the document, next to ours":  {rawStates{users("shop"): json.RawMessage(five)}, map[string]string{"old:users": old}, "one, shop (stream old.users, one of 1). ", ""},
		"alone in the document":          {nil, map[string]string{"old:users": old, "old:third": old}, "", "belongs to another database than the configured one, shop (stream old.third, one of 2)"},
		"alone, of their own":            {rawStates{users("old"): json.RawMessage(old)}, nil, "", "belongs to another database"},
		"a damaged one, next to ours":    {nil, map[string]string{"old:users": "7", "shop:users": five}, "one, shop (stream old.users, one of 1). ", ""},
		"one that is not in the catalog": {nil, map[string]string{"shop:third": "7", "shop:users": five}, "", ""},
		"a document of nobody":           {nil, map[string]string{"users": five}, "", `its stream "users" is not named keyspace:table`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, sixth)
			r.exists("users")
			in := &airbyte.State{Streams: c.streams}
			if c.legacy != nil {
				in.Legacy = legacyDocument(c.legacy)
			}
			out, err := r.readAll(nil, in, users("shop"))
			if c.problem != "" {
				v := failure.In(err)
				if v == nil || v.Kind != airbyte.ConfigError || !strings.Contains(v.Message(), c.problem) || len(r.requests()) > 0 {
					t.Errorf("ended with %v", err)
				}
				return
			}
			var warned string
			for _, l := range out.Logs {
				if l.Level == "WARN" {
					warned += l.Message
				}
			}
			if _, says, _ := strings.Cut(warned, "The saved state belongs to another database than the configured "); err != nil ||
				!strings.HasPrefix(says, c.warns) || (c.warns == "") != (warned == "") {
				t.Errorf("error %v, warned %q", err, warned)
			}
			if asked := r.asked(); !slices.Equal(asked, []string{"users from 5"}) {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

// The streams of each keyspace have their own states, so that no keyspace has to wait for another one.
func TestTheFormerConnectorsStatesOfTwoKeyspaces(t *testing.T) {
	r := newRig(t, 6, sixth)
	r.configure(`,"keyspaces":["billing"]`)
	r.exists("users")
	out, err := r.readAll(nil, &airbyte.State{Streams: rawStates{
		users("shop"): json.RawMessage(formerState("-", "shop", fakevtgate.GTID(5))), users("billing"): json.RawMessage(formerState("-", "billing", fakevtgate.GTID(4))),
	}}, users("shop"), users("billing"))
	if err != nil || len(out.Records) != 2 {
		t.Errorf("%v, %d records", err, len(out.Records))
	}
	if asked := r.asked(); !slices.Equal(asked, []string{"users from 4", "users from 5"}) {
		t.Errorf("asked %q", asked)
	}
}
