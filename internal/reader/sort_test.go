package reader

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
)

// vtgate retries a copy that MySQL cannot sort forever. After a while without a row the server is queried for the reason, once.
func TestCopyThatCannotBeSorted(t *testing.T) {
	memory := "Out of sort memory, consider increasing server sort buffer size"
	for name, c := range map[string]struct {
		sorts  error
		waited time.Duration
		copied bool
		asked  int
		fails  bool
	}{
		"vttablet's text":  {errors.New("target: shop.-.primary: vttablet: " + memory + " (errno 1038) (sqlstate HY001)"), askPause, false, 1, true},
		"the driver's":     {errors.New("Error 1038 (HY001): " + memory), askPause, false, 1, true},
		"later":            {errors.New("(errno 1038)"), copyPatience, false, 1, true},
		"not yet":          {errors.New("(errno 1038)"), askPause - time.Second, false, 0, false},
		"it sorts":         {nil, askPause, false, 1, false},
		"another error":    {errors.New("(errno 1105)"), askPause, false, 1, false},
		"a port":           {errors.New("dial tcp 127.0.0.1:10381: connection refused"), askPause, false, 1, false},
		"a row came":       {errors.New("(errno 1038)"), askPause, true, 0, false},
		"a similar number": {errors.New("(errno 10380)"), askPause, false, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			users, tab := stream(t, "users")
			r := newRig(io.Discard, at(9), tab)
			var log bytes.Buffer
			r.env.Log = slog.New(slog.NewTextHandler(&log, nil))
			asked := 0
			r.env.Sorts = func(context.Context, gtid.Shard, *table.Table) error {
				asked++
				return c.sorts
			}
			s := r.session(users)
			s.copying, s.waited, s.env.Settings.Timeout = &copying{}, c.waited, 2*copyPatience
			s.tables.only().copied = c.copied
			err := s.checkMoving(t.Context())
			again := s.checkMoving(t.Context())
			if asked != c.asked {
				t.Errorf("the server was queried %d times", asked)
			}
			if !c.fails {
				if err != nil || again != nil || strings.Contains(log.String(), "is waiting for its first row") != (asked == 1) {
					t.Errorf("errors %v, %v; log %s", err, again, log.String())
				}
				return
			}
			v := failure.In(err)
			if v == nil || v.Kind != airbyte.ConfigError || v.Action != failure.GiveUp || !strings.Contains(v.Message(), "sort_buffer_size") {
				t.Errorf("error %v", err)
			}
		})
	}
}
