package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"source-planetscale/internal/destination"
	"source-planetscale/internal/torture"
)

// play is one history being played.
type play struct {
	*tortureRig
	prefix   string // prefix of its tables' names
	dir      string
	keyspace string            // keyspace of the next step
	database string            // the source's own keyspace
	homes    map[string]string // keyspaces of tables
	shards   []string          // the shards that are read, if not all
	mirrored map[string]bool   // reference tables: each shard has all their rows
	config   map[string]any
	platform *torture.Platform
	choices  map[string]torture.Choice // by table
	altered  map[string]*torture.Altered
	changes  map[string][]string // the last DDL of each table
	mayFail  map[string]bool     // streams that may fail until they are cleared
	lapsed   map[string]bool     // streams that may fail from states of the last run, but not from the newest
	read     map[string]string   // what each shard had executed before the run of the last judgement, which read all of it
	shaken   bool                // a fault happened since the last judgement: syncs may take longer, or fail with a transient error
	fresh    bool                // the next run starts a new job
	lagged   bool                // a replica was held back since the last comparison: rows may come again, syncs fail with a transient error
	purged   bool                // logs were purged since the last judgement
	restless bool                // the next run to be judged may read changes of tables' columns
	unseen   bool                // tables were altered during this run, which may stop before that: the next one reads it
	current  *connectorRun
	last     *destination.Output
	before   *torture.Platform // the platform as it was when the last run started
	errors   []destination.Error
	warned   []string // streams that must be refreshed according to the last run's log
	finding  *torture.Finding
	held     chan struct{} // closed when the replica that was held back resumes
	errant   *errant
	division
}

// play runs a history, and returns what the connector did wrong, and in which step.
func (r *tortureRig) play(ctx context.Context, h torture.History) (*torture.Finding, int) {
	r.plays++
	clear(r.tablets)
	p := &play{
		tortureRig: r, prefix: fmt.Sprintf("%s_%d_", r.run, r.plays), dir: filepath.Join(r.dir, strconv.Itoa(r.plays)), keyspace: "commerce",
		homes: map[string]string{}, mirrored: map[string]bool{}, platform: torture.NewPlatform(), fresh: true,
		choices: map[string]torture.Choice{}, altered: map[string]*torture.Altered{}, mayFail: map[string]bool{},
		changes: map[string][]string{},
	}
	defer p.cleanUp()
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return &torture.Finding{Kind: "the torture test itself failed", Text: err.Error()}, 0
	}
	for n, s := range h {
		r.counts[s.Verb]++
		if os.Getenv("TORTURE_TRACE") != "" {
			r.note("%s %d: %.300s", time.Now().Format("05.000"), n, s)
		}
		p.step(ctx, s)
		if slices.Contains(moving, s.Verb) {
			clear(p.tablets)
		}
		if p.finding != nil {
			return p.finding, n
		}
		if ctx.Err() != nil || p.spoilt {
			return nil, n
		}
	}
	p.finish()
	return p.finding, len(h)
}

// moving are the steps after which a shard may have other tablets, or another primary.
var moving = strings.Fields("fault reparent reshard switch complete")

func (p *play) cleanUp() {
	if p.current != nil {
		_ = p.current.kill()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	p.release(ctx)
	p.failed(p.clock.set("0"))
	p.mendErrant(ctx)
	for _, proxy := range p.proxies {
		proxy.forget()
	}
	for table, keyspace := range p.homes {
		db := p.gate(keyspace)
		for _, name := range []string{table, table + "_old", table + "_new"} { // including tables that replaced it
			_, _ = db.ExecContext(ctx, "drop table if exists "+name)
		}
		if keyspace == "customer" {
			_, _ = db.ExecContext(ctx, "alter vschema drop table "+table)
		}
	}
	p.reunite()
	if p.finding == nil {
		_ = os.RemoveAll(p.dir)
	}
}

// named inserts the run's prefix into names.
func (p *play) named(text string) string { return strings.ReplaceAll(text, torture.Prefix, p.prefix) }

func (p *play) step(ctx context.Context, s torture.Step) {
	name := p.named(s.Word(0))
	p.meet(s.Verb)
	switch s.Verb {
	case "keyspace":
		p.keyspace = s.Word(0)
		p.platform.Sharded = p.platform.Sharded || len(p.shardsOf(p.keyspace)) > 1
	case "source":
		p.config, p.database = options(s.Words), p.keyspace
		if shards, ok := p.config["shards"].(string); ok {
			p.shards = strings.Split(shards, ",")
		}
		p.discover(ctx)
	case "table":
		p.create(ctx, name, s)
	case "stream":
		p.choices[name] = choice(s)
	case "discover":
		p.discover(ctx)
	case "sql":
		p.exec(ctx, s.SQL)
		p.updates(s.SQL)
	case "direct":
		p.updates(s.SQL)
		p.inShard(ctx, s.Word(0), s.SQL)
		p.mark(s.Option("may-fail"))
	case "fill":
		p.fill(ctx, s)
	case "ddl":
		p.ddl(ctx, name, s)
	case "idle":
		p.idle(ctx, s.Word(0))
	case "purge":
		p.purge(ctx, s.Word(0))
	case "fault":
		p.fault(ctx, s.Word(0))
	case "reparent":
		p.shaken = true
		p.patient()
		p.failed(p.Reparent(ctx, p.keyspace, s.Word(0)))
	case "clock":
		p.failed(p.clock.set(s.Word(0)))
	case "half-open":
		p.halfOpen(s.Word(0), s.Word(1))
	case "reshard":
		p.reshard(ctx, s)
	case "switch":
		p.switchShards(ctx, s.Option("held"))
	case "complete":
		p.completeReshards(ctx)
	case "hold":
		p.hold(ctx, s.Word(0), s.Word(1))
	case "errant":
		p.writeErrant(ctx, s.Word(0))
	case "reload":
		_, err := vtctl(ctx, p.Sandbox, "ReloadSchemaKeyspace", "--include-primary", p.keyspace)
		p.failed(err)
	case "clear":
		p.finish()
		p.clear(name)
	case "bare":
		p.platform.BareStates, p.platform.BareCatalog = s.Has("states"), s.Has("catalog")
	default:
		p.readStep(ctx, s)
	}
}

// meets are the steps that are there to happen in the middle of syncs.
var meets = strings.Fields("sql direct fill ddl idle purge fault reparent clock half-open reshard switch complete hold reload kill term")

// meet gives a sync that is under way its time from here on, and counts whether it is.
func (p *play) meet(verb string) {
	if p.current == nil {
		return
	}
	p.current.extend(p.limit())
	switch {
	case !slices.Contains(meets, verb):
	case p.current.running():
		p.counts["steps in a sync"]++
	default:
		p.counts["steps after a sync's end"]++
	}
}

// limit is how long a sync may take from now on.
func (p *play) limit() time.Duration {
	switch {
	case p.purged && p.former != nil, p.current != nil && p.current.purged:
		return purgedBound
	case p.shaken:
		return p.bound + shakenBound
	}
	return p.bound
}

func (p *play) readStep(ctx context.Context, s torture.Step) {
	n, _ := strconv.Atoi(s.Word(0))
	switch s.Verb {
	case "start":
		p.start(ctx)
	case "sync":
		p.start(ctx)
		p.finish()
	case "judge":
		p.judge(ctx)
	case "replay":
		p.replay(ctx, n)
	}
	if p.current == nil {
		return
	}
	switch s.Verb {
	case "read":
		p.current.until(n, `"type":"RECORD"`)
	case "state":
		p.current.until(1, `"type":"STATE"`)
	case "pause":
		time.Sleep(time.Duration(n) * time.Millisecond) // a slow consumer
	case "kill":
		p.settle(p.current.kill())
	case "term":
		p.settle(p.current.terminate())
	case "finish":
		p.finish()
	}
}

// failed records that a step of the test itself did not work; the history is still valid without it.
func (p *play) failed(err error) {
	if err != nil {
		p.counts["error: "+strings.ReplaceAll(fmt.Sprintf("%.90s", err), p.prefix, torture.Prefix)]++
		if os.Getenv("TORTURE_TRACE") != "" {
			p.note("  %.300s", err)
		}
	}
}

// updates records which streams had rows updated.
func (p *play) updates(statements []string) {
	for _, statement := range statements {
		for name, s := range p.platform.Streams {
			s.Updated = s.Updated || strings.Contains(statement, "update") && strings.Contains(p.named(statement), name)
		}
	}
}

func options(words []string) map[string]any {
	config := map[string]any{}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		config[key] = v
	}
	return config
}

func choice(s torture.Step) torture.Choice {
	list := func(key string) []string {
		if v := s.Option(key); v != "" {
			return strings.Split(v, ",")
		}
		return nil
	}
	return torture.Choice{Mode: s.Option("mode"), Dest: s.Option("dest"), Without: list("without"), Key: list("key")}
}

func (p *play) mark(streams string) {
	for name := range strings.SplitSeq(p.named(streams), ",") {
		if name != "" {
			p.mayFail[name] = true
		}
	}
}

// write creates a file in the play's folder.
func (p *play) write(name string, data []byte) string {
	path := filepath.Join(p.dir, name)
	p.failed(os.WriteFile(path, data, 0o600))
	return path
}

// configFile returns the sandbox's configuration with the history's options.
func (p *play) configFile() string {
	like := p.ConfigPlain
	if p.face() == "hosted" {
		like = p.ConfigSharded
	}
	config := map[string]any{}
	data, err := os.ReadFile(like)
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	p.failed(err)
	config["database"], config["checkpoint_interval_seconds"] = p.database, 1
	config["mysql_port"], config["grpc_port"] = p.proxies[p.face()+" mysql"].port(), p.proxies[p.face()+" grpc"].port()
	maps.Copy(config, p.config)
	delete(config, "face")
	if data, err = json.Marshal(config); err != nil {
		p.failed(err)
	}
	return p.write("config.json", data)
}

// discover refreshes the schema.
func (p *play) discover(ctx context.Context) {
	p.finish()
	types := map[string][]torture.Column{}
	for name := range p.choices {
		if columns, err := p.columns(ctx, p.homes[name], name); err == nil {
			types[name] = columns
		}
	}
	must := p.everywhere(ctx, types)
	out, err := p.ask(ctx, "discover", "--config", p.configFile())
	if err != nil {
		p.report(torture.Silent, "discover failed: %v", err)
		return
	}
	if p.finding == nil {
		p.finding = torture.Lacks(out.Catalog, must, p.homes)
	}
	p.fresh = true // the platform does not refresh the schema between the attempts of a job
	if err := p.platform.Configure(out.Catalog, p.choices, must); err != nil {
		p.report(torture.Protocol, "%v", err)
	}
	for name, s := range p.platform.Streams {
		if len(must[name]) < len(types[name]) { // a replica that lags may have answered
			s.Changed, s.Outdated = true, true
		}
	}
}

// everywhere returns the tables that the source reads, each with the columns that all shards have, and all replicas if they are read.
func (p *play) everywhere(ctx context.Context, types map[string][]torture.Column) map[string][]torture.Column {
	option := fmt.Sprint(p.config["keyspaces"]) // ["NAME"] or ["*"]
	tables := map[string][]torture.Column{}
	for name, columns := range types {
		home := p.homes[name]
		if home != p.database && !strings.Contains(option, home) && !strings.Contains(option, "*") {
			continue
		}
		missing := false
		for _, tablet := range p.readable(ctx, home) {
			here, err := p.columnsIn(ctx, home, tablet, name)
			missing = missing || err != nil
			columns = slices.DeleteFunc(slices.Clone(columns), func(c torture.Column) bool { return !slices.Contains(here, c) })
		}
		if !missing {
			tables[name] = columns
		}
	}
	return tables
}

// readable are the tablets of a keyspace that may be read.
func (p *play) readable(ctx context.Context, keyspace string) []string {
	var list []string
	for _, shard := range p.shardsOf(keyspace) {
		tablets, err := p.tabletsOf(ctx, keyspace, shard)
		p.failed(err)
		list = append(list, tablets.primary)
		if p.config["use_replica"] == true {
			list = append(list, tablets.replicas...)
		}
	}
	return list
}

func (p *play) report(kind, format string, args ...any) {
	if p.finding == nil {
		p.finding = &torture.Finding{Kind: kind, Text: fmt.Sprintf(format, args...)}
	}
}

// ask runs a command of the connector and returns its output.
func (p *play) ask(ctx context.Context, args ...string) (*destination.Output, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	data, err := exec.CommandContext(ctx, p.program, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %.1000s", err, data)
	}
	return destination.Parse(bytes.NewReader(data))
}

// start starts a run.
func (p *play) start(ctx context.Context) {
	p.finish()
	if p.finding != nil || len(p.platform.Streams) == 0 {
		return
	}
	if p.fresh {
		p.platform.BeginJob()
		p.fresh = false
	}
	p.platform.BeginRun()
	p.lapsed = map[string]bool{}
	p.before = p.platform.Clone()
	args := []string{"read", "--config", p.configFile(), "--catalog", p.write("catalog.json", p.platform.Catalog())}
	if states := p.platform.States(); states != nil {
		args = append(args, "--state", p.write("state.json", states))
	}
	var err error
	if p.current, err = startConnector(ctx, p.program, p.limit(), args...); err != nil {
		p.report(torture.Silent, "%v", err)
		return
	}
	p.counts["syncs"]++
}

// finish reads the run to its end.
func (p *play) finish() {
	if p.current != nil {
		p.settle(p.current.end())
	}
}

// settle delivers a run's output and judges how it ended.
func (p *play) settle(end error) {
	run := p.current
	p.current = nil
	p.write("out.jsonl", run.out.Bytes())
	p.errors = nil
	out, err := destination.Parse(bytes.NewReader(run.out.Bytes()))
	switch {
	case err != nil:
		p.report(torture.Protocol, "%v", err)
	case run.late.Load():
		p.report(torture.Stuck, "%s", lastLines(out))
	case run.stderr.Len() > 0:
		p.report(torture.Stderr, "%.1000s", run.stderr.String())
	}
	if p.finding != nil {
		return
	}
	p.last = out
	p.counts["records"] += len(out.Records)
	p.counts["states"] += len(out.States)
	steady := !p.restless && !p.shaken && !p.lagged
	p.restless, p.unseen = p.unseen, false
	if p.finding = p.platform.Obeys(run.out.Bytes()); p.finding != nil {
		return
	}
	if p.finding = p.platform.Deliver(out, steady); p.finding != nil {
		return
	}
	if p.finding = torture.Leaks(out, p.platform); p.finding != nil {
		return
	}
	for _, s := range p.platform.Streams {
		s.End(s.Status == "COMPLETE" && !run.killed, p.config["use_replica"] == true)
	}
	may := func(stream string) bool { return p.mayFail[stream] }
	if run.killed {
		p.finding = torture.Stopped(out, may)
	} else {
		p.errors, p.finding = torture.Verdict(out, end, p.platform, may, p.shaken || p.lagged)
		p.fresh = end == nil
	}
	if p.finding == nil {
		p.warned, p.finding = torture.Warned(out, p.platform, may)
		p.clear(p.warned...)
	}
}

// clear does what a user does to clear or refresh streams. Airbyte then starts a new job.
func (p *play) clear(names ...string) {
	for _, name := range names {
		if s := p.platform.Streams[name]; s != nil {
			p.counts["clears"]++
			p.fresh = true
			s.Clear()
			if p.held == nil { // otherwise the table may be copied as it was before the change
				delete(p.altered, name)
			}
		}
	}
}

// lastLines returns the last lines of a log.
func lastLines(out *destination.Output) string {
	var lines []string
	for _, l := range out.Logs[max(0, len(out.Logs)-6):] {
		lines = append(lines, l.Message)
	}
	return strings.Join(lines, " / ")
}

// shakenBound is how much longer a sync may take if a fault happened during it.
const shakenBound = 3 * time.Minute

// purgedBound is how long a sync may take that needs changes whose logs were purged, of former shards or while it runs: vtgate then looks
// for another tablet for 90 s, again and again, and the connector asks for 5 minutes.
const purgedBound = 8 * time.Minute

// rounds is how often the test follows the instructions of failures.
const rounds = 5

// judge syncs until all streams succeed, following the instructions of each failure, and then compares.
func (p *play) judge(ctx context.Context) {
	p.finish()
	p.clearTorn()
	p.release(ctx)
	if p.config["use_replica"] == true {
		p.awaitReplicas(ctx)
	}
	whole := false
	for range rounds {
		whole = whole || p.fresh
		if p.finding != nil || len(p.platform.Streams) == 0 {
			return
		}
		executed := p.executed(ctx)
		p.start(ctx)
		p.finish()
		if p.finding != nil {
			return
		}
		if len(p.warned) > 0 && len(p.errors) == 0 {
			continue // the streams with warnings are read again
		}
		if len(p.errors) == 0 && !whole && p.refreshes() {
			whole = true // an interrupted full refresh combines two snapshots
			continue
		}
		if len(p.errors) == 0 {
			p.compare(ctx, p.platform, torture.Differs)
			p.platform.Quiet(p.config["use_replica"] == true)
			p.mayFail, p.shaken, p.lagged, p.purged = map[string]bool{}, false, false, false
			p.unread, p.read = false, executed
			return
		}
		p.follow(ctx)
	}
	p.report(torture.RemedyFails, "after %d rounds: %v, %q", rounds, p.errors, p.warned)
}

// refreshes reports whether a stream is read in full each time.
func (p *play) refreshes() bool {
	for _, s := range p.platform.Streams {
		if s.Mode == "full_refresh" {
			return true
		}
	}
	return false
}

// follow follows the instructions of the failures.
func (p *play) follow(ctx context.Context) {
	refresh := false
	for _, e := range p.errors {
		says := strings.ToLower(e.Message)
		cleared := strings.Contains(says, "clear")
		refreshed := strings.Contains(says, "refresh")
		if e.FailureType == "config_error" && !cleared && !refreshed {
			p.report(torture.NoRemedy, "%s", e.Message)
		}
		switch {
		case strings.Contains(says, "when the change is done") && e.Stream != nil:
			p.completeChange(ctx, e.Stream.Name)
		case cleared && e.Stream != nil:
			p.clear(e.Stream.Name)
		case cleared:
			p.clear(p.platform.Names()...)
		}
		refresh = refresh || refreshed
		p.counts["remedies"]++
	}
	if refresh && p.finding == nil {
		p.discover(ctx)
	}
}

func (p *play) compare(ctx context.Context, platform *torture.Platform, kind string) {
	for _, name := range platform.Names() {
		t, err := p.table(ctx, p.homes[name], name, p.shardsWith(name, p.shards))
		if err != nil {
			p.failed(err)
			if !strings.Contains(err.Error(), "there is no table") {
				continue
			}
			t = &torture.Table{}
		}
		p.counts["rows compared"] += len(t.Rows)
		if f := platform.Streams[name].Compare(t, p.altered[name]); f != nil && p.finding == nil {
			f.Kind = kind
			p.finding = f
		}
	}
}

// replay continues from one of the last run's states, with a destination that has what was received before it.
func (p *play) replay(ctx context.Context, n int) {
	p.finish()
	if p.finding != nil || p.last == nil || p.before == nil || len(p.last.States) == 0 {
		return
	}
	n %= len(p.last.States)
	at := p.before.Clone()
	cut := *p.last
	cut.States = p.last.States[:n+1]
	cut.Records = p.last.Records[:cut.States[n].Before]
	if f := at.Deliver(&cut, false); f != nil {
		p.finding = f
		return
	}
	for name, s := range at.Streams { // records after a state are sent again
		s.End(false, false)
		if now := p.platform.Streams[name]; now != nil && now.Changed { // maybe since the run began
			s.Changed, s.Outdated = true, true
		}
	}
	q := *p
	q.platform, q.before, q.last = at, nil, nil
	q.mayFail, q.altered, q.shaken, q.lagged = maps.Clone(p.mayFail), maps.Clone(p.altered), p.shaken, p.lagged
	maps.Copy(q.mayFail, p.lapsed)
	q.clear(p.warned...) // the run that wrote this state has warned about it
	q.judge(ctx)
	if p.finding = q.finding; p.finding != nil && p.finding.Kind == torture.Differs {
		p.finding.Kind = torture.StateReplays
	}
}

// sorted is for messages.
func sorted(m map[string]int) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%d %s", m[k], k))
	}
	return list
}
