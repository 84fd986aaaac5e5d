package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// MySQLSocket is the Unix socket of the mysqld of the shard's first tablet; Vitess's user vt_dba needs no password there.
// The shard's tables are in the database vt_ and the keyspace's name.
func (s *Sandbox) MySQLSocket(keyspace, shard string) string {
	return filepath.Join(s.data(tablet{Keyspace: keyspace, Shard: shard}.mysqld()), "data", "mysql.sock")
}

// Session opens a tablet's own mysqld, bypassing Vitess, in its shard's database: with all privileges, although a replica accepts writes
// from nobody (see Errant). The name is one of Primary's or Replicas'. The caller closes it.
func (s *Sandbox) Session(name string) (*sql.DB, error) {
	t, err := s.tablet(name)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(s.dsn(t))
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// dsn is the login for a tablet's own mysqld.
func (s *Sandbox) dsn(t tablet) *mysql.Config {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.DBName = "tcp", s.ports.addr(t.mysqld()), "root", "vt_"+t.Keyspace
	return config
}

// env names the variable with a tablet's dsn: customer--80-0 is
// SANDBOX_MYSQLD_CUSTOMER_X80_0, since a shell's names have no dashes.
func (t tablet) env() string {
	return strings.ToUpper(fmt.Sprintf("SANDBOX_MYSQLD_%s_%s_%d", t.Keyspace, strings.ReplaceAll(t.Shard, "-", "x"), t.Index))
}

func (s *Sandbox) tablet(name string) (tablet, error) {
	var names []string
	for _, t := range s.tablets {
		if t.id() == name {
			return t, nil
		}
		names = append(names, t.id())
	}
	return tablet{}, fmt.Errorf("the sandbox has no tablet %s; it has %s", name, strings.Join(names, ", "))
}

// HoldBack stops a replica from applying what it receives from its primary, so that it stays as it is now; Vitess still considers it a
// healthy replica. Release, or a start of its mysqld, lets it continue.
func (s *Sandbox) HoldBack(ctx context.Context, name string) error {
	return s.execute(ctx, name, "stop replica sql_thread")
}

// Release lets a replica continue that was held back. It is not an error if it was not.
func (s *Sandbox) Release(ctx context.Context, name string) error {
	return s.execute(ctx, name, "start replica sql_thread")
}

// Errant runs statements on a replica alone, in its shard's database: each is a
// transaction that no other tablet of the shard has. It takes no writes again
// afterwards. Vitess lets it serve until its vttablet is started again, which
// it refuses.
func (s *Sandbox) Errant(ctx context.Context, name string, statements ...string) error {
	writable := []string{"set global read_only = off"} // and super_read_only with it
	err := s.execute(ctx, name, append(writable, statements...)...)
	return errors.Join(err, s.execute(context.WithoutCancel(ctx), name, "set global super_read_only = on"))
}

// execute runs statements in one session on a replica's own mysqld.
func (s *Sandbox) execute(ctx context.Context, name string, statements ...string) (err error) {
	if err := s.mustBeReplica(ctx, name); err != nil {
		return err
	}
	db, err := s.Session(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("opening the mysqld of %s: %w", name, err)
	}
	for _, statement := range statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return errors.Join(fmt.Errorf("%s on %s: %w", statement, name, err), conn.Close())
		}
	}
	return conn.Close()
}

func (s *Sandbox) mustBeReplica(ctx context.Context, name string) error {
	t, err := s.tablet(name)
	if err != nil {
		return err
	}
	primary, err := s.Primary(ctx, t.Keyspace, t.Shard)
	if err == nil && primary == name {
		err = fmt.Errorf("%s is its shard's primary: name a replica", name)
	}
	return err
}
