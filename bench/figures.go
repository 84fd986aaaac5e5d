package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// results are the last measurements of each part. They are kept as JSON, so that parts can be measured one at a time.
type results struct {
	// About says for each part when and where it was measured, and which build.
	About       map[string]about `json:"about"`
	Comparisons []comparison     `json:"comparisons,omitempty"`
	Concurrency []concurrent     `json:"concurrency,omitempty"`
	Flags       []flagged        `json:"flags,omitempty"`
	Small       *small           `json:"small,omitempty"`
	Far         *far             `json:"far,omitempty"`
	Tables      *tables          `json:"tables,omitempty"`
	Discover    *tables          `json:"discover,omitempty"`
	// Took is how long the last run took that measured all that `make bench` does, in seconds.
	Took float64 `json:"took,omitempty"`
}

// figure is the resources that one contender needed, as medians; the peak is the highest.
type figure struct {
	Name  string `json:"name"`
	Rows  int    `json:"rows"`
	Bytes int64  `json:"bytes"` // of JSON from the connector, of uncompressed messages or of text to the others
	// Wire is what a drain read from the connection, in bytes.
	Wire int64 `json:"wire,omitempty"`
	sample
}

// rate is in rows per second, over the whole run time of the process.
func (f figure) rate() float64 { return float64(f.Rows) / f.Seconds }

// megabytes is in MB/s.
func (f figure) megabytes() float64 { return float64(f.Bytes) / f.Seconds / 1e6 }

// cpu is in seconds per million rows.
func (f figure) cpu() float64 { return f.CPU / float64(f.Rows) * 1e6 }

// cores is how many of the machine's cores were busy, with any program.
func (f figure) cores() float64 { return f.Machine / f.Seconds }

func (f figure) String() string {
	return fmt.Sprintf(
		"%-16s %9.0f rows/s %7.1f MB/s %6.2f s %6.2f CPU s/M rows %4d MiB",
		f.Name,
		f.rate(),
		f.megabytes(),
		f.Seconds,
		f.cpu(),
		f.Peak>>20,
	)
}

// comparison is one workload read by several contenders.
type comparison struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	Source string `json:"source"` // onSandbox or onReplay
	// Start is the time of a sync without changes, in seconds: of starting, connecting, looking up tables and peeking.
	Start   float64  `json:"start"`
	Figures []figure `json:"figures"`
}

// The sources of a comparison.
const (
	onSandbox = "sandbox"
	onReplay  = "replay"
)

// of returns a contender's figure, nil if it did not take part.
func (c *comparison) of(name string) *figure {
	for i := range c.Figures {
		if c.Figures[i].Name == name {
			return &c.Figures[i]
		}
	}
	return nil
}

// ratio is the speed of a contender relative to drain's.
func (c *comparison) ratio(name string) float64 {
	f, drain := c.of(name), c.of(byDrain)
	if f == nil || drain == nil {
		return 0
	}
	return f.rate() / drain.rate()
}

// put replaces the comparison of the same workload and source, or adds it.
func (r *results) put(c comparison) {
	for i, old := range r.Comparisons {
		if old.Name == c.Name && old.Source == c.Source {
			r.Comparisons[i] = c
			return
		}
	}
	r.Comparisons = append(r.Comparisons, c)
}

// find returns a comparison, nil if it was not measured.
func (r *results) find(name, source string) *comparison {
	for i, c := range r.Comparisons {
		if c.Name == name && c.Source == source {
			return &r.Comparisons[i]
		}
	}
	return nil
}

// The files of results in the folder.
const (
	jsonFile = "results.json"
	textFile = "RESULTS.md"
	plotFile = "results.svg"
)

func loadResults(dir string) (*results, error) {
	r := &results{About: map[string]about{}}
	data, err := os.ReadFile(filepath.Join(dir, jsonFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return r, json.Unmarshal(data, r)
}

// save writes the results as JSON, as a text with tables, and as a plot.
func (r *results) save(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	write := func(name string, data []byte) error { return os.WriteFile(filepath.Join(dir, name), data, 0o644) }
	return errors.Join(write(jsonFile, append(data, '\n')), write(textFile, r.text()), write(plotFile, r.plot()))
}
