package quiet

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"google.golang.org/grpc/grpclog"
	vitesslog "vitess.io/vitess/go/vt/log"
	"vitess.io/vitess/go/vt/sqlparser"
)

// loud is set in a second process of this test binary, which then uses every logger, with or without silencing them first.
const loud = "QUIET_TEST"

// loggers are the ways in which a library may log.
var loggers = map[string]func(secret string){
	"Vitess' parser": func(secret string) {
		parser, err := sqlparser.New(sqlparser.Options{})
		if err != nil {
			panic(err)
		}
		_, _ = parser.Parse("alter table t add primary key using hash (a) comment '" + secret + "'")
	},
	"Vitess":        func(secret string) { vitesslog.Error(secret) },
	"Vitess, debug": func(secret string) { vitesslog.V(-4).Info(secret) },
	"gRPC":          func(secret string) { grpclog.Error(secret) },
	"gRPC, of a part": func(secret string) {
		grpclog.Component("transport").Errorf("%s", secret)
	},
	"slog":  func(secret string) { slog.Error(secret) },
	"log":   func(secret string) { log.Print(secret) },
	"MySQL": func(secret string) { mysqlLogs(secret) },
}

// mysqlLogs makes the driver read a packet with a wrong number, which it logs.
func mysqlLogs(secret string) {
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", secret
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			_, _ = server.Write([]byte{1, 0, 0, 9, 10})
			server.Close()
		}()
		return client, nil
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		panic(err)
	}
	_, _ = connector.Connect(context.Background())
}

func TestMain(m *testing.M) {
	how, name, ok := strings.Cut(os.Getenv(loud), ":")
	if !ok {
		os.Exit(m.Run())
	}
	if how == "silenced" {
		if err := Libraries(); err != nil {
			panic(err)
		}
	}
	loggers[name]("s3cret")
}

func TestLibrariesSayNothing(t *testing.T) {
	for name := range loggers {
		for _, how := range []string{"silenced", "as they are"} {
			command := exec.Command(os.Args[0])
			command.Env = append(os.Environ(), loud+"="+how+":"+name, "TMPDIR="+t.TempDir(), "GRPC_GO_LOG_SEVERITY_LEVEL=info")
			out, err := command.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v: %s", name, err, out)
			}
			if silent := len(out) == 0; silent != (how == "silenced") {
				t.Errorf("%s, %s: %s", name, how, fmt.Sprintf("%q", out))
			}
			if files, err := os.ReadDir(command.Env[len(command.Env)-2][len("TMPDIR="):]); err != nil || how == "silenced" && len(files) > 0 {
				t.Errorf("%s wrote files: %v, %v", name, files, err)
			}
		}
	}
}
