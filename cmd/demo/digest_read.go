package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"source-planetscale/internal/destination"
)

// The columns that the connector adds to each table's own.
const columnDeletedAt = "_ab_cdc_deleted_at"

var cdcColumns = []string{"_ab_cdc_cursor", "_ab_cdc_updated_at", columnDeletedAt}

// times are when the streams' statuses were reported, in milliseconds since 1970.
type times map[destination.Stream]map[string]int64

// parseTimes finds the stream statuses in what the connector printed.
func parseTimes(output []byte) (times, error) {
	found := times{}
	for line := range bytes.Lines(output) {
		if !bytes.Contains(line, []byte(`"stream_status"`)) {
			continue
		}
		var m struct {
			Trace struct {
				EmittedAt float64 `json:"emitted_at"`
				Status    struct {
					Stream destination.Stream `json:"stream_descriptor"`
					Status string             `json:"status"`
				} `json:"stream_status"`
			} `json:"trace"`
		}
		if err := json.Unmarshal(line, &m); err != nil {
			return nil, fmt.Errorf("a stream status cannot be read: %w", err)
		}
		s := m.Trace.Status.Stream
		if found[s] == nil {
			found[s] = map[string]int64{}
		}
		found[s][m.Trace.Status.Status] = int64(m.Trace.EmittedAt)
	}
	return found, nil
}

// seconds is how long a stream was read: from its first record to its end.
func (t times) seconds(s destination.Stream) float64 {
	running, ended := t[s]["RUNNING"], max(t[s]["COMPLETE"], t[s]["INCOMPLETE"])
	if running == 0 || ended < running {
		return 0
	}
	return float64(ended-running) / 1000
}

// readDigest summarizes the output of a read for one stream.
type readDigest struct {
	records, states int
	seconds         float64
	status          string
	sample          *destination.Record // the first; nil if there is none
}

func digestRead(r *result) map[destination.Stream]*readDigest {
	digests := map[destination.Stream]*readDigest{}
	for s, status := range r.Statuses {
		digests[s] = &readDigest{status: status, seconds: r.times.seconds(s)}
	}
	of := func(s destination.Stream) *readDigest {
		if digests[s] == nil {
			digests[s] = &readDigest{status: "no status"}
		}
		return digests[s]
	}
	for i := range r.Records {
		g := of(r.Records[i].Stream)
		g.records++
		if g.sample == nil {
			g.sample = &r.Records[i]
		}
	}
	for _, s := range r.States {
		of(s.Stream).states++
	}
	return digests
}

// rate is in records per second; there is none if the time was too short to measure.
func (g *readDigest) rate() string {
	if g.seconds < 0.01 {
		return "-"
	}
	return count(int(float64(g.records) / g.seconds))
}

// changeCount counts the output of a read from a state for one stream.
type changeCount struct {
	inserted, updated, deleted int
	delete                     *destination.Record // one of them; nil if there is none
}

// foldChanges applies records to the tables one by one, and determines from the previous contents what each of them did.
func foldChanges(tables destination.Tables, records []destination.Record) (map[destination.Stream]*changeCount, error) {
	counts := map[destination.Stream]*changeCount{}
	for i, r := range records {
		t := tables[r.Stream]
		if t == nil {
			return nil, fmt.Errorf("a record of stream %s, which is not configured", r.Stream)
		}
		before := len(t.Rows)
		if err := tables.Fold(records[i : i+1]); err != nil {
			return nil, err
		}
		if counts[r.Stream] == nil {
			counts[r.Stream] = &changeCount{}
		}
		counts[r.Stream].add(&records[i], len(t.Rows) > before)
	}
	return counts, nil
}

func (c *changeCount) add(r *destination.Record, isNew bool) {
	switch {
	case r.Data[columnDeletedAt] != nil:
		c.deleted++
		if c.delete == nil {
			c.delete = r
		}
	case isNew:
		c.inserted++
	default:
		c.updated++
	}
}

// maxValue is how many columns of the screen a value may take.
const maxValue = 28

// formatRow writes a record's values: those of the named columns in their order, then the others.
func formatRow(data map[string]any, order []string) string {
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(data)), func(name string) bool { return slices.Contains(order, name) })
	var fields []string
	for _, name := range slices.Concat(order, rest) {
		if v, ok := data[name]; ok {
			fields = append(fields, name+"="+cut(formatValue(v), maxValue))
		}
	}
	return strings.Join(fields, " ")
}

func formatValue(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}
