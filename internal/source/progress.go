package source

import (
	"fmt"
	"time"
)

// progressInterval is how often a long read says how far it is.
const progressInterval = 30 * time.Second

// reportProgress logs the progress of the sync until the returned function is called.
func (s *syncer) reportProgress() (stop func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(gone)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				s.log.Info(s.progress(time.Since(began)))
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-gone
	}
}

func (s *syncer) progress(elapsed time.Duration) string {
	var records, expected int64
	for _, st := range s.streams {
		records += st.records.Load()
		expected += st.estimate
	}
	rate := float64(records) / elapsed.Seconds()
	text := fmt.Sprintf("Read %d records (%.1f MB) in %s, %.0f records/s.", records, float64(s.w.Bytes())/1e6, elapsed.Round(time.Second), rate)
	if expected > records && rate > 0 {
		left := time.Duration(float64(expected-records) / rate * float64(time.Second))
		text += fmt.Sprintf(" About %d %% done, %s left.", records*100/expected, left.Round(time.Second))
	}
	return text
}
