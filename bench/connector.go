package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// connector is the program as it is shipped, in a folder with the files that it is run with.
type connector struct {
	program, dir string
	catalogs     map[string]streamsByTable // what was discovered, by keyspace
}

// streamsByTable are the streams of a catalog, as JSON.
type streamsByTable map[string]json.RawMessage

// buildConnector builds the connector as it is shipped: only `make build` knows how.
func buildConnector(ctx context.Context, dir string) (*connector, error) {
	c := &connector{program: filepath.Join(dir, "source-planetscale"), dir: dir, catalogs: map[string]streamsByTable{}}
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("looking for the module's folder: %w", err)
	}
	cmd := exec.CommandContext(ctx, "make", "--silent", "--directory="+string(bytes.TrimSpace(module)), "build", "PROGRAM="+c.program)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the connector: %w: %s", err, bytes.TrimSpace(out))
	}
	return c, nil
}

// endpoint is where a VTGate listens, host:port.
type endpoint struct{ mysql, grpc string }

// config writes a configuration and returns its path.
func (c *connector) config(name string, at endpoint, keyspace string, more map[string]any) (string, error) {
	port := func(addr string) int {
		_, port, _ := net.SplitHostPort(addr)
		n, _ := strconv.Atoi(port)
		return n
	}
	config := map[string]any{
		"host": "127.0.0.1", "mysql_port": port(at.mysql), "grpc_port": port(at.grpc), "grpc_auth": "none",
		"database": keyspace, "username": "root", "password": "", "tls": map[string]any{"mode": "disabled"},
	}
	for key, value := range more {
		config[key] = value
	}
	return c.file(name+".config.json", config)
}

// startingAt is the option that makes a stream begin with the changes since a position.
func startingAt(keyspace string, positions map[string]string) (map[string]any, error) {
	text, err := json.Marshal(map[string]any{keyspace: positions})
	return map[string]any{"starting_gtids": string(text)}, err
}

func (c *connector) file(name string, value any) (string, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, name)
	return path, os.WriteFile(path, data, 0o600)
}

// catalog configures the tables as incremental streams and returns the path of the catalog.
func (c *connector) catalog(ctx context.Context, name, config, keyspace string, tables []string) (string, error) {
	known := c.catalogs[keyspace]
	for _, t := range tables {
		if known[t] != nil {
			continue
		}
		var err error
		if known, err = c.discover(ctx, config); err != nil {
			return "", err
		}
		c.catalogs[keyspace] = known
		break
	}
	var streams []map[string]any
	for _, t := range tables {
		if known[t] == nil {
			return "", fmt.Errorf("the connector did not discover table %s.%s", keyspace, t)
		}
		streams = append(streams, map[string]any{"stream": known[t], "sync_mode": "incremental", "destination_sync_mode": "append_dedup"})
	}
	return c.file(name+".catalog.json", map[string]any{"streams": streams})
}

// discover returns the keyspace's streams.
func (c *connector) discover(ctx context.Context, config string) (streamsByTable, error) {
	var out bytes.Buffer
	if _, err := run(ctx, &out, c.program, "discover", "--config", config); err != nil {
		return nil, fmt.Errorf("%w: %s", err, lastLine(out.Bytes()))
	}
	streams := streamsByTable{}
	for line := range bytes.Lines(out.Bytes()) {
		var message struct {
			Catalog struct {
				Streams []json.RawMessage `json:"streams"`
			} `json:"catalog"`
		}
		if err := json.Unmarshal(line, &message); err != nil {
			return nil, err
		}
		for _, raw := range message.Catalog.Streams {
			var s struct {
				Name string `json:"name"`
			}
			if err := json.Unmarshal(raw, &s); err != nil {
				return nil, err
			}
			streams[s.Name] = raw
		}
	}
	return streams, nil
}

// lines counts what a connector prints.
type lines struct {
	bytes, records int64
	rest           []byte // an unterminated line
	last           []byte // the last line that is not a record
}

var recordStart = []byte(`{"type":"RECORD"`)

// Write counts the lines that begin as records do.
func (l *lines) Write(p []byte) (int, error) {
	l.bytes += int64(len(p))
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			break
		}
		if bytes.HasPrefix(line, recordStart) {
			l.records++
		} else {
			l.last = bytes.Clone(line)
		}
		l.rest = rest
	}
	l.rest = bytes.Clone(l.rest)
	return len(p), nil
}

func lastLine(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndex(text, "\n")+1:]
}
