package main

import "fmt"

// figure is what one contender needed, as medians.
type figure struct {
	Name  string `json:"name"`
	Rows  int    `json:"rows"`
	Bytes int64  `json:"bytes"` // of JSON from the connector, of uncompressed messages or rows to the others
	sample
}

func (f figure) rate() float64 { return float64(f.Rows) / f.Seconds }

// cpu is in seconds for a million rows.
func (f figure) cpu() float64 { return f.CPU / float64(f.Rows) * 1e6 }

func (f figure) String() string {
	return fmt.Sprintf("%-16s %9.0f rows/s %7.1f MB/s %6.2f s %6.2f CPU s/M rows %4d MiB", f.Name, f.rate(), float64(f.Bytes)/f.Seconds/1e6, f.Seconds, f.cpu(), f.Peak>>20)
}

// comparison is one workload read by several contenders.
type comparison struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Source  string   `json:"source"` // sandbox or replay
	Figures []figure `json:"figures"`
}
