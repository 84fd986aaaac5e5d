package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/destination"
)

// stopLimit is three times what users rely on: the connector stops within 5 s.
const stopLimit = 15 * time.Second

// bigTable makes a table whose records do not fit into a pipe, and a catalog of it.
func bigTable(t *testing.T, name string) (catalog string) {
	t.Helper()
	script.RequireSandbox(t)
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName = "tcp", os.Getenv("SANDBOX_PLAIN_MYSQL"), "root", "commerce"
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	t.Cleanup(func() { _, _ = db.Exec("drop table " + name) })
	rows := strings.Repeat(",(repeat('x', 1000))", 999)
	for _, statement := range []string{
		"drop table if exists " + name,
		"create table " + name + " (id int auto_increment primary key, body varchar(1000))",
		"insert into " + name + " (body) values (repeat('x', 1000))" + rows,
		"insert into " + name + " (body) select body from " + name,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	schema := json.RawMessage(`{"properties":{"id":{},"body":{},"_ab_cdc_cursor":{}}}`)
	data, err := json.Marshal(map[string]any{"streams": []any{map[string]any{
		"stream": map[string]any{"name": name, "namespace": "commerce", "json_schema": schema}, "sync_mode": "incremental",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	catalog = filepath.Join(t.TempDir(), "catalog.json")
	if err := os.WriteFile(catalog, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return catalog
}

// startRead starts a read and returns when its first record is there; what was printed until then is returned, too.
func startRead(t *testing.T, catalog string) (cmd *exec.Cmd, stdout io.ReadCloser, begun []byte) {
	t.Helper()
	cmd = exec.Command("source-planetscale", "read", "--config", os.Getenv("SANDBOX_CONFIG_UNSHARDED"), "--catalog", catalog)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for !bytes.Contains(begun, []byte(`"type":"RECORD"`)) {
		n, err := stdout.Read(buf)
		if err != nil {
			t.Fatalf("no record came: %v: %s", err, begun)
		}
		begun = append(begun, buf[:n]...)
	}
	return cmd, stdout, begun
}

// ended waits for the end of the process and returns how it ended.
func ended(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	exited := make(chan string, 1)
	go func() {
		state, err := cmd.Process.Wait()
		exited <- fmt.Sprint(state, err)
	}()
	select {
	case how := <-exited:
		return how
	case <-time.After(stopLimit):
		_ = cmd.Process.Kill()
		t.Fatalf("the connector was still running after %s", stopLimit)
		return ""
	}
}

func TestTerminatedWhileNobodyReads(t *testing.T) {
	cmd, stdout, begun := startRead(t, bigTable(t, "stop_term"))
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if how := ended(t, cmd); how != "exit status 143 <nil>" {
		t.Errorf("ended with %s", how)
	}
	rest, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	out, err := destination.Parse(bytes.NewReader(append(begun, rest...)))
	if err != nil {
		t.Fatal(err)
	}
	if len(out.States) == 0 {
		t.Error("no state was printed before the first record")
	}
}

func TestStdoutClosed(t *testing.T) {
	cmd, stdout, _ := startRead(t, bigTable(t, "stop_pipe"))
	if err := stdout.Close(); err != nil {
		t.Fatal(err)
	}
	if how := ended(t, cmd); how != "exit status 1 <nil>" {
		t.Errorf("ended with %s", how)
	}
}

// A command that waits for a server writes nothing that would fail.
func TestStdoutClosedWhileNothingIsWritten(t *testing.T) {
	server, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	dir := t.TempDir()
	config, catalog := filepath.Join(dir, "config.json"), filepath.Join(dir, "catalog.json")
	text := fmt.Sprintf(`{"host":"127.0.0.1","database":"shop","username":"u","password":"p","mysql_port":%d}`, server.Addr().(*net.TCPAddr).Port)
	if err := errors.Join(os.WriteFile(config, []byte(text), 0o600), os.WriteFile(catalog, []byte(`{"streams":[{"stream":{"name":"users","json_schema":{}},"sync_mode":"incremental"}]}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("source-planetscale", "read", "--config", config, "--catalog", catalog)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := server.(*net.TCPListener).SetDeadline(time.Now().Add(stopLimit)); err != nil {
		t.Fatal(err)
	}
	silent, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := stdout.Close(); err != nil {
		t.Fatal(err)
	}
	if how := ended(t, cmd); how != "exit status 1 <nil>" {
		t.Errorf("ended with %s", how)
	}
}
