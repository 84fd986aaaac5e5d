package source

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"source-planetscale/internal/airbyte"
)

const (
	// progressInterval is how often a long read says in the log how far it is.
	progressInterval = 30 * time.Second
	// aliveInterval is how long a sync gives neither a record nor a state. The platform takes a source for dead that is
	// silent for maxSecondsBetweenMessages, three hours, however much it logs.
	aliveInterval = time.Hour
	// screenInterval is how often it does on a terminal.
	screenInterval = time.Second
	// barWidth is the width of the bar there, in characters.
	barWidth = 30
)

// terminal returns w if it is one, else nil.
func terminal(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return w
	}
	return nil
}

// reportProgress tells the progress of the sync until the returned function is called.
func (s *syncer) reportProgress() (stop func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		s.report(done, time.Now())
	}()
	return func() {
		close(done)
		<-gone
	}
}

func (s *syncer) report(done <-chan struct{}, began time.Time) {
	log := time.NewTicker(progressInterval)
	defer log.Stop()
	screen := time.NewTicker(screenInterval)
	defer screen.Stop()
	last := began
	for {
		select {
		case <-log.C:
			now := time.Now()
			// All is looked up before any is written, which waits while the platform does not read.
			sentences := append([]string{s.progress(now.Sub(began)).String()}, s.sharesProgress(now.Sub(last))...)
			last = now
			for _, sentence := range sentences {
				s.log.Info(sentence)
			}
			s.keepAlive()
		case <-screen.C:
			if s.screen != nil {
				fmt.Fprint(s.screen, "\r\x1b[K"+s.progress(time.Since(began)).bar())
			}
		case <-done:
			if s.screen != nil {
				fmt.Fprint(s.screen, "\r\x1b[K")
			}
			return
		}
	}
}

// keepAlive writes a state of a stream that is being read if nothing was written for long, as while copies wait for their
// locks. It is the last one with a later cursor, since the same state is not to come twice.
func (s *syncer) keepAlive() {
	if s.w.Silent() < aliveInterval {
		return
	}
	err := s.commit(airbyte.NewBatch(), func() ([]airbyte.StreamState, error) {
		for _, st := range s.streams {
			if st.open == 0 || st.hasFailed() {
				continue
			}
			st.state.Cursor = st.cursors(1, time.Now()) + 1
			state, err := st.snapshot()
			return []airbyte.StreamState{state}, err
		}
		return nil, nil
	})
	if err != nil {
		s.log.Warn(fmt.Sprintf("A state that only shows that the sync is alive could not be written: %v.", err))
	}
}

// progress is how far a sync is.
type progress struct {
	records int64
	// copied of the expected are the rows of copies from the start. The latter is 0 where the server does not say how large its
	// tables are.
	copied, expected int64
	bytes            int64
	elapsed          time.Duration
	// behind is the age of the change read last in the shard that is farthest behind; 0 if none was read.
	behind time.Duration
	shard  string
}

func (s *syncer) progress(elapsed time.Duration) progress {
	p := progress{bytes: s.w.Bytes(), elapsed: elapsed}
	for _, st := range s.streams {
		for _, t := range st.counted() {
			copied := t.copied.Load()
			p.records += copied + t.replicated.Load()
			if !t.resumed {
				p.copied += min(copied-t.wasted.Load(), t.expected)
				p.expected += t.expected
			}
		}
	}
	s.lastChange.Range(func(shard, made any) bool {
		if age := time.Since(made.(time.Time)); age > p.behind {
			p.behind, p.shard = age, shard.(string)
		}
		return true
	})
	return p
}

func (p progress) perSecond(records int64) float64 {
	return float64(records) / max(p.elapsed.Seconds(), 0.001)
}

// share is the part of the copies that is done, and whether it is known: not where the estimates were too low.
func (p progress) share() (float64, bool) {
	if p.copied >= p.expected {
		return 0, false
	}
	return float64(p.copied) / float64(p.expected), true
}

func (p progress) String() string {
	text := fmt.Sprintf("Read %d records (%.1f MB) in %s, %.0f records/s.", p.records, float64(p.bytes)/1e6, p.elapsed.Round(time.Second), p.perSecond(p.records))
	if share, ok := p.share(); ok && p.copied > 0 {
		left := time.Duration(float64(p.expected-p.copied) / p.perSecond(p.copied) * float64(time.Second))
		text += fmt.Sprintf(" About %.0f %% of the copies are done, %s left.", 100*share, left.Round(time.Second))
	}
	if p.behind > 0 {
		text += fmt.Sprintf(" The change read last in shard %s was made %s ago; none is farther behind.", p.shard, p.behind.Round(time.Second))
	}
	return text
}

// bar is the same for a terminal's line.
func (p progress) bar() string {
	text := fmt.Sprintf("%d records  %.1f MB  %.0f/s", p.records, float64(p.bytes)/1e6, p.perSecond(p.records))
	if share, ok := p.share(); ok {
		full := int(share * barWidth)
		text = fmt.Sprintf("[%s%s] %3.0f %%  %s", strings.Repeat("#", full), strings.Repeat("-", barWidth-full), 100*share, text)
	}
	return text
}
