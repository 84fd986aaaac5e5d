// Package quiet silences the loggers of the libraries: Vitess' SQL parser logs a DDL statement with its literals, gRPC what its peers
// send, all to stderr. Whatever matters is also returned as an error, and goes to Airbyte.
package quiet

import (
	"io"
	"log/slog"

	"github.com/go-sql-driver/mysql"
	"google.golang.org/grpc/grpclog"
	"vitess.io/vitess/go/vt/log"
)

// Libraries silences them all. It is called once, before any of them is used.
func Libraries() error {
	discard := slog.New(slog.DiscardHandler)
	slog.SetDefault(discard) // the standard library's older logger follows it
	log.SwapLogger(discard)  // in front of glog
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	return mysql.SetLogger(&mysql.NopLogger{})
}
