package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/torture"
)

const (
	// tortureSteps is the number of steps of a history.
	tortureSteps = 30
	// shrinkTime is how long the test tries to make a history smaller.
	shrinkTime = 3 * time.Minute
	// everyDay is how long the everyday test plays fresh seeds, allDay how long it does among all tests, the long ones included.
	everyDay, allDay = time.Minute, 30 * time.Minute
	// patience is how long a sync may take while all other tests run.
	patience = 4 * time.Minute
)

// TestTorture plays random histories, starting with a seed, until its time is over or the connector does something wrong; then it
// prints the history that shows the error, after making it as small as it can. With TORTURE_HISTORY it plays that file.
func TestTorture(t *testing.T) {
	seed, history := os.Getenv("TORTURE_SEED"), os.Getenv("TORTURE_HISTORY")
	if seed == "" && history == "" {
		t.Skip("make torture SEED=… MINUTES=… runs it")
	}
	r := newTortureRig(t)
	if history != "" {
		r.playFile(t, history)
		return
	}
	first, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		t.Fatalf("TORTURE_SEED: %v", err)
	}
	minutes, err := strconv.ParseFloat(os.Getenv("TORTURE_MINUTES"), 64)
	if err != nil {
		t.Fatalf("TORTURE_MINUTES: %v", err)
	}
	r.torture(t, first, time.Duration(minutes*float64(time.Minute)))
}

// TestTortureKept plays the histories that once showed an error, then seeds that were never tried.
func TestTortureKept(t *testing.T) {
	script.RequireSandbox(t)
	r := newTortureRig(t)
	r.bound = patience
	files, err := filepath.Glob("testdata/torture/*.history")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { r.playFile(t, file) })
	}
	t.Run("fresh seeds", func(t *testing.T) {
		length := everyDay
		if testAll() {
			length = allDay
		}
		seed := uint64(time.Now().UnixNano())
		t.Logf("the first seed is %d", seed)
		r.torture(t, seed, length)
	})
}

// TestTortureKnown plays histories of errors that are known and not fixed, or that are Vitess' own: each must still show its error;
// otherwise it must be moved to the histories that show none.
func TestTortureKnown(t *testing.T) {
	script.RequireSandbox(t)
	long(t)
	r := newTortureRig(t)
	r.without = nil
	for _, folder := range []string{"unmended", "limits"} {
		files, err := filepath.Glob("testdata/torture/" + folder + "/*.history")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			t.Run(folder+"/"+filepath.Base(file), func(t *testing.T) {
				h, shows := readHistory(t, file)
				if f, _ := r.play(t.Context(), h); f == nil || !slices.Contains(shows, f.Kind) {
					t.Errorf("it should show %q, but shows: %v", shows, f)
				}
			})
		}
	}
}

// readHistory reads a file; its notes "# shows: KIND" list the kinds of finding that it should show, one of them.
func readHistory(t *testing.T, file string) (h torture.History, shows []string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if h, err = torture.Parse(string(data)); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for line := range strings.Lines(string(data)) {
		if kind, ok := strings.CutPrefix(line, "# shows: "); ok {
			shows = append(shows, strings.TrimSpace(kind))
		}
	}
	return h, shows
}

func (r *tortureRig) playFile(t *testing.T, file string) {
	t.Helper()
	h, _ := readHistory(t, file)
	spoilt := r.counts[spoiltHistories]
	f, n := r.play(t.Context(), h)
	if r.broken != nil {
		t.Fatal(r.broken)
	}
	if r.counts[spoiltHistories] > spoilt {
		t.Errorf("a reshard did not work, so that the history was not played to its end: %s", strings.Join(sorted(r.counts), ", "))
	}
	if f != nil {
		t.Errorf("step %d: %s", n+1, f)
		if os.Getenv("TORTURE_SHRINK_SECONDS") != "" {
			t.Logf("the smallest history that shows it:\n%s", r.shrink(t.Context(), h[:min(n+1, len(h))], f))
		}
	}
	t.Log(strings.Join(sorted(r.counts), ", "))
}

// torture plays a history for each seed, from the first one on, until the time is over, or until one shows an error.
func (r *tortureRig) torture(t *testing.T, seed uint64, length time.Duration) {
	t.Helper()
	began, histories := time.Now(), 0
	for ; histories == 0 || time.Since(began) < length; seed++ {
		h := torture.Generate(seed, tortureSteps, r.without)
		f, n := r.play(t.Context(), h)
		histories++
		if r.broken != nil {
			t.Fatal(r.broken)
		}
		if f == nil {
			continue
		}
		t.Errorf("seed %d, step %d, after %.1f minutes: %s", seed, n+1, time.Since(began).Minutes(), f)
		t.Logf("the smallest history that shows it (make torture SEED=%d MINUTES=0 generates it again):\n# shows: %s\n%s",
			seed, f.Kind, r.shrink(t.Context(), h[:min(n+1, len(h))], f))
		if os.Getenv("TORTURE_GO_ON") == "" {
			break
		}
	}
	t.Logf("%d histories in %.1f minutes: %s", histories, time.Since(began).Minutes(), strings.Join(sorted(r.counts), ", "))
}

// shrink makes a history smaller as long as it still shows a finding of the same kind.
func (r *tortureRig) shrink(ctx context.Context, h torture.History, f *torture.Finding) torture.History {
	limit := shrinkTime
	if n, err := strconv.Atoi(os.Getenv("TORTURE_SHRINK_SECONDS")); err == nil {
		limit = time.Duration(n) * time.Second
	}
	end := time.Now().Add(limit)
	fails := func(smaller torture.History) bool {
		again, _ := r.play(ctx, smaller)
		return again != nil && again.Kind == f.Kind
	}
	return torture.Shrink(h, fails, func() bool { return time.Now().Before(end) && ctx.Err() == nil })
}

// withoutTags returns the tags of steps that are not generated: what the connector is known to do wrong, and what Vitess cannot do.
// TORTURE_ALL tries all of them, TORTURE_TRY the tags it lists.
func withoutTags(t *testing.T) map[string]bool {
	t.Helper()
	if os.Getenv("TORTURE_ALL") != "" {
		return nil
	}
	tags := tagsIn(t, "unmended")
	for tag := range tagsIn(t, "limits") {
		tags[tag] = true
	}
	for tag := range strings.SplitSeq(os.Getenv("TORTURE_TRY"), ",") {
		delete(tags, tag)
	}
	return tags
}

// tagsIn reads a list of tags: one per line, with the reason after a colon and a space.
func tagsIn(t *testing.T, list string) map[string]bool {
	t.Helper()
	data, err := os.ReadFile("testdata/torture/" + list + ".tags")
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if tag, _, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(tag, "#") {
			tags[tag] = true
		}
	}
	return tags
}
