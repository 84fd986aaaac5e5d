package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hold stops the SQL thread of a shard's first replica for some milliseconds.
func (p *play) hold(ctx context.Context, shard, milliseconds string) {
	replicas := p.replicas(ctx, p.keyspace, shard)
	ms, err := strconv.Atoi(milliseconds)
	if len(replicas) == 0 || p.held != nil || err != nil {
		return
	}
	db := p.server(p.keyspace, replicas[0])
	if _, err := db.ExecContext(ctx, "stop replica sql_thread"); err != nil {
		p.failed(err)
	}
	held := make(chan struct{})
	p.held, p.lagged = held, true
	time.AfterFunc(time.Duration(ms)*time.Millisecond, func() {
		defer close(held)
		defer db.Close()
		_, _ = db.ExecContext(context.Background(), "start replica sql_thread")
	})
}

// release waits until the replica that was held back has caught up with its primary, and all others.
func (p *play) release(ctx context.Context) {
	if p.held == nil {
		return
	}
	<-p.held
	p.held = nil
	p.awaitReplicas(ctx)
}

func (p *play) replicas(ctx context.Context, keyspace, shard string) []string {
	tablets, err := p.tabletsOf(ctx, keyspace, shard)
	p.failed(err)
	return tablets.replicas
}

// errantStatements are those of a replica's own transactions: VStream sends a position for the first, not for the second.
var errantStatements = [][]string{{"analyze table mysql.user"}, {"begin", "commit"}}

// writeErrant commits transactions on a shard's last replica that its primary does not have.
func (p *play) writeErrant(ctx context.Context, shard string) {
	replicas := p.replicas(ctx, p.keyspace, shard)
	if len(replicas) == 0 || p.errant != nil {
		return
	}
	db := p.server(p.keyspace, replicas[len(replicas)-1])
	defer db.Close()
	var server string
	if err := db.QueryRowContext(ctx, "select uuid()").Scan(&server); err != nil {
		p.failed(err)
		return
	}
	p.errant = &errant{server, p.keyspace, shard}
	for i, statements := range errantStatements {
		p.failed(inject(ctx, db, p.errant.gtid(i), statements...))
	}
}

// awaitReplicas waits until the replicas of all shards have caught up with their primaries.
func (p *play) awaitReplicas(ctx context.Context) {
	for target, executed := range p.executed(ctx) {
		keyspace, shard, _ := strings.Cut(target, "/")
		for _, name := range p.replicas(ctx, keyspace, shard) {
			db := p.server(keyspace, name)
			_, err := db.ExecContext(ctx, fmt.Sprintf("select wait_for_executed_gtid_set('%s', 20)", strings.ReplaceAll(executed, "\n", "")))
			db.Close()
			p.failed(err)
		}
	}
}

// errant are the transactions of a server that only a replica of a shard has.
type errant struct{ server, keyspace, shard string }

func (e *errant) gtid(i int) string { return fmt.Sprintf("%s:%d", e.server, i+1) }

// mendErrant commits the errant GTIDs of a replica on the primary, so that the next history starts with a healthy cluster.
func (p *play) mendErrant(ctx context.Context) {
	if p.errant == nil {
		return
	}
	db, err := p.direct(ctx, p.errant.keyspace, p.errant.shard)
	if err != nil {
		p.failed(err)
		return
	}
	defer db.Close()
	for i := range errantStatements {
		p.failed(inject(ctx, db, p.errant.gtid(i), "begin", "commit"))
	}
	p.errant = nil
}

// inject commits a transaction of these statements with this GTID, on a server that may be read-only.
func inject(ctx context.Context, db *sql.DB, gtid string, statements ...string) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var readOnly bool
	if err := c.QueryRowContext(ctx, "select @@global.super_read_only").Scan(&readOnly); err != nil {
		return err
	}
	statements = slices.Concat([]string{"set gtid_next = '" + gtid + "'"}, statements, []string{"set gtid_next = automatic"})
	if readOnly {
		statements = append(append([]string{"set global super_read_only = 0"}, statements...), "set global super_read_only = 1")
	}
	for _, s := range statements {
		if _, err := c.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
