package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary start itself as another process, as the measurements do.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "drain" || os.Args[1] == "replay") {
		main()
		return
	}
	os.Exit(m.Run())
}

// smallBench measures tiny workloads on the sandbox.
func smallBench(t *testing.T) *bench {
	t.Helper()
	authority := os.Getenv("SANDBOX_CA")
	switch {
	case authority != "":
	case os.Getenv("CI") != "":
		t.Fatal("no sandbox: run the tests with `make test`, which starts one")
	default:
		t.Skip("no sandbox: run the tests with `make test`, which starts one")
	}
	t.Setenv("GORACE", "atexit_sleep_ms=0") // do not sleep when a drain ends
	b, err := newBench(t.Context(), filepath.Dir(authority), t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	b.say = t.Logf
	return b
}

const testScale = 50

func TestOnTheSandbox(t *testing.T) {
	b := smallBench(t)
	t.Run("rows", func(t *testing.T) { testRows(t, b) })
	t.Run("settings", func(t *testing.T) { testSettings(t, b) })
}

// Each contender must emit all rows, which the measurement checks: on the sandbox and on the replay, which sends
// parts of them several times.
func testRows(t *testing.T, b *bench) {
	t.Helper()
	r := &results{}
	if err := b.measureRows(t.Context(), workloads(testScale), "copy-narrow,copy-narrow-2,changes-wide", r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		name, source string
		contenders   []string
	}{
		{"copy-narrow", onSandbox, []string{byConnector, byPipe, byDrain, byMySQL}},
		{"copy-narrow", onReplay, []string{byConnector, byPipe, byDrain, byRaw}},
		{"copy-narrow-2", onSandbox, []string{byConnector, byPipe, byDrain, byMySQL}},
		{"changes-wide", onSandbox, []string{byConnector, byPipe, byDrain}},
		{"changes-wide", onReplay, []string{byConnector, byPipe, byDrain, byRaw}},
	} {
		c := r.find(want.name, want.source)
		if c == nil {
			t.Errorf("%s, %s: nothing was measured", want.name, want.source)
			continue
		}
		var names []string
		for _, f := range c.Figures {
			names = append(names, f.Name)
			if f.Rows == 0 || f.Bytes == 0 || f.Seconds <= 0 || f.CPU <= 0 || f.Peak < 1<<20 {
				t.Errorf("%s, %s: %+v", want.name, want.source, f)
			}
		}
		if !slices.Equal(names, want.contenders) {
			t.Errorf("%s, %s: %q were measured", want.name, want.source, names)
		}
		if c.Start <= 0 {
			t.Errorf("%s, %s: an unchanged sync took %v s", want.name, want.source, c.Start)
		}
	}
	if replayed := r.find("copy-narrow", onReplay); replayed.Figures[0].Rows <= 2*r.find("copy-narrow", onSandbox).Figures[0].Rows {
		t.Errorf("the replay sent %d rows", replayed.Figures[0].Rows)
	}
}

// The settings reach the connection: without compression it transfers more bytes, and with keyspaces in names the messages
// are larger.
func testSettings(t *testing.T, b *bench) {
	t.Helper()
	w := workloads(testScale)[0]
	if err := b.load(t.Context(), w.tables[0]); err != nil {
		t.Fatal(err)
	}
	far, done, err := distant(t.Context(), b.plain())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	receive := func(o options) *contender {
		t.Helper()
		o.Raw = true
		c, err := b.drainContender(
			byRaw,
			w.copied(),
			drainJob{Addr: far.grpc, Keyspace: w.keyspace(), Streams: w.streams(""), Concurrency: 1, Options: o},
		)
		if err == nil {
			err = c.try(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	usual := receive(options{})
	if plain := receive(options{Compressor: "none", Window: 1 << 20, ReadBuffer: 128 << 10}); plain.wire < 2*usual.wire ||
		plain.wire < plain.bytes {
		t.Errorf("%d bytes were received compressed, %d uncompressed, for messages of %d", usual.wire, plain.wire, plain.bytes)
	}
	if named := receive(options{KeyspaceInName: true}); named.bytes < usual.bytes+int64(w.copied()*len("commerce.")) {
		t.Errorf("messages of %d bytes without the keyspace, of %d with it", usual.bytes, named.bytes)
	}
}

func TestProxyDelaysBothWays(t *testing.T) {
	server, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		io.Copy(conn, conn)
		conn.Close()
	}()
	p, err := newProxy(t.Context(), server.Addr().String(), delay)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	began := time.Now()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := bytes.Repeat([]byte("there and back. "), 100_000)
	go func() {
		conn.Write(sent)
		conn.(*net.TCPConn).CloseWrite()
	}()
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 4*delay { // one round trip to connect, one for the data
		t.Errorf("the first byte came back after %s", took)
	}
	rest, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(append(first, rest...), sent) {
		t.Errorf("%d bytes came back of %d, error %v", len(rest)+1, len(sent), err)
	}
}

// someResults meet all goals except the one for the wide copy.
func someResults() *results {
	compare := func(name, source string, connector, drain float64) comparison {
		at := func(name string, rate float64) figure {
			return figure{Name: name, Rows: 1_000_000, Bytes: 4e8, sample: sample{Seconds: 1e6 / rate, CPU: 0.7, Peak: 50 << 20}}
		}
		return comparison{
			Name:    name,
			Title:   "the " + name,
			Source:  source,
			Figures: []figure{at(byConnector, connector), at(byPipe, connector), at(byDrain, drain)},
		}
	}
	r := &results{About: map[string]about{"rows": {Date: "2026-01-02", CPU: "a CPU", Cores: 2}, "concurrency": {Cores: 2}}}
	for _, name := range judged {
		r.put(compare(name, onSandbox, 500_000, 400_000))
		r.put(compare(name, onReplay, 2_000_000, 900_000))
	}
	r.put(compare("copy-wide", onSandbox, 300_000, 400_000))
	r.Small = &small{Spec: 0.01, Binary: 20e6, Unchanged: 0.1, Encode: 150}
	r.Far = &far{Near: reach{0.1, 0.1, 0.3}, Far: reach{0.3, 0.4, 0.7}}
	r.Tables = &tables{Count: 500, Seconds: 1}
	r.Discover = &tables{Count: 5000, Seconds: 3, Creating: 60}
	r.Took = 700
	r.Concurrency = []concurrent{{Place: "20 ms away", Start: 1, Figures: []figure{
		{Name: "1", Rows: 800_000, sample: sample{Seconds: 4, Machine: 6.4}}, {Name: "2", Rows: 800_000, sample: sample{Seconds: 3, Machine: 6}},
	}}}
	return r
}

func TestGoalsAreJudged(t *testing.T) {
	unmet := func(r *results) []string {
		var list []string
		for _, g := range r.goals() {
			if !g.met {
				list = append(list, g.what+": "+g.figure)
			}
		}
		return list
	}
	const slow = "the copy-wide, sandbox: rows/s, times drain's: 0.75"
	if got := unmet(someResults()); !slices.Equal(got, []string{slow}) {
		t.Errorf("goals not met: %q", got)
	}
	r := someResults()
	r.find("copy-narrow", onReplay).of(byConnector).CPU = 0.9
	r.find("changes-wide", onReplay).of(byPipe).Peak = 97 << 20
	r.Small = &small{Spec: 0.031, Binary: 26e6, Encode: 210, Allocs: 1}
	r.Tables.Seconds, r.Discover.Seconds, r.Took = 2.1, 11, 901
	r.Far = &far{Near: reach{0.1, 0.1, 0.3}, Far: reach{0.5, 0.7, 0.9}}
	if got := unmet(r); len(got) != 14 {
		t.Errorf("goals not met: %q", got)
	}
}

func TestResultsAreWritten(t *testing.T) {
	dir := t.TempDir()
	if err := someResults().save(dir); err != nil {
		t.Fatal(err)
	}
	r, err := loadResults(dir)
	if err != nil || len(r.Comparisons) != 2*len(judged) || r.Small.Encode != 150 {
		t.Fatalf("results read back: %+v, error %v", r, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, textFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| the copy-wide, sandbox: rows/s, times drain's | ≥ 1.0 | 0.75 | **no** |",
		`| connector \| cat | 2,000,000 | 2.22 | 800 | 0.50 | 0.70 | 1.00 | 50 |`,
		"| first record of a copy | 0.30 s, 0.70 s from 20 ms away: 10.0 round trips in a row |",
		"| `discover` of 5,000 tables (which took 60 s to make) | 3.00 s |",
		"| rows | 2026-01-02 |",
		"2 cores: one copy at a time keeps 1.6 of them busy, so that more can gain a factor of 1.25 at most",
		"| 2 | 266,667 | 1.33 | 1.50 | 2.00 |",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the text lacks %q", want)
		}
	}
	plot, err := os.ReadFile(filepath.Join(dir, plotFile))
	if err != nil {
		t.Fatal(err)
	}
	if bars := bytes.Count(plot, []byte("<rect ")); bars != 4*len(judged) {
		t.Errorf("the plot has %d bars", bars)
	}
	for d := xml.NewDecoder(bytes.NewReader(plot)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestMedian(t *testing.T) {
	got := median([]sample{{3, 1, 10, 4}, {1, 5, 30, 2}, {2, 3, 20, 3}})
	if got != (sample{2, 3, 30, 3}) {
		t.Errorf("the median is %+v", got)
	}
}

// CPU time used by this process is included in the machine's.
func TestMachinesCPUIsRead(t *testing.T) {
	own := func() float64 {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			t.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	}
	before, until := machineCPU(), own()+0.5
	for own() < until { //nolint:revive // the work
	}
	if took := machineCPU() - before; took < 0.4 {
		t.Errorf("the machine used %.2f s of CPU while this process used 0.5 s", took)
	}
}

func TestLinesAreCounted(t *testing.T) {
	var l lines
	text := `{"type":"LOG"}` + "\n" + strings.Repeat(`{"type":"RECORD","record":{}}`+"\n", 3) + `{"type":"STATE"}` + "\n"
	for part := range slices.Chunk([]byte(text), 7) {
		l.Write(part)
	}
	if l.records != 3 || l.bytes != int64(len(text)) || string(l.last) != `{"type":"STATE"}` {
		t.Errorf("%d records in %d bytes, the last other line is %s", l.records, l.bytes, l.last)
	}
}

func TestEncodersBenchmarkIsRead(t *testing.T) {
	line := func(nanoseconds float64, allocs int) string {
		return fmt.Sprintf("BenchmarkNarrow-2   \t 5935610\t       %.1f ns/op\t       0 B/op\t       %d allocs/op\n", nanoseconds, allocs)
	}
	nanoseconds, allocs, err := parseBenchmark([]byte("goos: linux\n" + line(400, 0) + line(201.7, 1) + line(180, 0) + "PASS\n"))
	if err != nil || nanoseconds != 201.7 || allocs != 1 {
		t.Errorf("%v ns, %d allocations, error %v", nanoseconds, allocs, err)
	}
	if _, _, err := parseBenchmark([]byte("PASS\n")); err == nil {
		t.Error("a benchmark that was not run has a result")
	}
}
