package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// fault is something that happens to the source while the connector reads from it.
type fault struct {
	name   string
	inject func(f *rig) error
	slow   bool // needs TEST_ALL
}

var faults = []fault{
	{name: "vtgate killed", inject: func(f *rig) error { return f.restart("vtgate") }},
	{name: "edge killed", slow: true, inject: func(f *rig) error { return f.restart("edge") }},
	{name: "mysqld killed", slow: true, inject: func(f *rig) error { return f.restartOf("mysqld-") }},
	{name: "vttablet killed", slow: true, inject: func(f *rig) error { return f.restartOf("vttablet-") }},
	{name: "connection cut", inject: func(f *rig) error { f.proxy.cut(); return nil }},
	{name: "connection reset", slow: true, inject: func(f *rig) error { f.proxy.reset(); return nil }},
	{name: "connection half-open", slow: true, inject: func(f *rig) error { f.proxy.freeze(); return nil }},
	{name: "planned reparent", inject: func(f *rig) error { return f.Reparent(f.t.Context(), "customer", "-80") }},
	{name: "emergency reparent", slow: true, inject: (*rig).emergency},
}

// replicaFaults are those of a sync that reads from replicas.
var replicaFaults = []fault{
	{name: "mysqld killed", slow: true, inject: func(f *rig) error { return f.restartReplicaOf("mysqld-") }},
	{name: "vttablet killed", slow: true, inject: func(f *rig) error { return f.restartReplicaOf("vttablet-") }},
	{name: "planned reparent", slow: true, inject: func(f *rig) error { return f.Reparent(f.t.Context(), "customer", "-80") }},
	{name: "emergency reparent", slow: true, inject: (*rig).emergency},
}

// TestFaults lets things happen to the source in the middle of a copy and of a replication, while the table is written to.
// Each sync must end well by itself, and the destination equal to the source.
func TestFaults(t *testing.T) {
	f := newRig(t, "faults", 2)
	for _, one := range faults {
		t.Run(one.name, func(t *testing.T) { f.in(t, nil).survives(one) })
	}
	for _, one := range replicaFaults {
		t.Run("replica/"+one.name, func(t *testing.T) { f.in(t, map[string]any{"use_replica": true}).survives(one) })
	}
	t.Run("vtgate down at the start", func(t *testing.T) { f.in(t, nil).startsLate("vtgate") })
}

// startsLate begins a sync while a process is not there.
func (f *rig) startsLate(process string) {
	if err := f.Kill(f.t.Context(), process); err != nil {
		f.t.Fatal(err)
	}
	sync := f.start()
	sync.untilSaid("trying again in")
	if err := f.Start(f.t.Context(), process); err != nil {
		f.t.Fatal(err)
	}
	sync.toEnd()
	f.mustEqualTheSource()
}

func (f *rig) survives(one fault) {
	t := f.t
	if one.slow {
		long(t)
	}
	f.writer = newWriter(t, f.db, f.name)
	f.strike("the copy", one)
	f.burst()
	f.strike("the replication", one)
	f.writer.stop()
	f.awaitReplicas("-80", "80-")
	f.readToEnd()
	f.mustEqualTheSource()
}

// strike runs one sync with the fault in the middle.
func (f *rig) strike(phase string, one fault) {
	f.awaitReplicas("-80", "80-")
	logged := len(f.vtgateLog(0))
	began := time.Now()
	f.proxy.shut(faultGate)
	sync := f.start()
	sync.until(faultRecords)
	err := one.inject(f)
	f.proxy.open()
	if err != nil {
		f.t.Fatalf("in %s: %v", phase, err)
	}
	injected := time.Since(began)
	sync.toEnd()
	f.t.Logf("%s: injected after %.1f s, ended after %.1f s; warnings: %s", phase, injected.Seconds(), time.Since(began).Seconds(), f.logged("WARN"))
	if !f.struck(logged) {
		f.t.Errorf("in %s: the fault missed the stream, so that nothing is tested: %s", phase, f.logged("INFO", "WARN"))
	}
	f.writer.recovered(f.t)
}

// struck tells whether the last sync's streams were broken: the connector says so, or vtgate, which opens a tablet's stream
// again by itself, so that the connector sees nothing but heartbeats meanwhile.
func (f *rig) struck(logged int) bool {
	if strings.Contains(f.logged("WARN"), "broke (") {
		return true
	}
	for line := range strings.Lines(f.vtgateLog(logged)) {
		if strings.Contains(line, "No healthy serving tablet found for streaming, shard customer.-80") {
			return true
		}
		// A stream that its client ends shows as an error, too.
		if strings.Contains(line, "vstream for customer/-80 error, retrying") && !endedByClient.MatchString(line) {
			return true
		}
	}
	return false
}

var endedByClient = regexp.MustCompile(`(?i)cancell?ed|ended unexpectedly`)

// restart kills a process and starts it again.
func (f *rig) restart(processes ...string) error {
	for _, name := range processes {
		if err := f.Kill(f.t.Context(), name); err != nil {
			return err
		}
	}
	for _, name := range processes {
		if err := f.Start(f.t.Context(), name); err != nil {
			return err
		}
	}
	return nil
}

// restartOf does so with a process of the primary of one shard.
func (f *rig) restartOf(kind string) error {
	primary, err := f.Primary(f.t.Context(), "customer", "-80")
	if err != nil {
		return err
	}
	return f.restart(kind + primary)
}

func (f *rig) restartReplicaOf(kind string) error {
	replicas, err := f.Replicas(f.t.Context(), "customer", "-80")
	if err != nil {
		return err
	}
	return f.restart(kind + replicas[0])
}

// emergency kills a primary for good, promotes its replica, and lets the old primary come back as a replica. Nobody writes
// meanwhile, since without semi-synchronous replication that would be lost at the source, after the connector read it.
func (f *rig) emergency() error {
	f.writer.quiet.Lock()
	defer f.writer.quiet.Unlock()
	f.awaitReplicas("-80", "80-")
	primary, err := f.Primary(f.t.Context(), "customer", "-80")
	if err != nil {
		return err
	}
	for _, name := range []string{"mysqld-" + primary, "vttablet-" + primary} {
		if err := f.Kill(f.t.Context(), name); err != nil {
			return err
		}
	}
	if err := f.EmergencyReparent(f.t.Context(), "customer", "-80"); err != nil {
		return err
	}
	return f.restart("mysqld-"+primary, "vttablet-"+primary)
}
