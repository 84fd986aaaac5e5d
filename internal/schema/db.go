package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"source-planetscale/internal/crash"
	"source-planetscale/internal/dial"
)

const (
	// loginTimeout bounds connecting, TLS and login together; the driver's handshake has no limit of its own.
	loginTimeout = 20 * time.Second
	// answerTimeout is how long the server may say nothing when it was asked: one that hangs shows no other sign, since its
	// kernel keeps the connection (dial notices when that is gone). All vindexes of a batch take vtgate 5 s.
	answerTimeout = 2 * time.Minute
	// maxConnections at a time for one keyspace: what is asked of a few shards goes out together.
	maxConnections = 16
	// maxConnectionsOfAll is how many there are for several keyspaces: one that does not answer is not to keep the others waiting.
	maxConnectionsOfAll = 24
	// connectionsInTunnel are made ahead in a tunnel, where each logs in to the SSH server, too (see vstream).
	connectionsInTunnel = 4
	// pageRows is the LIMIT of every SELECT that grows with the keyspace. vtgate and vttablet end a larger one with an
	// error at 10,000 rows (--queryserver-config-max-result-size), PlanetScale at 100,000. A table's rows of one kind
	// must fit in a page: MySQL allows 4,096 columns, and 64 indexes of 16 parts.
	pageRows = 10_000
	// batchStatements is how many SHOW statements go in one packet.
	batchStatements = 500
)

// DB queries one keyspace, on tablets of one type, through vtgate. It may be used by several goroutines at a time, and shares its
// connections with the DBs that Of returns.
type DB struct {
	sql                 *sql.DB
	keyspace            string
	tabletType          string
	pageRows, batchSize int
}

// Open logs in and selects the keyspace; tabletType is "primary", "replica" or "rdonly" and decides which tablets
// answer. The errors are those of this package and dial's; none holds the password. The caller closes the DB.
func Open(ctx context.Context, server dial.Config, user, password, keyspace, tabletType string) (*DB, error) {
	return open(ctx, server, user, password, keyspace, tabletType, false)
}

// OpenSeveral is Open for one of several keyspaces (see Of): it may be missing, which is reported when it is queried.
func OpenSeveral(ctx context.Context, server dial.Config, user, password, keyspace, tabletType string) (*DB, error) {
	return open(ctx, server, user, password, keyspace, tabletType, true)
}

func open(ctx context.Context, server dial.Config, user, password, keyspace, tabletType string, several bool) (*DB, error) {
	if name, targeted := cutTarget(keyspace); targeted {
		return nil, judged(fmt.Errorf("%w: %q names a shard or a tablet type; the keyspace alone is %q", ErrUnknownKeyspace, keyspace, name))
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	db := &DB{keyspace: keyspace, tabletType: tabletType, pageRows: pageRows, batchSize: batchStatements}
	config, err := newConfig(server, user, password)
	if err != nil {
		return nil, err
	}
	config.DBName = db.target("")
	connections := maxConnections
	if several {
		connections = maxConnectionsOfAll
	}
	db.sql, err = login(ctx, config, connections, server)
	switch {
	case err == nil:
		return db, nil
	case !isNumbered(err, erBadDB):
		return nil, err
	}
	config.DBName = ""
	pool, bare := login(ctx, config, connections, server)
	switch {
	case errors.As(bare, new(*mysql.MySQLError)):
		return nil, unsureKeyspace(keyspace)
	case bare != nil:
		return nil, bare
	case several:
		db.sql = pool
		return db, nil
	}
	defer pool.Close()
	return nil, unknownKeyspace(ctx, pool, keyspace)
}

// Of returns a DB for another keyspace, over the same connections. Only the DB that was opened is closed.
func (db *DB) Of(keyspace string) *DB {
	other := *db
	other.keyspace = keyspace
	return &other
}

// OfPrimaries returns a DB for the keyspace's primaries, over the same connections.
func (db *DB) OfPrimaries() *DB {
	other := *db
	other.tabletType = "primary"
	return &other
}

// Close closes the connections.
func (db *DB) Close() error { return db.sql.Close() }

func newConfig(server dial.Config, user, password string) (*mysql.Config, error) {
	security, err := server.TLSConfig()
	if err != nil {
		return nil, err
	}
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", server.MySQLAddr()
	config.User, config.Passwd = user, password
	config.DialFunc = dialer(server.DialContext)
	config.TLS = security
	// vtgate's LDAP and client certificate logins ask for the password itself: over TLS only.
	config.AllowCleartextPasswords = security != nil
	// Values go into the statement's text: one round trip instead of three, and SHOW takes no parameters anyway.
	config.InterpolateParams = true
	config.MultiStatements = true
	config.ReadTimeout, config.WriteTimeout = answerTimeout, answerTimeout
	return config, nil
}

// login opens a pool of that many connections and verifies it with a first one.
func login(ctx context.Context, config *mysql.Config, connections int, server dial.Config) (*sql.DB, error) {
	var reason cause
	config.Logger = &reason
	c := &connector{}
	n := connectionsInTunnel
	if server.Tunnel == nil {
		n = connections
		c.dials = makeAhead(n, func(ctx context.Context) (net.Conn, error) { return server.DialContext(ctx, "tcp", config.Addr) })
		config.DialFunc = dialer(dialing(c.dials, server.DialContext))
	}
	driver, err := mysql.NewConnector(config)
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("preparing the MySQL connection to %s: %w", config.Addr, err)
	}
	c.guarded = guarded{driver, server.Debug, &atomic.Int64{}}
	pool := sql.OpenDB(c)
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections) // a new one costs several round trips, which each question to all shards would pay
	first, err := pool.Conn(ctx)      // a Ping would cost another one
	if err != nil {
		_ = pool.Close()
		return nil, loginFailed(config.Addr, reason.explain(err))
	}
	_ = first.Close() // back into the pool
	c.logins = makeAhead(n-1, c.guarded.Connect)
	return pool, nil
}

// EachShard calls ask for each of the shards, for as many at a time as there are connections: over a distance, a keyspace with many
// shards would make a sync wait for each answer in turn. The first error ends all of them.
func EachShard[S any](ctx context.Context, shards []S, ask func(ctx context.Context, shard S) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxConnections)
	for _, shard := range shards {
		group.Go(func() error { return crash.Guard(func() error { return ask(ctx, shard) }) })
	}
	return group.Wait()
}

// cutTarget splits a target, as USE takes it, after the name of its keyspace: commerce/-80, commerce:-80, commerce@replica.
func cutTarget(target string) (keyspace string, targeted bool) {
	if i := strings.IndexAny(target, "/:@"); i >= 0 {
		return target[:i], true
	}
	return target, false
}

// target is the argument of USE for the whole keyspace (shard "") or for one shard, on tablets of the DB's type.
func (db *DB) target(shard string) string {
	if shard == "" {
		return db.keyspace + "@" + db.tabletType
	}
	return db.keyspace + ":" + shard + "@" + db.tabletType
}

// primary is the target of the keyspace's primaries, whatever the DB's type: changes are made there.
func (db *DB) primary() string { return db.keyspace + "@primary" }

// conn takes a connection whose target is the keyspace (shard "") or a shard.
func (db *DB) conn(ctx context.Context, shard string) (*sql.Conn, error) {
	return db.connTo(ctx, db.target(shard))
}

// connTo takes a connection with that target, which is selected along with the first query. A connection of the pool keeps the target of
// its last use, so each use sets its own. The caller closes it.
func (db *DB) connTo(ctx context.Context, target string) (*sql.Conn, error) {
	conn, err := db.sql.Conn(ctx)
	if err != nil {
		return nil, failed("connecting", err)
	}
	if _, err := conn.ExecContext(ctx, "use "+quoted(target)); err != nil {
		_ = conn.Close()
		return nil, failed("selecting "+target, err)
	}
	return conn, nil
}

// quoted quotes an identifier for a statement.
func quoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
