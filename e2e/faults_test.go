package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	// faultNote is the size of a row in bytes; faultGate is how many bytes the connector receives before the fault, so that most
	// rows are still in the source then. It emits at least faultRecords of them: a change has two images, and each shard's
	// reader buffers up to 1 MiB of records.
	faultNote    = 3_000
	faultGate    = 5 << 20
	faultRecords = 300
	// faultLimit is how long a sync with a fault may take; the longest wait in it is vstream.Silence.
	faultLimit = 4 * time.Minute
)

// faultRows is more rows than the connections between connector and edge can buffer: 9 MB in each of two shards, of which half of
// faultGate is let through, and gRPC's window of 4 MB may be in transit. To exceed the buffers up to MySQL as well, there must be
// twice as many, which is slow.
func faultRows() int {
	if testAll() {
		return 12_000
	}
	return 6_000
}

// newFaultPipeline returns a pipeline with a filled table, and a proxy in front of the edge.
func newFaultPipeline(t *testing.T, c cluster, table string) *pipeline {
	t.Helper()
	p := newPipeline(t, c, c.ConfigSharded, table).throughProxy()
	p.insert(0, faultRows(), noise(faultNote))
	return p
}

// writePatiently changes rows, and ignores the server's errors.
func (p *pipeline) writePatiently() {
	p.t.Helper()
	p.write(writes{rows: faultRows(), pace: 10 * time.Millisecond, patient: true})
}

// burst changes every row, in transactions that an incremental sync must replicate.
func (p *pipeline) burst() {
	p.t.Helper()
	for from := 0; from < faultRows(); from += 200 {
		p.exec(fmt.Sprintf("update %s set v = v + 1 where id >= %d and id < %d", p.table, from, from+200))
	}
}

// fault is something that happens to the source while the connector reads from it.
type fault struct {
	name   string
	inject func(p *pipeline) error
	slow   bool // only runs with TEST_ALL
}

var faults = []fault{
	{name: "vtgate killed", inject: func(p *pipeline) error { return p.restart(p.t, "vtgate") }},
	{name: "edge killed", slow: true, inject: func(p *pipeline) error { return p.restart(p.t, "edge") }},
	{name: "mysqld killed", slow: true, inject: func(p *pipeline) error { return p.restartOf("mysqld-") }},
	{name: "vttablet killed", slow: true, inject: func(p *pipeline) error { return p.restartOf("vttablet-") }},
	{name: "connection cut", inject: func(p *pipeline) error { p.proxy.cut(); return nil }},
	{name: "connection reset", slow: true, inject: func(p *pipeline) error { p.proxy.reset(); return nil }},
	{name: "connection half-open", slow: true, inject: func(p *pipeline) error { p.proxy.freeze(); return nil }},
	{name: "planned reparent", inject: func(p *pipeline) error { return p.Reparent(p.t.Context(), "customer", "-80") }},
	{name: "emergency reparent", slow: true, inject: (*pipeline).emergency},
}

// replicaFaults are the faults for a sync that reads from replicas.
var replicaFaults = []fault{
	{name: "mysqld killed", slow: true, inject: func(p *pipeline) error { return p.restartReplicaOf("mysqld-") }},
	{name: "vttablet killed", slow: true, inject: func(p *pipeline) error { return p.restartReplicaOf("vttablet-") }},
	{name: "planned reparent", slow: true, inject: func(p *pipeline) error { return p.Reparent(p.t.Context(), "customer", "-80") }},
	{name: "emergency reparent", slow: true, inject: (*pipeline).emergency},
}

// TestFaults causes faults in the source in the middle of a copy and of a replication, while the table is written to.
// Each sync must succeed by itself, and the destination must equal the source.
func TestFaults(t *testing.T) {
	p := newFaultPipeline(t, own(t, customer(2)), "faults")
	for _, one := range faults {
		t.Run(one.name, func(t *testing.T) { p.in(t, nil).survives(one) })
	}
	for _, one := range replicaFaults {
		t.Run("replica/"+one.name, func(t *testing.T) { p.in(t, map[string]any{"use_replica": true}).survives(one) })
	}
	t.Run("vtgate down at the start", func(t *testing.T) { p.in(t, nil).startsLate("vtgate") })
}

// startsLate starts a sync while a process is down.
func (p *pipeline) startsLate(process string) {
	if err := p.Kill(p.t.Context(), process); err != nil {
		p.t.Fatal(err)
	}
	sync := p.start()
	sync.untilSaid("trying again in")
	if err := p.Start(p.t.Context(), process); err != nil {
		p.t.Fatal(err)
	}
	sync.toEnd()
	p.mustEqualTheSource()
}

func (p *pipeline) survives(one fault) {
	t := p.t
	if one.slow {
		long(t)
	}
	p.writePatiently()
	p.runWithFault("the copy", one)
	p.burst()
	p.runWithFault("the replication", one)
	p.writer.stop()
	p.awaitReplicas(p.t, "-80", "80-")
	p.readToEnd()
	p.mustEqualTheSource()
}

// runWithFault runs one sync and causes the fault in the middle.
func (p *pipeline) runWithFault(phase string, one fault) {
	p.awaitReplicas(p.t, "-80", "80-")
	logged := len(p.vtgateLog(p.t, 0))
	began := time.Now()
	p.proxy.shut(faultGate)
	sync := p.start()
	sync.late.Reset(faultLimit)
	sync.until(faultRecords)
	err := one.inject(p)
	p.proxy.open()
	if err != nil {
		p.t.Fatalf("in %s: %v", phase, err)
	}
	injected := time.Since(began).Seconds()
	sync.toEnd()
	ended := time.Since(began).Seconds()
	p.t.Logf("%s: injected after %.1f s, ended after %.1f s; warnings: %s", phase, injected, ended, p.logged("WARN"))
	if !p.streamsBroken(logged) {
		p.t.Errorf("in %s: the fault missed the stream, so that nothing is tested: %s", phase, p.logged("INFO", "WARN"))
	}
	p.writer.recovered(p.t)
}

// streamsBroken reports whether the last sync's streams were broken, according to the log of the connector, or of vtgate, which reopens a
// tablet's stream by itself, so that the connector receives nothing but heartbeats during that time.
func (p *pipeline) streamsBroken(logged int) bool {
	if strings.Contains(p.logged("WARN"), "trying again in") {
		return true
	}
	for line := range strings.Lines(p.vtgateLog(p.t, logged)) {
		if strings.Contains(line, "No healthy serving tablet found for streaming, shard customer.-80") {
			return true
		}
		// A stream that its client ends is logged as an error, too.
		if strings.Contains(line, "vstream for customer/-80 error, retrying") && !endedByClient.MatchString(line) {
			return true
		}
	}
	return false
}

var endedByClient = regexp.MustCompile(`(?i)cancell?ed|ended unexpectedly`)

// restartOf kills and restarts a process of the primary of one shard.
func (p *pipeline) restartOf(kind string) error {
	primary, err := p.Primary(p.t.Context(), "customer", "-80")
	if err != nil {
		return err
	}
	return p.restart(p.t, kind+primary)
}

func (p *pipeline) restartReplicaOf(kind string) error {
	replicas, err := p.Replicas(p.t.Context(), "customer", "-80")
	if err != nil {
		return err
	}
	return p.restart(p.t, kind+replicas[0])
}

// emergency kills a primary, promotes its replica, and restarts the old primary as a replica. Nothing is written during
// that time, since without semi-synchronous replication the source would lose rows that the connector has already read.
func (p *pipeline) emergency() error {
	p.writer.quiet.Lock()
	defer p.writer.quiet.Unlock()
	p.awaitReplicas(p.t, "-80", "80-")
	primary, err := p.Primary(p.t.Context(), "customer", "-80")
	if err != nil {
		return err
	}
	for _, name := range []string{"mysqld-" + primary, "vttablet-" + primary} {
		if err := p.Kill(p.t.Context(), name); err != nil {
			return err
		}
	}
	if err := p.EmergencyReparent(p.t.Context(), "customer", "-80"); err != nil {
		return err
	}
	return p.restart(p.t, "mysqld-"+primary, "vttablet-"+primary)
}
