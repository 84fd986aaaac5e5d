package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// text is RESULTS.md.
func (r *results) text() []byte {
	t := &document{}
	t.say("# How fast the connector is")
	t.say("Written by `make bench` and `make bench-flags`; [README.md](README.md) says how it is measured.")
	r.goalsText(t)
	t.say("![rows per second of the connector, drain and mysql](%s)", plotFile)
	r.comparisonsText(t)
	r.concurrencyText(t)
	r.smallText(t)
	r.flagsText(t)
	r.aboutText(t)
	return t.Bytes()
}

// document is a Markdown text.
type document struct{ bytes.Buffer }

// say adds a paragraph.
func (d *document) say(format string, args ...any) {
	if d.Len() > 0 {
		d.WriteByte('\n')
	}
	fmt.Fprintf(d, format+"\n", args...)
}

// table adds a table. A column whose head ends with a colon is aligned to the right, as numbers are.
func (d *document) table(head []string, rows [][]string) {
	line := make([]string, len(head))
	for i, h := range head {
		line[i] = "---"
		if strings.HasSuffix(h, ":") {
			head[i], line[i] = strings.TrimSuffix(h, ":"), "---:"
		}
	}
	d.say("| %s |\n|%s|", strings.Join(head, " | "), strings.Join(line, "|"))
	for _, row := range rows {
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "|", `\|`)
		}
		fmt.Fprintf(d, "| %s |\n", strings.Join(row, " | "))
	}
}

// count writes a number with commas.
func count(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func (r *results) goalsText(t *document) {
	var rows [][]string
	for _, g := range r.goals() {
		met := "**no**"
		if g.met {
			met = "yes"
		}
		rows = append(rows, []string{g.what, g.wanted, g.figure, met})
	}
	t.say("## Goals")
	t.table([]string{"what", "goal:", "measured:", "met"}, rows)
	t.say("For comparison: an earlier connector of this kind took 13.8 CPU seconds per million narrow rows.")
}

func (r *results) comparisonsText(t *document) {
	t.say("## Rows")
	t.say("Rows per second are the rows by the whole time of the process, for each program: the connector starts, looks up tables and " +
		"peeks in it. MB are of JSON for the connector, of uncompressed messages for drain, of text for mysql.")
	for _, source := range []string{onSandbox, onReplay} {
		for _, c := range r.Comparisons {
			if c.Source != source {
				continue
			}
			t.say("**%s: %s** (%s rows; the connector alone takes %.0f ms when there is nothing to read, without which it does %s rows/s)",
				source, c.Title, count(float64(c.Figures[0].Rows)), c.Start*1e3, count(float64(c.Figures[0].Rows)/(c.Figures[0].Seconds-c.Start)))
			var rows [][]string
			for _, f := range c.Figures {
				rows = append(rows, []string{
					f.Name, count(f.rate()), fmt.Sprintf("%.2f", c.ratio(f.Name)), fmt.Sprintf("%.0f", f.megabytes()),
					fmt.Sprintf(
						"%.2f",
						f.Seconds,
					), fmt.Sprintf("%.2f", f.cpu()), fmt.Sprintf("%.2f", f.cpu()/c.of(byDrain).cpu()), fmt.Sprint(f.Peak >> 20),
				})
			}
			t.table([]string{"", "rows/s:", "× drain:", "MB/s:", "seconds:", "CPU s per million rows:", "× drain:", "peak MiB:"}, rows)
		}
	}
}

func (r *results) concurrencyText(t *document) {
	if r.Concurrency == nil {
		return
	}
	t.say("## Concurrency")
	first, cores := r.Concurrency[0].Figures[0], float64(r.About["concurrency"].Cores)
	t.say("%d tables copied from 2 shards, %s rows together, with the option `concurrency`; at most two copies run on a shard, so that 8 "+
		"are as 4. A proxy makes vtgate distant: each byte arrives 20 ms later, both ways.", parallelTables, count(float64(first.Rows)))
	t.say("MySQL, vttablet, vtgate and the connector share the machine's %.0f cores: one copy at a time keeps %.1f of them busy, so that "+
		"more can gain a factor of %.2f at most.", cores, first.cores(), cores/first.cores())
	for _, c := range r.Concurrency {
		t.say("**%s** (the connector alone takes %.2f s when there is nothing to read)", c.Place, c.Start)
		var rows [][]string
		for _, f := range c.Figures {
			gain, copying := f.rate()/c.Figures[0].rate(), (c.Figures[0].Seconds-c.Start)/(f.Seconds-c.Start)
			rows = append(
				rows,
				[]string{f.Name, count(f.rate()), fmt.Sprintf("%.2f", gain), fmt.Sprintf("%.2f", copying), fmt.Sprintf("%.2f", f.cores())},
			)
		}
		t.table([]string{"concurrency:", "rows/s:", "× 1:", "× 1, without the start:", "cores busy:"}, rows)
	}
}

func (r *results) smallText(t *document) {
	t.say("## Small things")
	var rows [][]string
	if s := r.Small; s != nil {
		rows = append(rows, []string{fmt.Sprintf("`spec`, median of %d", specRuns), fmt.Sprintf("%.1f ms", s.Spec*1e3)},
			[]string{"the binary", fmt.Sprintf("%.1f MB", float64(s.Binary)/1e6)},
			[]string{"unchanged sync of 1 table: what starting, connecting, looking up and peeking take", fmt.Sprintf("%.0f ms", s.Unchanged*1e3)},
			[]string{"a row of 8 columns in the encoder", fmt.Sprintf("%.0f ns, %d allocations", s.Encode, s.Allocs)})
	}
	if f := r.Far; f != nil {
		for _, line := range f.lines() {
			what, figure, _ := strings.Cut(line, ": ")
			rows = append(rows, []string{what, figure})
		}
	}
	if c := r.Tables; c != nil {
		rows = append(
			rows,
			[]string{fmt.Sprintf("unchanged sync of %s tables in 2 shards", count(float64(c.Count))), fmt.Sprintf("%.2f s", c.Seconds)},
		)
	}
	if c := r.Discover; c != nil {
		rows = append(
			rows,
			[]string{
				fmt.Sprintf("`discover` of %s tables (which took %.0f s to make)", count(float64(c.Count)), c.Creating),
				fmt.Sprintf("%.2f s", c.Seconds),
			},
		)
	}
	t.table([]string{"", ":"}, rows)
}

func (r *results) flagsText(t *document) {
	if r.Flags == nil {
		return
	}
	t.say("## Settings of the connection")
	t.say("The narrow copy, received by a client that throws the messages away undecoded.")
	var rows [][]string
	for _, f := range r.Flags {
		rows = append(rows, []string{
			f.Setting, count(f.Near.rate()), fmt.Sprintf("%.2f", f.Near.rate()/r.Flags[0].Near.rate()), fmt.Sprintf("%.2f", f.Near.cpu()),
			count(f.Far.rate()), fmt.Sprintf("%.2f", f.Far.rate()/r.Flags[0].Far.rate()), fmt.Sprintf("%.0f", float64(f.Near.Wire)/1e6),
		})
	}
	t.table([]string{"", "rows/s:", "× default:", "CPU s per million rows:", "rows/s 20 ms away:", "× default:", "MB on the wire:"}, rows)
}

func (r *results) aboutText(t *document) {
	t.say("## Where and when")
	var rows [][]string
	for _, part := range slices.Sorted(maps.Keys(r.About)) {
		a := r.About[part]
		rows = append(rows, []string{
			part, a.Date, a.Commit, fmt.Sprintf("%s, %d cores, %.0f GB", a.CPU, a.Cores, float64(a.Memory)/1e9), a.Load,
			fmt.Sprintf("Linux %s, Go %s, Vitess %s, MySQL %s", a.Kernel, a.Go, a.Vitess, a.MySQL), fmt.Sprint(a.Rounds),
		})
	}
	t.table([]string{"part", "date", "commit", "machine", "load before:", "versions", "rounds:"}, rows)
}
