package schema

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"source-planetscale/internal/dial"
	"source-planetscale/internal/gtid"
)

// rawServer implements MySQL's protocol byte by byte, so that each byte can be changed.
type rawServer struct {
	answer  func(statement string) [][]string // as in scripted; nil for an OK
	asked   func(packet string)               // is called with each packet, if not nil
	wait    chan struct{}                     // no greeting is sent until this is closed, if not nil
	denied  func()                            // if not nil, called for each login, which is refused
	single  bool                              // accepts only one statement per packet
	unknown string                            // this database does not exist, for logins and packets that name it
	change  func(at int, out []byte) []byte   // replaces what is sent; at is the number of bytes sent before
	large   []byte                            // a row that is sent repeatedly in response to any query
	sent    int
	seq     byte
	conn    net.Conn
}

// serve accepts connections, each with the next server, and returns the address.
func serve(t testing.TB, next func() *rawServer) dial.Config {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s := next()
			s.conn = conn
			go s.run()
		}
	}()
	return dial.Config{Host: "127.0.0.1", MySQLPort: listener.Addr().(*net.TCPAddr).Port, TLS: dial.TLS{Mode: dial.Disabled}}
}

func (s *rawServer) run() {
	defer s.conn.Close()
	greeting := append(
		[]byte{10},
		"8.4.0\x00\x01\x00\x00\x0012345678\x00\xff\xf7\xff\x02\x00\x0b\x00\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00123456789012\x00mysql_native_password\x00"...)
	if s.wait != nil {
		<-s.wait
	}
	if !s.send(greeting) {
		return
	}
	login := s.receive()
	switch {
	case login == nil:
		return
	case s.denied != nil:
		s.denied()
		s.send(accessDenied)
		return
	case s.unknown != "" && bytes.Contains(login, []byte(s.unknown)):
		s.send(unknownDatabase)
		return
	case !s.send(okPacket):
		return
	}
	for {
		command := s.receive()
		switch {
		case len(command) == 0 || command[0] == 1: // quit
			return
		case command[0] != 3 || s.answer == nil:
			if !s.send(okPacket) {
				return
			}
			continue
		}
		question := string(command[1:])
		if s.asked != nil {
			s.asked(question)
		}
		if s.unknown != "" && strings.Contains(question, s.unknown) {
			if !s.send(unknownDatabase) {
				return
			}
			continue
		}
		if !s.answerAll(question) {
			return
		}
	}
}

// answerAll answers the statements of a packet; it returns false if the connection ends with them.
func (s *rawServer) answerAll(packet string) bool {
	statements := strings.Split(packet, ";")
	if s.single && len(statements) > 1 {
		return s.send(syntaxError)
	}
	for i, statement := range statements {
		last := i == len(statements)-1
		switch {
		case !last && strings.HasPrefix(statement, "use "):
			if !s.send(okOfMorePacket) {
				return false
			}
		case !s.result(s.answer(statement), last):
			return false
		}
	}
	return true
}

var (
	okPacket        = []byte{0, 0, 0, 2, 0, 0, 0}
	okOfMorePacket  = []byte{0, 0, 0, 0x0A, 0, 0, 0} // another statement's result follows
	unknownDatabase = append([]byte{0xFF, 0x19, 0x04, '#', '4', '2', '0', '0', '0'}, "unknown database"...)
	accessDenied    = append([]byte{0xFF, 0x15, 0x04, '#', '2', '8', '0', '0', '0'}, "access denied"...)
	syntaxError     = append([]byte{0xFF, 0x28, 0x04, '#', '4', '2', '0', '0', '0'}, "syntax error"...)
)

func (s *rawServer) result(rows [][]string, last bool) bool {
	switch {
	case rows == nil && last:
		return s.send(okPacket)
	case rows == nil:
		return s.send(okOfMorePacket)
	}
	out := [][]byte{{byte(len(rows[0]))}}
	for _, name := range rows[0] {
		column := text(text(text(text(text(text(nil, "def"), ""), ""), ""), name), name)
		out = append(out, append(column, 0x0C, 0xFF, 0, 0, 1, 0, 0, 0xFD, 0, 0, 0, 0, 0))
	}
	end := []byte{0xFE, 0, 0, 2, 0}
	if !last {
		end[3] = 0x0A
	}
	out = append(out, end)
	if s.large != nil {
		s.send(out...)
		for s.send(s.large) {
		}
		return false
	}
	for _, row := range rows[1:] {
		var packet []byte
		for _, cell := range row {
			packet = text(packet, cell)
		}
		out = append(out, packet)
	}
	return s.send(append(out, end)...)
}

// text appends a string with its length.
func text(dst []byte, s string) []byte {
	if len(s) < 251 {
		return append(append(dst, byte(len(s))), s...)
	}
	return append(binary.LittleEndian.AppendUint16(append(dst, 0xFC), uint16(len(s))), s...)
}

// send sends packets; it returns false if the connection ends with them.
func (s *rawServer) send(packets ...[]byte) bool {
	var out []byte
	for _, p := range packets {
		out = append(append(out, byte(len(p)), byte(len(p)>>8), byte(len(p)>>16), s.seq), p...)
		s.seq++
	}
	as := out
	if s.change != nil {
		as = s.change(s.sent, out)
	}
	s.sent += len(out)
	_, err := s.conn.Write(as)
	if &as[:1][0] != &out[0] { // changed: end the connection, so that a client that expects more does not wait
		_ = s.conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, s.conn)
		return false
	}
	return err == nil
}

// receive returns a packet's content, nil at the end of the connection.
func (s *rawServer) receive() []byte {
	head := make([]byte, 4)
	if _, err := io.ReadFull(s.conn, head); err != nil {
		return nil
	}
	s.seq = head[3] + 1
	body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	if _, err := io.ReadFull(s.conn, body); err != nil {
		return nil
	}
	return body
}

// small answers for a keyspace with one table, whose values are all the same text.
func small(cell string) func(string) [][]string {
	return func(statement string) [][]string {
		switch {
		case strings.Contains(statement, "information_schema.tables") && strings.Contains(statement, "table_rows"):
			return [][]string{{"table_name", "table_rows", "data_length"}, {cell, "1", "2"}}
		case strings.Contains(statement, "information_schema.tables"):
			return [][]string{{"table_name", "table_type"}, {cell, "BASE TABLE"}}
		case strings.Contains(statement, "information_schema.columns"):
			return [][]string{{"table_name", "column_name", "column_type", "is_nullable", "character_set_name"}, {cell, cell, "int", "NO", cell}}
		case strings.Contains(statement, "information_schema.statistics"):
			return [][]string{{"table_name", "index_name", "column_name", "nullable", "sub_part"}, {cell, "PRIMARY", cell, "", "0"}}
		case strings.HasPrefix(statement, "show vitess_shards"):
			return [][]string{{"Shards"}, {"shop/" + cell}}
		case strings.HasPrefix(statement, "show vitess_tablets"):
			return [][]string{{"Cell", "Keyspace", "Shard", "TabletType", "State"}, {cell, "shop", cell, "PRIMARY", "SERVING"}}
		case strings.HasPrefix(statement, "show"):
			return [][]string{{"Columns", "Name"}, {cell, cell}}
		case strings.HasPrefix(statement, "select @@global.binlog_format"):
			return [][]string{{"format"}, {"ROW"}}
		case strings.HasPrefix(statement, "select @@global"):
			return [][]string{{"row_image", "row_value_options", "tagged", "vtgate", "mysql"}, {"FULL", cell, "0", "Version: 24.0.4 (Git)", "8.4.0"}}
		case strings.HasPrefix(statement, "select gtid_subset"):
			return [][]string{{"intact"}, {cell}}
		}
		return nil
	}
}

// askAll sends every query to a server, and returns all errors.
func askAll(ctx context.Context, server dial.Config) (failures []error) {
	db, err := Open(ctx, server, "u", "p", "shop", "primary")
	if err != nil {
		return []error{err}
	}
	defer db.Close()
	contents, err := db.Tables(ctx)
	if err == nil {
		failures = append(failures, db.AddVindexes(ctx, contents))
	}
	failures = append(failures, err)
	_, err = db.ColumnsOf(ctx, "-", "t")
	failures = append(failures, err)
	_, err = db.Tablets(ctx)
	failures = append(failures, err)
	_, err = db.Variables(ctx, "-")
	failures = append(failures, err)
	_, err = db.Purged(ctx, "-", "")
	failures = append(failures, err)
	_, err = db.TableSizes(ctx, gtid.Shards("shop", "-"))
	return append(failures, err)
}

// hostile queries a server that changes the byte at one offset, or ends the connection there.
func hostile(t testing.TB, cell string, at int, with byte, cut bool) bool {
	t.Helper()
	var touched atomic.Bool // whether any connection reached the offset
	server := serve(t, func() *rawServer {
		return &rawServer{answer: small(cell), change: func(from int, out []byte) []byte {
			if at < from || at >= from+len(out) {
				return out
			}
			touched.Store(true)
			changed := append(make([]byte, 0, len(out)), out...)
			if cut {
				return changed[:at-from]
			}
			changed[at-from] = with
			return changed
		}}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, err := range askAll(ctx, server) {
		if err != nil && len(err.Error()) > 3*maxText {
			t.Errorf("byte %d as %#x: an error of %d bytes", at, with, len(err.Error()))
		}
	}
	if ctx.Err() != nil {
		t.Errorf("byte %d as %#x (cut %v): it hangs", at, with, cut)
	}
	return touched.Load()
}

// The driver panics on many malformed packets.
func TestServersThatSendWrongBytes(t *testing.T) {
	for _, err := range askAll(t.Context(), serve(t, func() *rawServer { return &rawServer{answer: small("1")} })) {
		if err != nil {
			t.Fatalf("with an unchanged server: %v", err)
		}
	}
	values := []byte{0x00, 0x01, 0x09, 0xFB, 0xFC, 0xFE, 0xFF} // FuzzServer tries all other values
	places := 0
	for touched := true; touched; places++ {
		touched = hostile(t, "1", places, values[places%len(values)], places%8 == 0)
	}
	t.Logf("%d bytes", places)
	if places < 500 {
		t.Errorf("only %d bytes were changed", places)
	}
}

func FuzzServer(f *testing.F) {
	f.Add(uint16(3), byte(0xFF), "1", false)
	f.Add(uint16(300), byte(0xFB), "tinyint(1)", false)
	f.Add(uint16(200), byte(0), strings.Repeat("x", 300), true)
	f.Fuzz(func(t *testing.T, at uint16, with byte, cell string, cut bool) {
		hostile(t, cell[:min(len(cell), 1<<16-1)], int(at), with, cut)
	})
}

// After a panic nothing more is read from that connection, and the next one works.
func TestAConnectionIsNotUsedAfterAPanic(t *testing.T) {
	connections := 0
	var broken atomic.Bool // whether a connection has been broken; several goroutines serve them
	var asked []int        // the connection of each query
	server := serve(t, func() *rawServer {
		connections++
		number := connections
		return &rawServer{answer: small("-"), asked: func(string) { asked = append(asked, number) }, change: func(_ int, out []byte) []byte {
			if bytes.Contains(out, []byte("TabletType")) && broken.CompareAndSwap(false, true) {
				return []byte{1, 0, 0, 1, 0xFF} // an error without its number
			}
			return out
		}}
	})
	db, err := Open(t.Context(), server, "u", "p", "shop", "primary")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Tablets(t.Context()); !errors.Is(err, ErrUnreachable) || !errors.Is(err, errAnswer) {
		t.Errorf("got %v", err)
	}
	if tablets, err := db.Tablets(t.Context()); err != nil || len(tablets) != 1 || len(asked) != 2 || asked[0] == asked[1] {
		t.Errorf("got %v, %v by connections %v", tablets, err, asked)
	}
}

// A server may never stop sending rows, or pages of rows.
func TestAnswersAreBounded(t *testing.T) {
	server := serve(t, func() *rawServer {
		return &rawServer{answer: small("-"), large: text(nil, strings.Repeat("x", 1<<16-1))}
	})
	db, err := Open(t.Context(), server, "u", "p", "shop", "primary")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Shards(t.Context()); !errors.Is(err, errTooMuch) {
		t.Errorf("got %v", err)
	}
}

func TestServersTextsAreBounded(t *testing.T) {
	long := strings.Repeat("ä", 40_000)
	server := serve(t, func() *rawServer {
		return &rawServer{answer: func(string) [][]string { return nil }, change: func(_ int, out []byte) []byte {
			if len(out) > 11 { // the greeting
				return out
			}
			packet := append([]byte{0xFF, 0x15, 0x04, '#', '2', '8', '0', '0', '0'}, long...) // 1045
			return append([]byte{byte(len(packet)), byte(len(packet) >> 8), byte(len(packet) >> 16), 2}, packet...)
		}}
	})
	_, err := Open(t.Context(), server, "u", "p", "shop", "primary")
	if !errors.Is(err, ErrAuth) || len(err.Error()) > 2*maxText || strings.Contains(err.Error(), "\uFFFD") {
		t.Errorf("got an error of %d bytes", len(err.Error()))
	}
}

// The list of keyspaces in the error for an unknown keyspace is bounded.
func TestTheListOfKeyspacesIsBounded(t *testing.T) {
	server := serve(t, func() *rawServer {
		return &rawServer{unknown: "shopp", answer: func(string) [][]string {
			return [][]string{{"Database"}, {strings.Repeat("k", 60_000)}, {"shop"}}
		}}
	})
	_, err := Open(t.Context(), server, "u", "p", "shopp", "primary")
	if !errors.Is(err, ErrUnknownKeyspace) || !strings.Contains(err.Error(), "kkkk") || len(err.Error()) > 3*maxText {
		t.Errorf("got %.300v", err)
	}
}

// Each packet to a distant server costs time: USE is sent together with the first query after it, unless the server accepts only one
// statement per packet.
func TestTheTargetIsSelectedWithTheQuestion(t *testing.T) {
	const use, both = "use `shop:-@primary`", variablesQuery + ";" + formatQuery
	for name, c := range map[string]struct {
		single bool
		want   []string
	}{
		"one packet":                {false, []string{use + ";" + both, use + ";" + both, "use `shop@primary`;show vitess_shards"}},
		"one statement to a packet": {true, []string{use + ";" + both, use, both, variablesQuery, formatQuery, use, both, variablesQuery, formatQuery, "use `shop@primary`", "show vitess_shards"}},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			server := serve(t, func() *rawServer {
				return &rawServer{answer: small("1"), single: c.single, asked: func(packet string) {
					asked = append(asked, packet)
				}}
			})
			db, err := Open(t.Context(), server, "u", "p", "shop", "primary")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for range 2 {
				if v, err := db.Variables(t.Context(), "-"); err != nil || v.RowImage != "FULL" || v.Format != "ROW" {
					t.Errorf("%+v, %v", v, err)
				}
			}
			if _, err := db.Shards(t.Context()); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(c.want, asked); diff != "" {
				t.Errorf("packets (-want +got):\n%s", diff)
			}
		})
	}
}

// Once the first login has succeeded, as many more connections as are used in parallel are opened at once; a broken one is replaced.
func TestConnectionsAreMadeAhead(t *testing.T) {
	const broken = 3 // the number of the login that fails; the first one has no others beside it
	began, connections := make(chan int, 16), 0
	var logins atomic.Int64
	server := serve(t, func() *rawServer {
		connections++
		began <- connections
		asked := false
		return &rawServer{answer: small("1"), change: func(from int, out []byte) []byte {
			if from == 0 || asked {
				return out
			}
			if asked = true; logins.Add(1) == broken {
				return slices.Clone(out[:1])
			}
			return out
		}}
	})
	db, err := Open(t.Context(), server, "u", "p", "shop", "primary")
	if err != nil {
		t.Fatal(err)
	}
	for want := 1; want <= maxConnections; want++ {
		if got := <-began; got != want { // before any query
			t.Errorf("connection %d, not %d", got, want)
		}
	}
	names := make([]string, 2*maxConnections)
	if err := EachShard(t.Context(), names, func(ctx context.Context, _ string) error { _, err := db.Tablets(ctx); return err }); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// A wrong password is tried once, however many connections are opened in advance: a server may lock the user out.
func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	var logins atomic.Int64
	server := serve(t, func() *rawServer { return &rawServer{denied: func() { logins.Add(1) }} })
	if _, err := Open(t.Context(), server, "u", "p", "shop", "primary"); !errors.Is(err, ErrAuth) || logins.Load() != 1 {
		t.Errorf("got %v after %d logins", err, logins.Load())
	}
}

// The connections for the queries of several shards are opened before the first login has finished.
func TestConnectionsDoNotWaitForTheFirstLogin(t *testing.T) {
	all := make(chan struct{})
	connections := 0
	server := serve(t, func() *rawServer {
		if connections++; connections == maxConnections {
			close(all)
		}
		return &rawServer{answer: small("1"), wait: all}
	})
	db, err := Open(t.Context(), server, "u", "p", "shop", "primary")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// If a target cannot be selected, its query is not sent to another target, and the connection's next user does not get the error.
func TestWhatCannotBeSelectedIsRefused(t *testing.T) {
	for _, single := range []bool{false, true} {
		var asked []string
		server := serve(t, func() *rawServer {
			return &rawServer{
				single: single, unknown: "nowhere",
				asked:  func(packet string) { asked = append(asked, packet) },
				answer: func(string) [][]string { return [][]string{{"Database"}, {"shop"}, {"billing"}} },
			}
		})
		db, err := OpenSeveral(t.Context(), server, "u", "p", "shop", "primary")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		other := db.Of("nowhere")
		if _, err := other.Shards(t.Context()); !errors.Is(err, ErrUnknownKeyspace) || !strings.Contains(err.Error(), "there are: billing, shop") {
			t.Errorf("single %v: got %v", single, err)
		}
		conn, err := other.conn(t.Context(), "-")
		for err == nil { // the selection may be refused only together with a query
			_, err = conn.ExecContext(t.Context(), "rollback")
			if err == nil {
				t.Fatalf("single %v: asked elsewhere: %q", single, asked)
			}
			_, again := conn.QueryContext(t.Context(), "select 1")
			if again == nil {
				t.Fatalf("single %v: asked elsewhere: %q", single, asked)
			}
			_ = conn.Close()
		}
		if _, _, err := db.Keyspaces(t.Context()); err != nil {
			t.Errorf("single %v: the next user gets an error: %v", single, err)
		}
	}
}

// If one connection gets no answer, the others that were open then are not asked: each would cost the same time.
func TestConnectionsThatFellSilentTogether(t *testing.T) {
	var silent atomic.Bool
	var waited atomic.Int64
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	server := serve(t, func() *rawServer {
		old := !silent.Load()
		return &rawServer{answer: small("1"), asked: func(string) {
			if old && silent.Load() {
				waited.Add(1)
				<-release
			}
		}}
	})
	config, err := newConfig(server, "u", "p")
	if err != nil {
		t.Fatal(err)
	}
	config.ReadTimeout = 100 * time.Millisecond
	db := &DB{keyspace: "shop", tabletType: "primary"}
	if db.sql, err = login(t.Context(), config, 4, server); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all sync.WaitGroup // that all four are open, and idle after that
	all.Add(4)
	err = EachShard(t.Context(), make([]string, 4), func(ctx context.Context, _ string) error {
		conn, err := db.conn(ctx, "-")
		if err != nil {
			return err
		}
		all.Done()
		all.Wait()
		return conn.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	silent.Store(true)
	if _, err := db.Tablets(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("without an answer: %v", err)
	}
	if _, err := db.Tablets(t.Context()); err != nil || waited.Load() != 1 {
		t.Errorf("the next query: %v; %d connections were silent when queried", err, waited.Load())
	}
}

// What a connection's former users were sent does not count for the next one.
func TestAnswersAreBoundedForEachUserOfAConnection(t *testing.T) {
	server := serve(t, func() *rawServer { return &rawServer{answer: small("-")} })
	db, err := Open(t.Context(), server, "u", "p", "shop", "primary")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.sql.SetMaxOpenConns(1)
	for range 3 { // as ColumnsAt does, which selects its shard along with its question
		if _, err := ask(t.Context(), db.sql, "use shop;show something"); err != nil {
			t.Error(err)
		}
		conn, err := db.sql.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Raw(func(c any) error { c.(*guardedConn).socket.left.Store(1); return nil }); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}
