package sandbox

import "path/filepath"

// MySQLSocket is the Unix socket of the mysqld of the shard's first tablet; Vitess's user vt_dba needs no password there.
// The shard's tables are in the database vt_ and the keyspace's name.
func (s *Sandbox) MySQLSocket(keyspace, shard string) string {
	return filepath.Join(s.data(tablet{Keyspace: keyspace, Shard: shard}.mysqld()), "data", "mysql.sock")
}
