package engine

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/row"
	"source-planetscale/internal/table"
	"source-planetscale/internal/vstream"
)

// worst are the values that need the most memory, of the types that may be as long as a message. Values of 100 MiB are too long by their
// size alone; those of 20,000,000 characters fit, or have to be encoded to find out.
var worst = map[string]struct {
	columnType, charset  string
	field                querypb.Type
	front, middle, after string
	widest               int // bytes per character
}{
	"ASCII":              {columnType: "longtext", charset: "utf8mb4", field: querypb.Type_TEXT, middle: "x", widest: 1},
	"control characters": {columnType: "longtext", charset: "utf8mb4", field: querypb.Type_TEXT, middle: "\x01", widest: 1},
	"three bytes each":   {columnType: "longtext", charset: "utf8mb4", field: querypb.Type_TEXT, middle: "€", widest: 3},
	"latin1":             {columnType: "longtext", charset: "latin1", field: querypb.Type_TEXT, middle: "\xE4", widest: 1},
	"utf32":              {columnType: "longtext", charset: "utf32", field: querypb.Type_TEXT, middle: "\x00\x00\x20\xAC", widest: 4},
	"JSON of a text":     {columnType: "json", field: querypb.Type_JSON, front: `["`, middle: "\x01", after: `"]`, widest: 1},
	"JSON of numbers":    {columnType: "json", field: querypb.Type_JSON, front: `[`, middle: ".1,", after: `1]`, widest: 1},
	"JSON of lists":      {columnType: "json", field: querypb.Type_JSON, front: `[`, middle: "[],", after: `1]`, widest: 1},
	"bytes":              {columnType: "longblob", field: querypb.Type_BLOB, middle: "\x00", widest: 1},
	"a vector":           {columnType: "vector(16383)", field: querypb.Type_VECTOR, middle: "\xFF\xFF\x7F\x80", widest: 1},
	"noise":              {columnType: "longtext", charset: "utf8mb4", field: querypb.Type_TEXT, middle: noise(100_003), widest: 1},
	"noise in latin1":    {columnType: "longtext", charset: "latin1", field: querypb.Type_TEXT, middle: noise(100_003), widest: 1},
	"an unknown type":    {columnType: "a type of the future", field: querypb.Type_TEXT, middle: "\x01", widest: 1},
}

// noise is a text that compression does not make shorter.
func noise(length int) string {
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, length)
	for i := range text {
		text[i] = byte('a' + random.IntN(26))
	}
	return string(text)
}

// valuesOf returns the values of a row that fills a message: one, or as many as may fit into a record.
func valuesOf(name string, one bool) []string {
	kind, size := worst[name], vstream.MaxMessage-4096 // for the rest of the message
	count := 1
	if !one {
		count = size / (row.MaxLength * kind.widest)
		size = row.MaxLength*kind.widest - 16
	}
	value := kind.front + strings.Repeat(kind.middle, (size-len(kind.front)-len(kind.after))/len(kind.middle)) + kind.after
	return slices.Repeat([]string{value}, count)
}

// child is set in the process whose memory is measured: the port of the server, the kind of value and the number of streams.
const child = "ENGINE_MEMORY_TEST"

// allowed is the maximum memory, in MiB, by the number of rows read at a time, for rows with one value and with several. Several values
// need up to a tenth more on a busy machine, where garbage is collected later.
var allowed = map[bool]map[int]int{true: {1: 400, 4: 1024}, false: {1: 440, 4: 1024}}

// The memory of a process that reads the largest possible rows, as Linux counts it, is limited, for one row and for four at a time.
func TestMemoryOfTheLargestValues(t *testing.T) {
	if os.Getenv("TEST_ALL") == "" {
		t.Skip("slow: set TEST_ALL=1")
	}
	measuresMemory(t)
	for _, name := range slices.Sorted(maps.Keys(worst)) {
		for _, one := range []bool{true, false} {
			values := valuesOf(name, one)
			for streams, most := range allowed[one] {
				what := fmt.Sprintf("%s, %d of %d MiB, %d at a time", name, len(values), len(values[0])>>20, streams)
				t.Run(what, func(t *testing.T) {
					got, nulled := peakOf(t, name, values, streams)
					t.Logf("%s: %d MiB at most, %d values nulled", what, got, nulled)
					if got > most {
						t.Errorf("the process needed %d MiB, at most %d are allowed", got, most)
					}
				})
			}
		}
	}
}

// peakOf returns the peak memory, in MiB, of a process that copies this many tables at a time, each with one row of the values, and how
// many values became null.
func peakOf(t *testing.T, name string, values []string, streams int) (peak, nulled int) {
	t.Helper()
	fields := []*querypb.Field{idAndName[0]}
	for i := range values {
		fields = append(fields, fakevtgate.Field(fmt.Sprintf("v%d", i), worst[name].columnType, worst[name].field))
	}
	var opened atomic.Int64
	together := make(chan struct{})
	r := newRig(t, 20, func(q *request, send func(...*event), done <-chan struct{}) error {
		if opened.Add(1) == int64(streams) {
			close(together)
		}
		<-together
		copied := tablesIn(q)[0]
		s := fakevtgate.Script{Keyspace: "shop", Shard: q.Vgtid.ShardGtids[0].Shard}
		send(begin(0, 0), fakevtgate.Fields(0, copied, fields...), s.VGTID(20, nil))
		send(rowOf(0, copied, nil, append([]string{"1"}, values...)))
		send(s.VGTID(20, pk(copied, "1")), commit(0), begin(0, 0), s.VGTID(20, nil), commit(0), s.CopyCompleted())
		return hold(done)
	})
	of := fmt.Sprintf("%s=%d,%s,%d,%d", child, r.server.Port(), name, len(values), streams)
	answer := measure(t, "TestMemoryOfOneProcess", of)
	if _, err := fmt.Sscanf(answer, "%d kB, nulled: %d", &peak, &nulled); err != nil {
		t.Fatalf("%v: %.2000s", err, answer)
	}
	return peak >> 10, nulled
}

// TestMemoryOfOneProcess runs in that process.
func TestMemoryOfOneProcess(t *testing.T) {
	told := strings.Split(os.Getenv(child), ",")
	if len(told) != 4 {
		t.Skip("part of TestMemoryOfTheLargestValues")
	}
	port, name := told[0], told[1]
	columns, err := strconv.Atoi(told[2])
	if err != nil {
		t.Fatal(err)
	}
	streams, err := strconv.Atoi(told[3])
	if err != nil {
		t.Fatal(err)
	}
	r, lines := readerOf(t, port, "")
	if streams > 1 {
		r.newShards("-80", "80-")
	}
	for i := range (streams + 1) / 2 {
		tab := testTable(fmt.Sprintf("users%d", i))
		tab.Columns = tab.Columns[:1]
		for i := range columns {
			tab.Columns = append(tab.Columns,
				table.Column{Name: fmt.Sprintf("v%d", i), Type: worst[name].columnType, Nullable: true, Charset: worst[name].charset})
		}
		r.add(tab, airbyte.FullRefresh, nil)
	}
	if err := r.sync().Run(t.Context()); err != nil || lines.records != streams {
		t.Fatalf("%d records, %v", lines.records, err)
	}
	fmt.Printf("%s, nulled: %d\n", highWater(t), lines.nulled)
}

// measuresMemory skips a test that measures processes of this binary if the binary has the race detector.
func measuresMemory(t *testing.T) {
	t.Helper()
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector itself needs memory")
	}
}

// measure runs a test in a process of its own, with of in its environment, and returns the memory that it prints.
func measure(t *testing.T, test, of string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+test+"$")
	cmd.Env = append(os.Environ(), of)
	out, err := cmd.CombinedOutput()
	_, answer, found := strings.Cut(string(out), "VmHWM:")
	if err != nil || !found {
		t.Fatalf("%v: %.2000s", err, out)
	}
	return answer
}

// readerOf is what a measured process reads with, as the program does, from a server on this port.
func readerOf(t *testing.T, port, options string) (*rig, *lineCounter) {
	t.Helper()
	CollectGarbage()
	r := newRig(t, 20, nil)
	r.options = strings.Replace(r.options, fmt.Sprintf(`"grpc_port":%d`, r.server.Port()), `"grpc_port":`+port, 1)
	r.configure(options)
	var err error
	if r.client, err = vstream.New(r.cfg.VStream()); err != nil {
		t.Fatal(err)
	}
	lines := &lineCounter{}
	r.w = airbyte.NewWriter(lines)
	return r, lines
}

// highWater returns the line with the peak memory of this process.
func highWater(t *testing.T) []byte {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`VmHWM:\s+\d+ kB`).Find(status)
}

// lineCounter counts what is written to it, in complete lines.
type lineCounter struct{ records, nulled int }

func (l *lineCounter) Write(p []byte) (int, error) {
	l.records += bytes.Count(p, []byte(`{"type":"RECORD"`))
	l.nulled += bytes.Count(p, []byte(row.FieldSizeLimitation))
	return len(p), nil
}
