package sandbox

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
	"github.com/mostynb/go-grpc-compression/snappy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	querypb "vitess.io/vitess/go/vt/proto/query"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"
	vtgateservicepb "vitess.io/vitess/go/vt/proto/vtgateservice"
)

// TestCluster runs a real cluster, which takes minutes the first time on a
// machine and then some 15 seconds.
func TestCluster(t *testing.T) {
	switch {
	case os.Getenv("SANDBOX_CA") != "":
	case os.Getenv("CI") != "":
		t.Fatal("starts its own Vitess, which may have to be built first: run the tests with `make test`")
	default:
		t.Skip("starts its own Vitess, which may have to be built first: run the tests with `make test`")
	}
	ctx := testContext(t, 20*time.Minute)
	s, err := Up(ctx, t.TempDir(), Default(), testWriter{t}, MySQL("innodb_native_foreign_keys = ON"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Purge(context.Background()); err != nil {
			t.Errorf("ending the cluster: %v", err)
		}
	})
	t.Run("gRPC", func(t *testing.T) { testGRPC(t, s) })
	t.Run("MySQL", func(t *testing.T) { testMySQL(t, s) })
	t.Run("sharding", func(t *testing.T) { testSharding(t, s) })
	t.Run("large rows", func(t *testing.T) { testLargeRow(t, s) })
	t.Run("programs", func(t *testing.T) { testPrograms(t, s) })
	t.Run("versions", func(t *testing.T) { testVersions(t, s) })
	t.Run("source.json", func(t *testing.T) { testConfigs(t, s) })
	t.Run("reparent", func(t *testing.T) { testReparent(t, s) })
	t.Run("replicas", func(t *testing.T) { testReplicas(t, s) })
	t.Run("reshard", func(t *testing.T) { testReshard(t, s) })
	t.Run("kill and start", func(t *testing.T) { testKillAndStart(t, s) })
	t.Run("heal", func(t *testing.T) { testHeal(t, s) })
	t.Run("down and up", func(t *testing.T) { testDownAndUp(t, s) })
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (s *Sandbox) tlsConfig(t *testing.T) *tls.Config {
	t.Helper()
	authority, err := os.ReadFile(s.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		t.Fatal("no certificate in the authority's file")
	}
	return &tls.Config{RootCAs: pool, ServerName: s.Host}
}

// execute runs a query over gRPC, through the edge or directly.
func execute(
	t *testing.T,
	addr string,
	creds credentials.TransportCredentials,
	authorization, target, query string,
	options ...grpc.CallOption,
) (*querypb.QueryResult, error) {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(append(options, grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage))...))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := testContext(t, time.Minute)
	if authorization != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
	}
	response, err := vtgateservicepb.NewVitessClient(conn).Execute(ctx, &vtgatepb.ExecuteRequest{
		Session: &vtgatepb.Session{Autocommit: true, TargetString: target},
		Query:   &querypb.BoundQuery{Sql: query},
	})
	if err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, errors.New(response.Error.Message)
	}
	return response.Result, nil
}

func (s *Sandbox) edgeGRPC() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.GRPCPort)) }

func basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

func testGRPC(t *testing.T, s *Sandbox) {
	creds := credentials.NewTLS(s.tlsConfig(t))
	for name, authorization := range map[string]string{"wrong password": basic(s.Username, "guess"), "none": ""} {
		if _, err := execute(t, s.edgeGRPC(), creds, authorization, "customer", "select 1"); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: got %v, want Unauthenticated", name, err)
		}
	}
	right := basic(s.Username, s.Password)
	for _, compressor := range []string{gzip.Name, snappy.Name, "identity"} {
		result, err := execute(t, s.edgeGRPC(), creds, right, "customer", "select 1", grpc.UseCompressor(compressor))
		if err != nil || len(result.Rows) != 1 {
			t.Errorf("right password, %s: got %v (%v), want one row", compressor, result, err)
		}
	}
	if _, err := execute(t, s.edgeGRPC(), insecure.NewCredentials(), right, "customer", "select 1"); status.Code(err) != codes.Unavailable {
		t.Errorf("without TLS: got %v, want Unavailable", err)
	}
	if result, err := execute(t, s.PlainGRPC, insecure.NewCredentials(), "", "customer", "select 1"); err != nil || len(result.Rows) != 1 {
		t.Errorf("plain: got %v (%v), want one row", result, err)
	}
}

// openMySQL returns a connection; without config it is not encrypted.
func openMySQL(t *testing.T, addr, user, password, database string, config *tls.Config) *sql.DB {
	t.Helper()
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName, c.TLS = "tcp", addr, user, password, database, config
	c.Logger, c.MaxAllowedPacket = &mysql.NopLogger{}, maxMessage
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *Sandbox) plain(t *testing.T, database string) *sql.DB {
	t.Helper()
	return openMySQL(t, s.PlainMySQL, "root", "", database, nil)
}

func testMySQL(t *testing.T, s *Sandbox) {
	addr := net.JoinHostPort(s.Host, strconv.Itoa(s.MySQLPort))
	for name, test := range map[string]struct {
		addr, user, password string
		config               *tls.Config
		want                 uint16 // MySQL's error number
	}{
		"edge":                 {addr, s.Username, s.Password, s.tlsConfig(t), 0},
		"edge, wrong password": {addr, s.Username, "guess", s.tlsConfig(t), 1045},
		"edge, root":           {addr, "root", "", s.tlsConfig(t), 1045},
		"edge, without TLS":    {addr, s.Username, s.Password, nil, 3159},
		"plain":                {s.PlainMySQL, "root", "", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var got int
			err := openMySQL(t, test.addr, test.user, test.password, "customer", test.config).
				QueryRowContext(testContext(t, time.Minute), "select 40 + 2").Scan(&got)
			var refused *mysql.MySQLError
			if test.want == 0 && (err != nil || got != 42) {
				t.Errorf("got %d (%v), want 42", got, err)
			}
			if test.want != 0 && (!errors.As(err, &refused) || refused.Number != test.want) {
				t.Errorf("got %v, want error %d", err, test.want)
			}
		})
	}
}

func mustExec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(testContext(t, time.Minute), statement); err != nil {
			t.Fatalf("%.80s: %v", statement, err)
		}
	}
}

func count(t *testing.T, db *sql.DB, table string) int {
	t.Helper()
	var n int
	if err := db.QueryRowContext(testContext(t, time.Minute), "select count(*) from "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func testSharding(t *testing.T, s *Sandbox) {
	db := s.plain(t, "customer")
	mustExec(t, db, "create table sharded (id bigint primary key)", "alter vschema on sharded add vindex xxhash(id)")
	for id := range 64 {
		mustExec(t, db, fmt.Sprintf("insert into sharded (id) values (%d)", id))
	}
	left, right := count(t, s.plain(t, "customer/-80"), "sharded"), count(t, s.plain(t, "customer/80-"), "sharded")
	if left == 0 || right == 0 || left+right != 64 {
		t.Errorf("the shards have %d and %d of 64 rows", left, right)
	}
	mustExec(t, s.plain(t, "commerce"), "create table whole (id bigint primary key)", "insert into whole (id) values (1)")
	if got := count(t, s.plain(t, "commerce/-"), "whole"); got != 1 {
		t.Errorf("the unsharded keyspace has %d rows, want 1", got)
	}
}

func testLargeRow(t *testing.T, s *Sandbox) {
	const size = 40 << 20 // beyond Vitess's default of 16 MiB
	mustExec(t, s.plain(t, "commerce"), "create table large (id bigint primary key, doc longblob)",
		"insert into large (id, doc) values (1, '"+strings.Repeat("x", size)+"')")
	result, err := execute(
		t,
		s.edgeGRPC(),
		credentials.NewTLS(s.tlsConfig(t)),
		basic(s.Username, s.Password),
		"commerce",
		"select doc from large",
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(result.Rows[0].Values); got != size {
		t.Errorf("got %d bytes over gRPC, want %d", got, size)
	}
}

func testPrograms(t *testing.T, s *Sandbox) {
	ctx := testContext(t, time.Minute)
	out, err := run(ctx, "", []string{"MYSQL_PWD=" + s.Password}, s.MySQL, "-h", s.Host, "--protocol=tcp", "-P", strconv.Itoa(s.MySQLPort),
		"-u", s.Username, "--ssl-mode=VERIFY_IDENTITY", "--ssl-ca="+s.CA, "-N", "-e", "show keyspaces")
	keyspaces := strings.Fields(string(out))
	slices.Sort(keyspaces)
	if diff := cmp.Diff([]string{"commerce", "customer"}, keyspaces); err != nil || diff != "" {
		t.Errorf("mysql: %v\n%s", err, diff)
	}
	out, err = run(ctx, "", nil, s.VTCtldClient, "--server", s.VTCtld, "GetKeyspaces")
	if err != nil || !bytes.Contains(out, []byte("customer")) {
		t.Errorf("vtctldclient: got %s (%v), want the keyspaces", out, err)
	}
}

func testConfigs(t *testing.T, s *Sandbox) {
	authority, err := os.ReadFile(s.CA)
	if err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	verify := object{"mode": "verify_identity", "ca_certificate": string(authority)}
	_, plainMySQL, _ := net.SplitHostPort(s.PlainMySQL)
	_, plainGRPC, _ := net.SplitHostPort(s.PlainGRPC)
	for path, want := range map[string]object{
		s.ConfigUnsharded: {"host": "localhost", "database": "commerce", "username": s.Username, "password": s.Password, "mysql_port": fmt.Sprint(s.MySQLPort), "grpc_port": fmt.Sprint(s.GRPCPort), "tls": verify},
		s.ConfigSharded:   {"host": "localhost", "database": "customer", "username": s.Username, "password": s.Password, "mysql_port": fmt.Sprint(s.MySQLPort), "grpc_port": fmt.Sprint(s.GRPCPort), "tls": verify},
		s.ConfigPlain:     {"host": "127.0.0.1", "database": "customer", "username": "root", "password": "", "mysql_port": plainMySQL, "grpc_port": plainGRPC, "grpc_auth": "none", "tls": object{"mode": "disabled"}},
	} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got object
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		for _, port := range []string{"mysql_port", "grpc_port"} {
			got[port] = fmt.Sprint(got[port])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", filepath.Base(path), diff)
		}
	}
}

// testReparent adds a replica to a shard and makes each of the two tablets the primary in turn.
func testReparent(t *testing.T, s *Sandbox) {
	ctx := testContext(t, 5*time.Minute)
	if err := s.Grow(ctx, "customer", "-80", 1); err != nil {
		t.Fatal(err)
	}
	awaitReplica(t, s)
	if err := s.Reparent(ctx, "customer", "-80"); err != nil {
		t.Fatal(err)
	}
	if primary, err := s.Primary(ctx, "customer", "-80"); err != nil || primary != "customer--80-1" {
		t.Errorf("after a planned reparent the primary is %s (%v)", primary, err)
	}
	mustExec(t, s.plain(t, "customer"), "insert into sharded (id) values (100), (101), (102), (103)")
	awaitReplica(t, s)
	for _, name := range []string{"mysqld-customer--80-1", "vttablet-customer--80-1"} {
		if err := s.Kill(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.EmergencyReparent(ctx, "customer", "-80"); err != nil {
		t.Fatal(err)
	}
	if primary, err := s.Primary(ctx, "customer", "-80"); err != nil || primary != "customer--80-0" {
		t.Errorf("after an emergency reparent the primary is %s (%v)", primary, err)
	}
	for _, name := range []string{"mysqld-customer--80-1", "vttablet-customer--80-1"} {
		if err := s.Start(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, s.plain(t, "customer"), "insert into sharded (id) values (104), (105), (106), (107)")
	awaitReplica(t, s)
	if replicas, err := s.Replicas(ctx, "customer", "-80"); err != nil || !slices.Equal(replicas, []string{"customer--80-1"}) {
		t.Errorf("the replicas are %v (%v)", replicas, err)
	}
}

// awaitReplica waits until the replica of -80 has all rows.
func awaitReplica(t *testing.T, s *Sandbox) {
	t.Helper()
	ctx := testContext(t, time.Minute)
	primary, replica := s.plain(t, "customer/-80@primary"), s.plain(t, "customer/-80@replica")
	var want, got int
	var last error
	err := poll(ctx, func() (bool, error) {
		last = errors.Join(primary.QueryRowContext(ctx, "select count(*) from sharded").Scan(&want),
			replica.QueryRowContext(ctx, "select count(*) from sharded").Scan(&got))
		return last == nil && got == want && want > 0, nil
	}, func() error { return fmt.Errorf("the replica has %d of %d rows: %w", got, want, last) })
	if err != nil {
		t.Fatal(err)
	}
}

// testReshard splits a shard, after which the old one no longer exists.
func testReshard(t *testing.T, s *Sandbox) {
	ctx := testContext(t, 5*time.Minute)
	db := s.plain(t, "customer")
	want := count(t, db, "sharded")
	r, err := s.Reshard(ctx, "customer", []string{"80-"}, []string{"80-c0", "c0-"})
	if err != nil {
		t.Fatal(err)
	}
	if got := count(t, s.plain(t, "customer/80-"), "sharded"); got == 0 {
		t.Error("the old shard does not serve before the traffic is switched")
	}
	if err := r.Switch(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.Complete(ctx); err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, shard := range []string{"-80", "80-c0", "c0-"} {
		n := count(t, s.plain(t, "customer/"+shard), "sharded")
		if n == 0 {
			t.Errorf("shard %s has no rows", shard)
		}
		got += n
	}
	if got != want {
		t.Errorf("after the split there are %d rows, want %d", got, want)
	}
	for _, name := range s.Processes() {
		if strings.Contains(name, "customer-80--0") {
			t.Errorf("the old shard still has the process %s", name)
		}
	}
	if exists(s.data("mysqld-customer-80--0")) {
		t.Error("the old shard's data still exist")
	}
}

// testKillAndStart kills each process and starts it again.
func testKillAndStart(t *testing.T, s *Sandbox) {
	ctx := testContext(t, 5*time.Minute)
	for _, name := range s.Processes() {
		before, _ := s.running(name)
		if err := s.Kill(ctx, name); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.running(name); ok {
			t.Errorf("%s runs after its kill", name)
		}
		if name == "vtgate" {
			if err := s.plain(t, "commerce").PingContext(ctx); err == nil {
				t.Error("vtgate answers after its kill")
			}
		}
		if err := s.Start(ctx, name); err != nil {
			t.Fatal(err)
		}
		if after, ok := s.running(name); !ok || after == before {
			t.Errorf("%s did not start again", name)
		}
	}
	if err := s.awaitShards(ctx); err != nil {
		t.Error(err)
	}
	if got := count(t, s.plain(t, "commerce"), "whole"); got != 1 {
		t.Errorf("after all kills the table has %d rows, want 1", got)
	}
	if err := s.Kill(ctx, "mysqld"); err == nil {
		t.Error("a process that does not exist was killed without an error")
	}
}

func testHeal(t *testing.T, s *Sandbox) {
	ctx := testContext(t, 5*time.Minute)
	before, _ := s.running("etcd")
	for _, name := range []string{"mysqld-customer--80-0", "edge"} {
		if err := s.Kill(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Up(ctx, s.Dir, Default(), testWriter{t}); err != nil {
		t.Fatal(err)
	}
	if !s.allRunning() {
		t.Error("not everything runs after another Up")
	}
	if after, _ := s.running("etcd"); after != before {
		t.Error("a running process was started again")
	}
}

func testDownAndUp(t *testing.T, s *Sandbox) {
	ctx := testContext(t, 5*time.Minute)
	if err := s.Down(ctx); err != nil {
		t.Fatal(err)
	}
	if left := processesIn(t, s.Dir); left != nil {
		t.Errorf("after Down these run:\n%s", strings.Join(left, "\n"))
	}
	if _, err := Up(ctx, s.Dir, Default(), testWriter{t}); err != nil {
		t.Fatal(err)
	}
	opened, err := Open(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := count(t, opened.plain(t, "commerce"), "whole"); got != 1 {
		t.Errorf("after Down and Up the table has %d rows, want 1", got)
	}
	if len(processesIn(t, s.Dir)) == 0 {
		t.Error("no process was found while the cluster runs, so the check after Down proves nothing")
	}
	if err := s.Purge(ctx); err != nil {
		t.Fatal(err)
	}
	if left := processesIn(t, s.Dir); left != nil || exists(s.Dir) {
		t.Errorf("after Purge the folder exists: %v, and these run:\n%s", exists(s.Dir), strings.Join(left, "\n"))
	}
}

// processesIn lists the command lines of all processes that name the folder
// or work in it.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		line, _ := os.ReadFile(file)
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(file), "cwd"))
		if bytes.Contains(line, []byte(dir)) || strings.HasPrefix(cwd, dir) {
			found = append(found, string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
		}
	}
	return found
}
