package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// writer constantly inserts, updates, deletes and moves rows of a pipeline's table.
type writer struct {
	writes
	table string
	quiet sync.Mutex // held during each round
	done  chan struct{}
	wait  sync.WaitGroup
	mu    sync.Mutex
	good  int // successful statements since the last call of recovered
	last  error
}

// writes configures a writer.
type writes struct {
	seed    uint64
	rows    int           // rows of the table; most are never changed
	pace    time.Duration // pause between two rounds
	patient bool          // ignores errors of the server; otherwise they fail the test
}

// write starts a writer. It ends with the test, if not before.
func (p *pipeline) write(how writes) {
	p.t.Helper()
	w := &writer{writes: how, table: p.table, done: make(chan struct{})}
	random := rand.New(rand.NewPCG(how.seed, 1))
	w.wait.Go(func() {
		ticker := time.NewTicker(max(how.pace, time.Microsecond))
		defer ticker.Stop()
		for {
			select {
			case <-w.done:
				return
			case <-ticker.C:
				w.round(p, random)
			}
		}
	})
	p.t.Cleanup(w.stop)
	p.writer = w
}

// round changes one of every tenth row, changes the key of the next one, deletes the one after it, and inserts and deletes rows beyond
// the table's initial ones.
func (w *writer) round(p *pipeline, random *rand.Rand) {
	w.quiet.Lock()
	defer w.quiet.Unlock()
	tenth := w.rows / 10
	id, beyond := 10*random.IntN(tenth), w.rows+random.IntN(tenth)
	for _, statement := range []string{
		fmt.Sprintf("insert into %s (id, part, v, note) values (%d, 1, 1, 'new') on duplicate key update v = v + 1", w.table, beyond),
		fmt.Sprintf("update %s set v = v + 1, note = 'changed' where id = %d", w.table, id),
		fmt.Sprintf("update %s set part = part + 1 where id = %d", w.table, id+1),
		fmt.Sprintf("delete from %s where id = %d", w.table, id+2),
		fmt.Sprintf("delete from %s where id = %d", w.table, w.rows+random.IntN(tenth)),
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err := p.db.ExecContext(ctx, statement)
		cancel()
		if err != nil && !w.patient {
			p.t.Errorf("%s: %v", statement, err)
		}
		w.mu.Lock()
		if err != nil {
			w.last = err
		} else {
			w.good++
		}
		w.mu.Unlock()
	}
}

func (w *writer) stop() {
	select {
	case <-w.done:
	default:
		close(w.done)
	}
	w.wait.Wait()
}

// recovered waits until rows can be written again.
func (w *writer) recovered(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	w.good = 0
	w.mu.Unlock()
	await(t, time.Minute, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.good < 10 {
			return fmt.Errorf("nothing can be written: %w", w.last)
		}
		return nil
	})
}
