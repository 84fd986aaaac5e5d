package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// mysqldTemplate changes with what installTemplate makes.
const mysqldTemplate = "mysqld-2-" + VitessVersion

// mycnf is the configuration of one mysqld. Its data is thrown away with the
// sandbox, so nothing waits for the disk, but a commit survives kill -9. The
// socket's path is relative to the data folder: Linux limits it to 107 bytes.
func mycnf(prefix, dir string, additions ...string) string {
	return fmt.Sprintf(`[mysqld]
basedir = %[1]s
plugin_dir = %[1]s/lib/mysql/plugin
lc_messages_dir = %[1]s/share/mysql
character_sets_dir = %[1]s/share/mysql/charsets
datadir = %[2]s/data
tmpdir = %[2]s/tmp
pid_file = mysqld.pid
socket = mysql.sock
secure_file_priv = NULL
mysqlx = 0
skip_name_resolve = ON
default_time_zone = +00:00
max_allowed_packet = 128M
max_connections = 500
gtid_mode = ON
enforce_gtid_consistency = ON
log_bin = binlog
log_replica_updates = ON
binlog_format = ROW
binlog_row_image = FULL
relay_log = relay
sync_binlog = 0
innodb_buffer_pool_size = 128M
innodb_redo_log_capacity = 64M
innodb_flush_log_at_trx_commit = 2
innodb_doublewrite = OFF
innodb_use_native_aio = OFF
%[3]s
`, prefix, dir, strings.Join(additions, "\n"))
}

// initSQL follows Vitess' own users: a user for sessions that bypass Vitess, and then no trace of anything in the binary log.
const initSQL = `
SET sql_log_bin = 0;
CREATE USER 'root'@'127.0.0.1';
GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
SET sql_log_bin = 1;
RESET BINARY LOGS AND GTIDS;
SHUTDOWN;
`

// installTemplate makes the data folder every mysqld starts from: Vitess's
// users are in it, and no transaction is in its binary log.
func (c cache) installTemplate(ctx context.Context, debian, vitess string) (string, error) {
	return c.install(mysqldTemplate, func(dir string) error {
		return c.step("preparing an empty MySQL", "about 5 seconds", func() error {
			return initialize(ctx, debian, vitess, dir)
		})
	})
}

func initialize(ctx context.Context, debian, vitess, dir string) error {
	for _, sub := range []string{dir, filepath.Join(dir, "tmp")} {
		if err := mkdirOwned(sub); err != nil {
			return err
		}
	}
	users, err := os.ReadFile(filepath.Join(vitess, "init_db.sql"))
	if err != nil {
		return err
	}
	// mysqld runs an init file at its start.
	initFile := filepath.Join(dir, "init.sql")
	config := mycnf(filepath.Join(debian, "root", "usr"), dir, "skip_networking = ON")
	err = writeFiles(dir, map[string]string{
		"my.cnf":   config,
		"init.sql": string(users) + initSQL,
	})
	if err != nil {
		return err
	}
	for _, mode := range []string{"--initialize-insecure", "--init-file=" + initFile} {
		if err := runMysqld(ctx, debian, dir, mode); err != nil {
			return err
		}
	}
	// auto.cnf holds the server's UUID, which each copy makes for itself.
	return errors.Join(os.Remove(filepath.Join(dir, "data", "auto.cnf")), os.Remove(initFile), os.Remove(filepath.Join(dir, "my.cnf")))
}

func runMysqld(ctx context.Context, debian, dir, mode string) error {
	cmd, err := unprivileged(ctx, dir, filepath.Join(debian, "bin", "mysqld"), "--defaults-file="+filepath.Join(dir, "my.cnf"), mode)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mysqld %s: %w\n%s", mode, err, out[max(0, len(out)-4096):])
	}
	return nil
}

// copyOwned copies a folder for the user who runs the programs.
func copyOwned(to, from string) error {
	uid, gid, err := owner()
	if err != nil {
		return err
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
