package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"source-planetscale/internal/torture"
)

const statementLimit = time.Minute

// create creates a table and waits until vtgate knows it.
func (p *play) create(ctx context.Context, name string, s torture.Step) {
	db := p.gate(p.keyspace)
	p.homes[name] = p.keyspace
	for _, statement := range s.SQL {
		_, err := db.ExecContext(ctx, p.named(statement))
		p.failed(err)
	}
	if s.Has("reference") {
		p.refer(ctx, name)
	}
	if _, ok := p.choices[name]; !ok {
		p.choices[name] = torture.Choice{}
	}
	p.awaitGate(ctx, name)
}

// awaitGate waits until vtgate knows the table's columns.
func (p *play) awaitGate(ctx context.Context, name string) {
	columns, err := p.columns(ctx, p.keyspace, name)
	if err != nil {
		return // it no longer exists
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = torture.Quote(c.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	p.await(ctx, func() error {
		_, err := p.gate(p.keyspace).ExecContext(ctx, "select "+strings.Join(names, ", ")+" from "+name+" limit 0")
		return err
	})
}

// await calls ask repeatedly until there is no error. When the context ends, the last error fails the play.
func (p *play) await(ctx context.Context, ask func() error) {
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			p.failed(err)
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// exec runs statements through vtgate, several of them as one transaction. Those about reference
// tables run after the others, in each shard.
func (p *play) exec(ctx context.Context, statements []string) {
	mirrored, others := p.split(statements)
	p.execIn(ctx, p.keyspace, others)
	for _, shard := range p.shardsOf(p.keyspace) {
		p.execIn(ctx, p.keyspace+"/"+shard, mirrored)
	}
}

// execIn runs statements in one of vtgate's sessions for a keyspace, or a shard of it.
func (p *play) execIn(ctx context.Context, target string, statements []string) {
	if len(statements) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	c, err := p.gate(p.keyspace).Conn(ctx)
	if err != nil {
		p.failed(err)
		return
	}
	defer c.Close()
	if len(statements) > 1 {
		statements = slices.Concat([]string{"begin"}, statements, []string{"commit"})
	}
	if target != p.keyspace {
		statements = slices.Concat([]string{"use `" + target + "`"}, statements, []string{"use `" + p.keyspace + "`"})
	}
	for _, statement := range statements {
		_, err := c.ExecContext(ctx, p.named(statement))
		p.failed(err)
	}
}

// inShard runs statements in one session of a shard's own mysqld.
func (p *play) inShard(ctx context.Context, shard string, statements []string) {
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	db, err := p.direct(ctx, p.keyspace, shard)
	if err != nil {
		p.failed(err)
		return
	}
	defer db.Close()
	c, err := db.Conn(ctx)
	if err != nil {
		p.failed(err)
		return
	}
	defer c.Close()
	for _, statement := range statements {
		_, err := c.ExecContext(ctx, p.named(statement))
		p.failed(err)
	}
}

// fill inserts many rows, 500 at a time: the statement is "insert … values (…)", with {n} for the row's number.
func (p *play) fill(ctx context.Context, s torture.Step) {
	from, _ := strconv.Atoi(s.Word(1))
	to, _ := strconv.Atoi(s.Word(2))
	head, row, _ := strings.Cut(p.named(s.SQL[0]), " values ")
	for ; from < to; from += 500 {
		var rows []string
		for n := from; n < min(from+500, to); n++ {
			rows = append(rows, strings.ReplaceAll(row, "{n}", strconv.Itoa(n)))
		}
		p.exec(ctx, []string{head + " values " + strings.Join(rows, ",")})
	}
}

// ddl alters a table, through vtgate or in one shard only, and records its rows before and after.
func (p *play) ddl(ctx context.Context, name string, s torture.Step) {
	p.restless, p.unseen = true, p.current != nil
	shards, in := p.shardsWith(name, nil), s.Option("in")
	if in != "" {
		shards = []string{in} // the others may have other columns
	}
	before, err := p.table(ctx, p.keyspace, name, shards)
	p.failed(err)
	if s.Has("may-fail") {
		p.mayFail[name] = true
	}
	p.changes[name] = s.SQL
	if in != "" {
		p.inShard(ctx, in, s.SQL)
	} else if s.Has("copied") {
		p.copied(ctx, name, s.SQL[0])
	} else {
		for _, statement := range s.SQL {
			_, err := p.gate(p.keyspace).ExecContext(ctx, p.named(statement))
			p.failed(err)
		}
	}
	after, err2 := p.table(ctx, p.keyspace, name, shards)
	stream := p.platform.Streams[name]
	if stream != nil {
		stream.Outdated, stream.Changed = true, true
	}
	known := err == nil && err2 == nil && stream != nil
	if known && p.current != nil && before.Moves(after, stream.Key) { // rows that were sent meanwhile may have the wrong keys
		p.mayFail[name] = true
	}
	if known && !s.Truncates() {
		p.altered[name] = p.altered[name].Note(stream, before, after, in == "")
	}
	p.awaitGate(ctx, name)
}

// copied alters a table as gh-ost does, in one shard after the other. MySQL may refuse it in some.
func (p *play) copied(ctx context.Context, name, statement string) {
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	table := p.named(name)
	change := strings.TrimPrefix(p.named(statement), "alter table "+table+" ")
	for _, shard := range p.shardsOf(p.keyspace) {
		db, err := p.direct(ctx, p.keyspace, shard)
		if err == nil {
			err = copyOver(ctx, db, table, "_"+table+"_gho", change)
			db.Close()
		}
		p.failed(err)
	}
}

// completeChange does what a person does whose change of a table succeeded in some shards only: the rows that are in its way are deleted.
func (p *play) completeChange(ctx context.Context, name string) {
	here := p.keyspace
	p.keyspace = p.homes[name]
	defer func() { p.keyspace = here }()
	p.restless = true
	if s := p.platform.Streams[name]; s != nil {
		s.Changed = true
	}
	for _, shard := range p.shardsOf(p.keyspace) {
		p.inShard(ctx, shard, append([]string{"delete from " + name}, p.changes[name]...))
	}
	p.awaitGate(ctx, name)
}

// idle commits an empty transaction, as one does to inject a GTID manually.
func (p *play) idle(ctx context.Context, shard string) {
	db, err := p.direct(ctx, p.keyspace, shard)
	if err != nil {
		p.failed(err)
		return
	}
	defer db.Close()
	uuid, executed, err := quiet(ctx, db)
	if err != nil {
		p.failed(err)
		return
	}
	p.inShard(ctx, shard, []string{fmt.Sprintf("set gtid_next = '%s:%d'", uuid, lastOf(executed, uuid)+1), "begin", "commit", "set gtid_next = automatic"})
}

// quiet waits until a server has written nothing for a second (Vitess writes to its own tables after a change of the schema), and
// returns its UUID and gtid_executed.
func quiet(ctx context.Context, db *sql.DB) (uuid, executed string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for since := time.Now(); time.Since(since) < time.Second; {
		var now string
		if err := db.QueryRowContext(ctx, "select @@server_uuid, @@global.gtid_executed").Scan(&uuid, &now); err != nil {
			return "", "", err
		}
		if now != executed {
			executed, since = now, time.Now()
		}
		time.Sleep(50 * time.Millisecond) // between two queries
	}
	return uuid, executed, nil
}

// lastOf returns the last transaction number of a server in a GTID set.
func lastOf(set, uuid string) int {
	last := 0
	for part := range strings.SplitSeq(strings.ReplaceAll(set, "\n", ""), ",") {
		source, ranges, _ := strings.Cut(part, ":")
		if source != uuid {
			continue
		}
		for r := range strings.SplitSeq(ranges, ":") {
			_, to, ok := strings.Cut(r, "-")
			if !ok {
				to = r
			}
			if n, err := strconv.Atoi(to); err == nil {
				last = max(last, n)
			}
		}
	}
	return last
}

// executed returns what each shard's primary has executed, or nil.
func (p *play) executed(ctx context.Context) map[string]string {
	sets := map[string]string{}
	for _, keyspace := range []string{"commerce", tortureSharded} {
		for _, shard := range p.shardsOf(keyspace) {
			db, err := p.direct(ctx, keyspace, shard)
			if err != nil {
				p.failed(err)
				return nil
			}
			var set string
			err = db.QueryRowContext(ctx, "select @@global.gtid_executed").Scan(&set)
			db.Close()
			if err != nil {
				p.failed(err)
				return nil
			}
			sets[keyspace+"/"+shard] = set
		}
	}
	return sets
}

// excuse lets a keyspace's streams fail: from their newest states, or only from those that they had before the last judgement ended.
func (p *play) excuse(keyspace string, newest bool) {
	for _, name := range p.platform.Names() {
		switch {
		case p.homes[name] != keyspace:
		case newest:
			p.mayFail[name] = true
		default:
			p.lapsed[name] = true
			p.counts["streams without excuse"]++
		}
	}
}

// purge removes all of a shard's binary logs except the newest. Streams that have not read all of them may fail.
func (p *play) purge(ctx context.Context, shard string) {
	db, err := p.direct(ctx, p.keyspace, shard)
	if err != nil {
		p.failed(err)
		return
	}
	defer db.Close()
	p.purged = true
	executed := p.executed(ctx)
	p.excuse(p.keyspace, p.config["use_replica"] == true || executed == nil || executed[p.keyspace+"/"+shard] != p.read[p.keyspace+"/"+shard])
	rows, err := db.QueryContext(ctx, "show binary log status")
	if err != nil {
		p.failed(err)
		return
	}
	rows.Close()
	p.inShard(ctx, shard, []string{"flush binary logs"})
	var newest string
	if err := db.QueryRowContext(ctx, "select @@global.log_bin_basename").Scan(&newest); err != nil {
		p.failed(err)
		return
	}
	list, err := db.QueryContext(ctx, "show binary logs")
	if err != nil {
		p.failed(err)
		return
	}
	defer list.Close()
	var size, encrypted string
	for list.Next() {
		p.failed(list.Scan(&newest, &size, &encrypted))
	}
	p.inShard(ctx, shard, []string{"purge binary logs to '" + newest + "'"})
	if p.current != nil {
		p.current.purged = true
		p.current.extend(p.limit())
	}
}

// fault kills a process of the cluster and restarts it.
func (p *play) fault(ctx context.Context, process string) {
	p.shaken = true
	p.patient()
	p.failed(p.Kill(ctx, process))
	p.failed(p.Start(ctx, process))
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, shard := range p.shardsOf(p.keyspace) {
		p.awaitShard(ctx, p.keyspace, shard)
	}
}

// face returns how the connector reaches vtgate: directly (plain), or through the edge (hosted).
func (p *play) face() string {
	if p.config["face"] == "hosted" {
		return "hosted"
	}
	return "plain"
}

// halfOpen stops the bytes of the connections of these protocols without closing them: for this many milliseconds, or permanently.
func (p *play) halfOpen(protocols, milliseconds string) {
	if p.current == nil {
		return
	}
	p.patient()
	for protocol := range strings.SplitSeq(protocols, ",") {
		proxy := p.proxies[p.face()+" "+protocol]
		if milliseconds == "" {
			proxy.freeze()
			p.counts["half-open for good: "+protocol]++
			continue
		}
		n, err := strconv.Atoi(milliseconds)
		p.failed(err)
		connections, resume := proxy.hold()
		time.AfterFunc(time.Duration(n)*time.Millisecond, resume)
		p.counts["held connections: "+protocol] += connections
	}
}

// awaitShard waits until a shard answers through vtgate and the edge.
func (p *play) awaitShard(ctx context.Context, keyspace, shard string) {
	p.await(ctx, func() error {
		c, err := p.gate(keyspace).Conn(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.ExecContext(ctx, "use `"+keyspace+"/"+shard+"`")
		if err == nil {
			_, err = c.ExecContext(ctx, "select 1 from information_schema.tables limit 1")
		}
		_, _ = c.ExecContext(ctx, "use `"+keyspace+"`")
		return err
	})
}
