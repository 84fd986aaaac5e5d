package engine

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/crash"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
)

const (
	// progressInterval is how often a long sync logs its progress.
	progressInterval = 30 * time.Second
	// aliveInterval is how long a sync may write neither a record nor a state. The platform considers a source dead if it is silent for
	// maxSecondsBetweenMessages, three hours, however much it logs.
	aliveInterval = time.Hour
	// screenInterval is how often progress is drawn on a terminal.
	screenInterval = time.Second
)

// Progress reports the progress of the process's syncs, in the log and on a terminal.
type Progress struct {
	w      *airbyte.Writer
	log    *slog.Logger
	screen io.Writer // nil for none

	mu      sync.Mutex
	streams []*partition.Stream // all that were ever read
	reading int                 // syncs
	// made is when the last change read from a shard was made, as long as changes are read from it.
	made map[gtid.Shard]time.Time
}

// NewProgress reports to the log and to a terminal, nil for none.
func NewProgress(w *airbyte.Writer, log *slog.Logger, screen io.Writer) *Progress {
	return &Progress{w: w, log: log, screen: screen, made: map[gtid.Shard]time.Time{}}
}

// changed records when the last change read from a shard was made.
func (p *Progress) changed(shard gtid.Shard, made time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made[shard] = made
}

// unchanged records that no more changes are read from a shard.
func (p *Progress) unchanged(shard gtid.Shard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.made, shard)
}

// watch includes streams in the reports, until the returned function is called.
func (p *Progress) watch(streams []*partition.Stream) (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams = append(p.streams, streams...)
	p.reading++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reading--
	}
}

// watched are the streams to report on; none while nothing is read.
func (p *Progress) watched() []*partition.Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading == 0 {
		return nil
	}
	return slices.Clone(p.streams)
}

// Start reports until the returned function is called.
func (p *Progress) Start() (stop func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		err := crash.Guard(func() error { p.report(done, time.Now()); return nil })
		if err != nil {
			p.log.Warn(fmt.Sprintf("Progress is no longer reported: %v.", err))
			<-done
		}
	}()
	return func() {
		close(done)
		<-gone
	}
}

func (p *Progress) report(done <-chan struct{}, began time.Time) {
	log := time.NewTicker(progressInterval)
	defer log.Stop()
	screen := time.NewTicker(screenInterval)
	defer screen.Stop()
	last := began
	for {
		select {
		case <-log.C:
			now := time.Now()
			p.logAll(now.Sub(began), now.Sub(last))
			last = now
			p.keepAlive()
		case <-screen.C:
			if p.screen != nil && p.watched() != nil {
				fmt.Fprint(p.screen, "\r\x1b[K"+p.total(time.Since(began)).bar())
			}
		case <-done:
			if p.screen != nil {
				fmt.Fprint(p.screen, "\r\x1b[K")
			}
			return
		}
	}
}

// logAll logs the total progress, and that of each partition that had records in the interval.
func (p *Progress) logAll(elapsed, interval time.Duration) {
	streams := p.watched()
	if streams == nil {
		return
	}
	// Everything is computed before any line is written, since writing waits while the platform does not read.
	for _, sentence := range append([]string{p.total(elapsed).String()}, shares(streams, interval)...) {
		p.log.Info(sentence)
	}
}

// keepAlive writes a state of a stream that is being read if nothing was written for a long time, for example while copies wait for their
// locks.
func (p *Progress) keepAlive() {
	streams := p.watched()
	if p.w.Silent() < aliveInterval {
		return
	}
	err := p.w.Commit(airbyte.NewBatch(), func(tx *airbyte.Tx) error {
		for _, st := range streams {
			if st.IsOpen(tx) && !st.Failed() {
				return st.KeepAlive(tx)
			}
		}
		return nil
	})
	if err != nil {
		p.log.Warn(fmt.Sprintf("A keep-alive state could not be written: %v.", err))
	}
}

// total is the progress of all syncs.
func (p *Progress) total(elapsed time.Duration) total {
	t := total{bytes: p.w.Bytes(), elapsed: elapsed}
	streams := p.watched()
	for _, st := range streams {
		for part := range st.Partitions() {
			c := part.Origin.Count()
			t.records += c.Records()
			if !part.Resumed {
				t.copied += min(c.Copied-c.Wasted, part.Expected)
				t.expected += part.Expected
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for shard, made := range p.made {
		if age := time.Since(made); age > t.behind {
			t.behind, t.shard = age, shardAmong(shard, streams)
		}
	}
	return t
}

// shardAmong names a shard, with its keyspace if there are streams of several.
func shardAmong(shard gtid.Shard, streams []*partition.Stream) string {
	for _, st := range streams {
		if st.Descriptor.Namespace != shard.Keyspace {
			return shard.String()
		}
	}
	return shard.Name
}
