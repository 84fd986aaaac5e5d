package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// hold stops the SQL thread of a shard's first replica for some milliseconds. Nothing happens in keyspaces without replicas.
func (p *play) hold(ctx context.Context, milliseconds string) {
	replicas := p.replicas(ctx)
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

// release waits until the replica that was held back has caught up with the primary.
func (p *play) release(ctx context.Context) {
	if p.held == nil {
		return
	}
	<-p.held
	p.held = nil
	p.failed(p.awaitReplicas(ctx, p.shardsOf(p.keyspace)[0], p.replicas(ctx)))
}

func (p *play) replicas(ctx context.Context) []string {
	names, err := p.Replicas(ctx, p.keyspace, p.shardsOf(p.keyspace)[0])
	p.failed(err)
	return names
}

// writeErrant commits a transaction on the last replica that its primary does not have.
func (p *play) writeErrant(ctx context.Context) {
	replicas := p.replicas(ctx)
	if len(replicas) == 0 || p.errant != "" {
		return
	}
	db := p.server(p.keyspace, replicas[len(replicas)-1])
	defer db.Close()
	if err := db.QueryRowContext(ctx, "select concat(uuid(), ':1')").Scan(&p.errant); err != nil {
		p.failed(err)
		return
	}
	p.failed(inject(ctx, db, p.errant))
}

// awaitReplicas waits until the replicas have caught up with the primary.
func (p *play) awaitReplicas(ctx context.Context, shard string, replicas []string) error {
	primary, err := p.direct(ctx, p.keyspace, shard)
	if err != nil {
		return err
	}
	defer primary.Close()
	var executed string
	if err := primary.QueryRowContext(ctx, "select @@global.gtid_executed").Scan(&executed); err != nil {
		return err
	}
	for _, name := range replicas {
		db := p.server(p.keyspace, name)
		_, err := db.ExecContext(ctx, fmt.Sprintf("select wait_for_executed_gtid_set('%s', 20)", strings.ReplaceAll(executed, "\n", "")))
		db.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// mendErrant commits the errant GTID of a replica on the primary, so that the next history starts with a healthy cluster.
func (p *play) mendErrant(ctx context.Context) {
	if p.errant == "" {
		return
	}
	db, err := p.direct(ctx, p.keyspace, p.shardsOf(p.keyspace)[0])
	if err != nil {
		p.failed(err)
		return
	}
	defer db.Close()
	p.failed(inject(ctx, db, p.errant))
	p.errant = ""
}

// inject commits an empty transaction with this GTID, on a server that may be read-only.
func inject(ctx context.Context, db *sql.DB, gtid string) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var readOnly bool
	if err := c.QueryRowContext(ctx, "select @@global.super_read_only").Scan(&readOnly); err != nil {
		return err
	}
	statements := []string{"set gtid_next = '" + gtid + "'", "begin", "commit", "set gtid_next = automatic"}
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
