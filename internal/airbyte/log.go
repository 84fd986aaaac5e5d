package airbyte

import (
	"context"
	"log/slog"
	"strings"
)

// LogHandler turns slog records into LOG messages: the message, then its attributes as key=value. A write error is returned by the next
// Commit, so it is not lost.
type LogHandler struct {
	w     *Writer
	level slog.Level
	group string
	attrs string
}

// NewLogHandler returns a handler that prints records of at least the given level to w.
func NewLogHandler(w *Writer, level slog.Level) *LogHandler { return &LogHandler{w: w, level: level} }

// Enabled implements slog.Handler.
func (h *LogHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// Handle implements slog.Handler.
func (h *LogHandler) Handle(_ context.Context, r slog.Record) error {
	var text strings.Builder
	text.WriteString(h.group)
	text.WriteString(r.Message)
	text.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		text.WriteString(" " + a.String())
		return true
	})
	return h.w.Log(levelName(r.Level), text.String())
}

// WithAttrs implements slog.Handler.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		with.attrs += " " + a.String()
	}
	return &with
}

// WithGroup implements slog.Handler: the messages begin with the group's name, which says what they are about.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.group += name + ": "
	return &with
}

func levelName(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "ERROR"
	case l >= slog.LevelWarn:
		return "WARN"
	case l >= slog.LevelInfo:
		return "INFO"
	default:
		return "DEBUG"
	}
}
